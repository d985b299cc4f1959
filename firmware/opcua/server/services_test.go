package server

import (
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/rawvalue"
)

// wholeServices are refused as a whole: OPC 10000-4 §5.8 and §5.10 let a server leave out the
// service sets NodeManagement and Query, and §7.38.2 has Bad_ServiceUnsupported for that.
// What the request names does not matter then.
func wholeServices(token *ua.NodeID) map[string]ua.Request {
	requests := map[string]ua.Request{}
	plant, hasComponent := named("plant"), ns0(id.HasComponent)
	for cell, node := range map[string]rawvalue.NodeID{"unknown node": named("none"), "wrong class": hasComponent,
		"valid": plant} {
		expanded := ua.NewExpandedNodeID(node.UA(), "", 0)
		requests["AddNodes/"+cell] = &ua.AddNodesRequest{RequestHeader: header(token), NodesToAdd: []*ua.AddNodesItem{{
			ParentNodeID: expanded, ReferenceTypeID: hasComponent.UA(),
			RequestedNewNodeID: ua.NewExpandedNodeID(named("new").UA(), "", 0),
			BrowseName:         &ua.QualifiedName{Name: "New"}, NodeClass: ua.NodeClassObject,
			NodeAttributes: ua.NewExtensionObject(nil),
			TypeDefinition: ua.NewExpandedNodeID(ns0(id.BaseObjectType).UA(), "", 0),
		}}}
		requests["AddReferences/"+cell] = &ua.AddReferencesRequest{RequestHeader: header(token),
			ReferencesToAdd: []*ua.AddReferencesItem{{
				SourceNodeID: node.UA(), ReferenceTypeID: hasComponent.UA(), IsForward: true, TargetNodeID: expanded,
				TargetNodeClass: ua.NodeClassObject,
			}}}
		requests["DeleteNodes/"+cell] = &ua.DeleteNodesRequest{RequestHeader: header(token),
			NodesToDelete: []*ua.DeleteNodesItem{{NodeID: node.UA()}}}
		requests["DeleteReferences/"+cell] = &ua.DeleteReferencesRequest{RequestHeader: header(token),
			ReferencesToDelete: []*ua.DeleteReferencesItem{{
				SourceNodeID: node.UA(), ReferenceTypeID: hasComponent.UA(), TargetNodeID: expanded,
			}}}
		requests["QueryFirst/"+cell] = &ua.QueryFirstRequest{
			RequestHeader: header(token), View: &ua.ViewDescription{ViewID: node.UA()},
			Filter: &ua.ContentFilter{Elements: []*ua.ContentFilterElement{}},
			NodeTypes: []*ua.NodeTypeDescription{{TypeDefinitionNode: expanded,
				DataToReturn: []*ua.QueryDataDescription{{
					RelativePath: &ua.RelativePath{Elements: []*ua.RelativePathElement{}},
					AttributeID:  ua.AttributeIDValue,
				}}}},
		}
	}
	requests["AddNodes/nothing to do"] = &ua.AddNodesRequest{RequestHeader: header(token)}
	requests["AddReferences/nothing to do"] = &ua.AddReferencesRequest{RequestHeader: header(token)}
	requests["DeleteNodes/nothing to do"] = &ua.DeleteNodesRequest{RequestHeader: header(token)}
	requests["DeleteReferences/nothing to do"] = &ua.DeleteReferencesRequest{RequestHeader: header(token)}
	requests["QueryNext/no such point"] = &ua.QueryNextRequest{RequestHeader: header(token),
		ContinuationPoint: []byte{1}}
	requests["QueryNext/release"] = &ua.QueryNextRequest{RequestHeader: header(token), ContinuationPoint: []byte{1},
		ReleaseContinuationPoint: true}
	return requests
}

func TestUnsupportedServices(t *testing.T) {
	s, url := start(t, nil)
	factory(t, s)
	c, token := newSession(t, url)
	for name, req := range wholeServices(token) {
		t.Run(name, func(t *testing.T) {
			resp, code := ask(t, c, req)
			if _, fault := resp.(*ua.ServiceFault); !fault || code != ua.StatusBadServiceUnsupported {
				t.Errorf("got %T with %v, want a ServiceFault with Bad_ServiceUnsupported", resp, code)
			}
		})
	}
}

