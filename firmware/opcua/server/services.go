package server

import (
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// service describes how a request type is handled.
type service struct {
	serve       func(*query, any)
	session     bool // needs an activated session
	unsupported bool // refused with Bad_ServiceUnsupported
	large       bool // the response may be large
	slow        bool // works on keys and passwords, which has its own bound
	scans       bool // reads much from disk
}

func typed[T any](f func(*query, T)) func(*query, any) {
	return func(q *query, req any) {
		r, ok := req.(T)
		if !ok {
			q.fault(ua.StatusBadDecodingError)
			return
		}
		f(q, r)
	}
}

// services are all known services, by the encoding id of the request.
var services = map[uint32]service{
	id.GetEndpointsRequest_Encoding_DefaultBinary:  {serve: typed((*query).getEndpoints)},
	id.FindServersRequest_Encoding_DefaultBinary:   {serve: typed((*query).findServers)},
	id.CreateSessionRequest_Encoding_DefaultBinary: {serve: typed((*query).createSession), slow: true},
	id.ActivateSessionRequest_Encoding_DefaultBinary: {serve: typed((*query).activateSession),
		slow: true},
	id.CloseSessionRequest_Encoding_DefaultBinary: {serve: typed((*query).closeSession)},
	id.CancelRequest_Encoding_DefaultBinary:       {serve: typed((*query).cancel), session: true},
	id.ReadRequest_Encoding_DefaultBinary: {serve: typed((*query).read), session: true,
		large: true},
	id.BrowseRequest_Encoding_DefaultBinary: {serve: typed((*query).browse), session: true,
		large: true},
	id.BrowseNextRequest_Encoding_DefaultBinary: {serve: typed((*query).browseNext), session: true,
		large: true},
	id.TranslateBrowsePathsToNodeIDsRequest_Encoding_DefaultBinary: {serve: typed((*query).translate), session: true,
		large: true},
	id.RegisterNodesRequest_Encoding_DefaultBinary:   {serve: typed((*query).registerNodes), session: true},
	id.UnregisterNodesRequest_Encoding_DefaultBinary: {serve: typed((*query).unregisterNodes), session: true},
	id.WriteRequest_Encoding_DefaultBinary:           {serve: typed((*query).write), session: true},
	id.CallRequest_Encoding_DefaultBinary: {serve: typed((*query).callMethods), session: true,
		large: true},
	id.HistoryReadRequest_Encoding_DefaultBinary: {serve: typed((*query).historyRead), session: true,
		scans: true},
	id.HistoryUpdateRequest_Encoding_DefaultBinary:         {serve: typed((*query).historyUpdate), session: true},
	id.AddNodesRequest_Encoding_DefaultBinary:              {session: true, unsupported: true},
	id.AddReferencesRequest_Encoding_DefaultBinary:         {session: true, unsupported: true},
	id.DeleteNodesRequest_Encoding_DefaultBinary:           {session: true, unsupported: true},
	id.DeleteReferencesRequest_Encoding_DefaultBinary:      {session: true, unsupported: true},
	id.QueryFirstRequest_Encoding_DefaultBinary:            {session: true, unsupported: true},
	id.QueryNextRequest_Encoding_DefaultBinary:             {session: true, unsupported: true},
	id.CreateSubscriptionRequest_Encoding_DefaultBinary:    {serve: (*query).subscribe, session: true},
	id.ModifySubscriptionRequest_Encoding_DefaultBinary:    {serve: (*query).subscribe, session: true},
	id.SetPublishingModeRequest_Encoding_DefaultBinary:     {serve: (*query).subscribe, session: true},
	id.DeleteSubscriptionsRequest_Encoding_DefaultBinary:   {serve: (*query).subscribe, session: true},
	id.TransferSubscriptionsRequest_Encoding_DefaultBinary: {serve: (*query).subscribe, session: true},
	id.PublishRequest_Encoding_DefaultBinary:               {serve: (*query).subscribe, session: true},
	id.RepublishRequest_Encoding_DefaultBinary:             {serve: (*query).subscribe, session: true},
	id.CreateMonitoredItemsRequest_Encoding_DefaultBinary:  {serve: (*query).subscribe, session: true},
	id.ModifyMonitoredItemsRequest_Encoding_DefaultBinary:  {serve: (*query).subscribe, session: true},
	id.DeleteMonitoredItemsRequest_Encoding_DefaultBinary:  {serve: (*query).subscribe, session: true},
	id.SetMonitoringModeRequest_Encoding_DefaultBinary:     {serve: (*query).subscribe, session: true},
	id.SetTriggeringRequest_Encoding_DefaultBinary:         {serve: (*query).subscribe, session: true},
}