// subscribed are the requests about subscriptions and registered nodes.
func subscribed(t *testing.T, ask func(ua.Request) any, token *ua.NodeID) map[string]serviceCase {
	t.Helper()
	create := func() uint32 {
		req := &ua.CreateSubscriptionRequest{RequestHeader: header(token), RequestedPublishingInterval: 1000,
			RequestedLifetimeCount: 1000, RequestedMaxKeepAliveCount: 100}
		return ask(req).(*ua.CreateSubscriptionResponse).SubscriptionID
	}
	sub, spare := create(), create()
	item := func() uint32 {
		made := ask(monitor(token, sub, named("taga0"), ua.AttributeIDValue, nil,
			nil)).(*ua.CreateMonitoredItemsResponse)
		return made.Results[0].MonitoredItemID
	}
	first, second, deleted := item(), item(), item()
	const none = 1 << 30
	h := func() *ua.RequestHeader { return header(token) }
	modify := func(sub uint32, stamps ua.TimestampsToReturn, filter any, items ...uint32) ua.Request {
		req := &ua.ModifyMonitoredItemsRequest{RequestHeader: h(), SubscriptionID: sub, TimestampsToReturn: stamps}
		for _, n := range items {
			p := &ua.MonitoringParameters{QueueSize: 1, Filter: ua.NewExtensionObject(filter)}
			req.ItemsToModify = append(req.ItemsToModify,
				&ua.MonitoredItemModifyRequest{MonitoredItemID: n, RequestedParameters: p})
		}
		return req
	}
	mode := func(sub uint32, mode ua.MonitoringMode, items ...uint32) ua.Request {
		return &ua.SetMonitoringModeRequest{RequestHeader: h(), SubscriptionID: sub, MonitoringMode: mode,
			MonitoredItemIDs: items}
	}
	trigger := func(sub, item uint32, add, remove []uint32) ua.Request {
		return &ua.SetTriggeringRequest{RequestHeader: h(), SubscriptionID: sub, TriggeringItemID: item,
			LinksToAdd: add, LinksToRemove: remove}
	}
	remove := func(sub uint32, items ...uint32) ua.Request {
		return &ua.DeleteMonitoredItemsRequest{RequestHeader: h(), SubscriptionID: sub, MonitoredItemIDs: items}
	}
	enable := func(subs ...uint32) ua.Request {
		return &ua.SetPublishingModeRequest{RequestHeader: h(), PublishingEnabled: true, SubscriptionIDs: subs}
	}
	transfer := func(subs ...uint32) ua.Request {
		return &ua.TransferSubscriptionsRequest{RequestHeader: h(), SubscriptionIDs: subs}
	}
	end := func(subs ...uint32) ua.Request {
		return &ua.DeleteSubscriptionsRequest{RequestHeader: h(), SubscriptionIDs: subs}
	}
	register := func(nodes ...*ua.NodeID) ua.Request {
		return &ua.RegisterNodesRequest{RequestHeader: h(), NodesToRegister: nodes}
	}
	unregister := func(nodes ...*ua.NodeID) ua.Request {
		return &ua.UnregisterNodesRequest{RequestHeader: h(), NodesToUnregister: nodes}
	}
	unknown, known := named("none").UA(), named("taga0").UA()
	return map[string]serviceCase{
		"CreateSubscription/valid": {&ua.CreateSubscriptionRequest{RequestHeader: h()}, ua.StatusOK},
		"ModifySubscription/unknown": {&ua.ModifySubscriptionRequest{RequestHeader: h(),
			SubscriptionID: none}, ua.StatusBadSubscriptionIDInvalid},
		"ModifySubscription/valid": {&ua.ModifySubscriptionRequest{RequestHeader: h(),
			SubscriptionID: sub}, ua.StatusOK},
		"SetPublishingMode/nothing to do":     {enable(), ua.StatusBadNothingToDo},
		"SetPublishingMode/unknown":           {enable(none), ua.StatusBadSubscriptionIDInvalid},
		"SetPublishingMode/valid":             {enable(sub), ua.StatusOK},
		"TransferSubscriptions/nothing to do": {transfer(), ua.StatusBadNothingToDo},
		"TransferSubscriptions/unknown":       {transfer(none), ua.StatusBadSubscriptionIDInvalid},
		"TransferSubscriptions/valid":         {transfer(sub), ua.StatusOK},
		"DeleteSubscriptions/nothing to do":   {end(), ua.StatusBadNothingToDo},
		"DeleteSubscriptions/unknown":         {end(none), ua.StatusBadSubscriptionIDInvalid},
		"DeleteSubscriptions/valid":           {end(spare), ua.StatusOK},
		"Republish/unknown": {&ua.RepublishRequest{RequestHeader: h(), SubscriptionID: none},
			ua.StatusBadSubscriptionIDInvalid},
		"Republish/no such message": {&ua.RepublishRequest{RequestHeader: h(), SubscriptionID: sub,
			RetransmitSequenceNumber: none}, ua.StatusBadMessageNotAvailable},
		"ModifyMonitoredItems/nothing to do": {modify(sub, 0, nil), ua.StatusBadNothingToDo},
		"ModifyMonitoredItems/wrong timestamps": {modify(none, 9, nil, first),
			ua.StatusBadTimestampsToReturnInvalid},
		"ModifyMonitoredItems/unknown":      {modify(none, 0, nil, first), ua.StatusBadSubscriptionIDInvalid},
		"ModifyMonitoredItems/unknown item": {modify(sub, 0, nil, none), ua.StatusBadMonitoredItemIDInvalid},
		"ModifyMonitoredItems/wrong filter": {modify(sub, 0, &ua.EventFilter{WhereClause: &ua.ContentFilter{}},
			first), ua.StatusBadFilterNotAllowed},
		"ModifyMonitoredItems/valid":      {modify(sub, 0, nil, first), ua.StatusOK},
		"SetMonitoringMode/nothing to do": {mode(sub, ua.MonitoringModeReporting), ua.StatusBadNothingToDo},
		"SetMonitoringMode/unknown": {mode(none, ua.MonitoringModeReporting, first),
			ua.StatusBadSubscriptionIDInvalid},
		"SetMonitoringMode/unknown item": {mode(sub, ua.MonitoringModeReporting, none),
			ua.StatusBadMonitoredItemIDInvalid},
		"SetMonitoringMode/wrong mode": {mode(sub, 9, first), ua.StatusBadMonitoringModeInvalid},
		"SetMonitoringMode/valid":      {mode(sub, ua.MonitoringModeReporting, first), ua.StatusOK},
		"SetTriggering/nothing to do":  {trigger(sub, first, nil, nil), ua.StatusBadNothingToDo},
		"SetTriggering/unknown": {trigger(none, first, []uint32{second}, nil),
			ua.StatusBadSubscriptionIDInvalid},
		"SetTriggering/unknown triggering item": {trigger(sub, none, []uint32{second}, nil),
			ua.StatusBadMonitoredItemIDInvalid},
		"SetTriggering/unknown item to add": {trigger(sub, first, []uint32{none}, nil),
			ua.StatusBadMonitoredItemIDInvalid},
		"SetTriggering/unknown item to remove": {trigger(sub, first, nil, []uint32{none}),
			ua.StatusBadMonitoredItemIDInvalid},
		"SetTriggering/valid":                     {trigger(sub, first, []uint32{second}, nil), ua.StatusOK},
		"DeleteMonitoredItems/nothing to do":      {remove(sub), ua.StatusBadNothingToDo},
		"DeleteMonitoredItems/unknown":            {remove(none, first), ua.StatusBadSubscriptionIDInvalid},
		"DeleteMonitoredItems/unknown item":       {remove(sub, none), ua.StatusBadMonitoredItemIDInvalid},
		"DeleteMonitoredItems/valid":              {remove(sub, deleted), ua.StatusOK},
		"RegisterNodes/nothing to do":             {register(), ua.StatusBadNothingToDo},
		"RegisterNodes/unknown node is copied":    {register(unknown), ua.StatusOK},
		"RegisterNodes/valid":                     {register(known), ua.StatusOK},
		"UnregisterNodes/nothing to do":           {unregister(), ua.StatusBadNothingToDo},
		"UnregisterNodes/unknown node is ignored": {unregister(unknown), ua.StatusOK},
		"UnregisterNodes/valid":                   {unregister(known), ua.StatusOK},
		"Cancel/unknown request": {&ua.CancelRequest{RequestHeader: h(), RequestHandle: none},
			ua.StatusOK},
	}
}

type serviceCase struct {
	req  ua.Request
	want ua.StatusCode
}

func TestRefusalsOfSubscriptionServices(t *testing.T) {
	s, url := start(t, nil)
	factory(t, s)
	c, token := newSession(t, url)
	cases := subscribed(t, func(req ua.Request) any { resp, _ := ask(t, c, req); return resp }, token)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := codeOf(t, c, tc.req); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
	other, otherToken := newSession(t, url)
	if _, code := ask(t, other,
		&ua.PublishRequest{RequestHeader: header(otherToken)}); code != ua.StatusBadNoSubscription {
		t.Errorf("Publish without a subscription: got %v, want Bad_NoSubscription", code)
	}
	resp, _ := ask(t, c,
		&ua.RegisterNodesRequest{RequestHeader: header(token), NodesToRegister: []*ua.NodeID{named("none").UA()}})
	if got := resp.(*ua.RegisterNodesResponse).RegisteredNodeIDs; len(got) != 1 ||
		got[0].String() != named("none").UA().String() {
		t.Errorf("an unknown node was registered as %v, want it as it is", got)
	}
}

// TestEachServiceHasRefusalTests: a service that is added has its refusals tested.
func TestEachServiceHasRefusalTests(t *testing.T) {
	s, url := start(t, nil)
	factory(t, s)
	c, token := newSession(t, url)
	resp, _ := ask(t, c, &ua.CreateSubscriptionRequest{RequestHeader: header(token)})
	tested := map[uint32]bool{
		// they refuse nothing
		id.GetEndpointsRequest_Encoding_DefaultBinary: true, id.FindServersRequest_Encoding_DefaultBinary: true,
		// access_test.go
		id.CreateSessionRequest_Encoding_DefaultBinary: true, id.ActivateSessionRequest_Encoding_DefaultBinary: true,
		id.CloseSessionRequest_Encoding_DefaultBinary: true, // session_test.go
		id.PublishRequest_Encoding_DefaultBinary:      true, // above
	}
	for _, tc := range nodeServices(token, resp.(*ua.CreateSubscriptionResponse).SubscriptionID) {
		tested[uint32(ua.ServiceTypeID(tc.req))] = true
	}
	for _, tc := range subscribed(t, func(req ua.Request) any { resp, _ := ask(t, c, req); return resp }, token) {
		tested[uint32(ua.ServiceTypeID(tc.req))] = true
	}
	for _, req := range wholeServices(token) {
		tested[uint32(ua.ServiceTypeID(req))] = true
	}
	for n := range services {
		if !tested[n] {
			t.Errorf("no refusal of %s is tested", id.Name(n))
		}
	}
}

// codeOf sends a request with one operation and returns that one's code, or the service's.
func codeOf(t *testing.T, c *channel.Client, req ua.Request) ua.StatusCode {
	t.Helper()
	resp, code := ask(t, c, req)
	switch r := resp.(type) {
	case *ua.ReadResponse:
		return r.Results[0].Status
	case *ua.WriteResponse:
		return r.Results[0]
	case *ua.CallResponse:
		return r.Results[0].StatusCode
	case *ua.HistoryReadResponse:
		return r.Results[0].StatusCode
	case *ua.HistoryUpdateResponse:
		return r.Results[0].StatusCode
	case *ua.BrowseResponse:
		return r.Results[0].StatusCode
	case *ua.BrowseNextResponse:
		return r.Results[0].StatusCode
	case *ua.TranslateBrowsePathsToNodeIDsResponse:
		return r.Results[0].StatusCode
	case *ua.CreateMonitoredItemsResponse:
		return r.Results[0].StatusCode
	case *ua.ModifyMonitoredItemsResponse:
		return r.Results[0].StatusCode
	case *ua.DeleteMonitoredItemsResponse:
		return r.Results[0]
	case *ua.SetMonitoringModeResponse:
		return r.Results[0]
	case *ua.SetTriggeringResponse:
		return append(r.AddResults, r.RemoveResults...)[0]
	case *ua.SetPublishingModeResponse:
		return r.Results[0]
	case *ua.TransferSubscriptionsResponse:
		return r.Results[0].StatusCode
	case *ua.DeleteSubscriptionsResponse:
		return r.Results[0]
	}
	return code
}
