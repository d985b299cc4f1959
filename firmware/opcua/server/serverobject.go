package server

import (
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// ownAttribute returns attributes that are the server's own and not the source's: its status,
// ServiceLevel, limits and diagnostics. Which of these nodes exist is up to the address space.
func (s *Server) ownAttribute(v addrspace.View, node rawvalue.NodeID, attribute ua.AttributeID) ([]byte, bool) {
	if node.Namespace != 0 || node.Kind != rawvalue.Numeric {
		return nil, false
	}
	if node.Number == id.Server && attribute == ua.AttributeIDEventNotifier {
		if s.cfg.Historian != nil {
			return s.encodeValue(byte(1 | historyReadBit)), true
		}
		return s.encodeValue(byte(1)), true // SubscribeToEvents, and no history
	}
	if attribute != ua.AttributeIDValue {
		return nil, false
	}
	switch node.Number {
	case id.Server_ServerArray:
		return s.serverArray(), true
	case id.Server_NamespaceArray: // the source's, once it arrived; clients need one before
		_, known := s.values.get(node)
		return s.encodeValue(*s.namespaces.Load()), !known
	}
	if value, ok := s.statusValue(node.Number); ok {
		return s.encodeValue(value), true
	}
	// What does not change has one time, so that a client is not notified of it with each sample.
	if value, ok := s.capabilityValue(node.Number); ok {
		return s.encodeValueAt(value, s.started), true
	}
	if value, ok := s.historyCapabilityValue(node.Number); ok {
		return s.encodeValueAt(value, s.started), true
	}
	if value, ok := s.diagnosticValue(node.Number); ok {
		return s.encodeValue(value), true
	}
	return nil, false
}

// encodeValue encodes a value of the library's types as a DataValue with the current time.
func (s *Server) encodeValue(value any) []byte { return s.encodeValueAt(value, s.cfg.Now()) }

// encodeValueAt is encodeValue with another source timestamp.
func (s *Server) encodeValueAt(value any, at time.Time) []byte {
	if code, ok := value.(ua.StatusCode); ok {
		return rawvalue.AppendStatus(nil, code, rawvalue.Answer{})
	}
	raw, ok := value.([]byte) // a Variant already
	if !ok {
		var err error
		if raw, err = ua.MustVariant(value).Encode(); err != nil {
			return rawvalue.AppendStatus(nil, ua.StatusBadInternalError, rawvalue.Answer{})
		}
	}
	const valueAndSourceTime = 0x05
	return uabinary.AppendDateTime(append([]byte{valueAndSourceTime}, raw...), at)
}

// noObjects is an empty array of ExtensionObjects.
var noObjects = []byte{byte(ua.TypeIDExtensionObject) | 0x80, 0, 0, 0, 0}

func (s *Server) statusValue(number uint32) (any, bool) {
	b := s.cfg.Build
	info := &ua.BuildInfo{
		ProductURI: s.cfg.ProductURI, ManufacturerName: b.Manufacturer, ProductName: b.ProductName,
		SoftwareVersion: b.Version, BuildNumber: b.Version, BuildDate: b.Date,
	}
	switch number {
	case id.Server_ServerStatus:
		return ua.NewExtensionObject(&ua.ServerStatusDataType{
			StartTime: s.started, CurrentTime: s.cfg.Now(), State: ua.ServerState(s.serverState.Load()),
			BuildInfo: info, ShutdownReason: ua.NewLocalizedText(""),
		}), true
	case id.Server_ServerStatus_StartTime:
		return s.started, true
	case id.Server_ServerStatus_CurrentTime:
		return s.cfg.Now(), true
	case id.Server_ServerStatus_State:
		return int32(s.serverState.Load()), true
	case id.Server_ServerStatus_SecondsTillShutdown:
		return uint32(0), true
	case id.Server_ServerStatus_ShutdownReason:
		return ua.NewLocalizedText(""), true
	case id.Server_ServerStatus_BuildInfo:
		return ua.NewExtensionObject(info), true
	case id.Server_ServerStatus_BuildInfo_ProductURI:
		return info.ProductURI, true
	case id.Server_ServerStatus_BuildInfo_ProductName:
		return info.ProductName, true
	case id.Server_ServerStatus_BuildInfo_ManufacturerName:
		return info.ManufacturerName, true
	case id.Server_ServerStatus_BuildInfo_SoftwareVersion:
		return info.SoftwareVersion, true
	case id.Server_ServerStatus_BuildInfo_BuildNumber:
		return info.BuildNumber, true
	case id.Server_ServerStatus_BuildInfo_BuildDate:
		return info.BuildDate, true
	case id.Server_ServiceLevel:
		return byte(s.serviceLevel.Load()), true
	case id.Server_Auditing:
		return false, true
	case id.Server_ServerRedundancy_RedundancySupport:
		return int32(ua.RedundancySupportNone), true
	case id.Server_ServerRedundancy_CurrentServerID:
		return "", true
	case id.Server_ServerRedundancy_ServerURIArray:
		return []string{}, true
	case id.Server_ServerRedundancy_RedundantServerArray, id.Server_ServerRedundancy_ServerNetworkGroups:
		return noObjects, true
	}
	return nil, false
}

// serverArray returns the source's with our own ApplicationUri in place of the first.
func (s *Server) serverArray() []byte {
	uris := []string{s.cfg.ApplicationURI}
	raw, _ := s.values.get(rawvalue.NodeID{Number: id.Server_ServerArray})
	if dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{}); err == nil && dv.Value.Type() == ua.TypeIDString {
		for i, element := range dv.Value.Each() {
			c := rawvalue.NewCursor(element, rawvalue.Limits{})
			if uri := c.Bytes(); i > 0 {
				uris = append(uris, string(uri))
			}
		}
	}
	return s.encodeValue(uris)
}

func (s *Server) capabilityValue(number uint32) (any, bool) {
	l, subscriptions := s.cfg.Limits, s.engine.Limits()
	switch number {
	case id.Server_ServerCapabilities_ServerProfileArray:
		return []string{}, true // no conformance is claimed
	case id.Server_ServerCapabilities_LocaleIDArray:
		return []string{}, true // unknown: the transmitter asks the source for no locale
	case id.Server_ServerCapabilities_MinSupportedSampleRate:
		return float64(subscriptions.MinInterval) / float64(time.Millisecond), true
	case id.Server_ServerCapabilities_MaxBrowseContinuationPoints:
		return uint16(l.ContinuationPoints), true
	case id.Server_ServerCapabilities_MaxQueryContinuationPoints:
		return uint16(0), true
	case id.Server_ServerCapabilities_SoftwareCertificates:
		return noObjects, true
	case id.Server_ServerCapabilities_MaxArrayLength, id.Server_ServerCapabilities_MaxStringLength,
		id.Server_ServerCapabilities_MaxByteStringLength:
		return l.Message, true
	case id.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerRegisterNodes,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIDs,
		id.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerWrite:
		return uint32(l.Operations), true
	case id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryUpdateData,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryUpdateEvents,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerNodeManagement:
		return uint32(l.Operations), true // refused, but within this limit
	case id.Server_ServerCapabilities_OperationLimits_MaxNodesPerMethodCall:
		return uint32(min(maxMethods, l.Operations)), true
	case id.Server_ServerCapabilities_MaxSessions:
		return uint32(l.Sessions), true
	case id.Server_ServerCapabilities_MaxSubscriptions:
		return uint32(subscriptions.Subscriptions), true
	case id.Server_ServerCapabilities_MaxSubscriptionsPerSession:
		return uint32(subscriptions.SubscriptionsPerSession), true
	case id.Server_ServerCapabilities_MaxMonitoredItems:
		return uint32(subscriptions.Items), true
	case id.Server_ServerCapabilities_MaxMonitoredItemsPerSubscription:
		return uint32(subscriptions.ItemsPerSubscription), true
	case id.Server_ServerCapabilities_MaxMonitoredItemsQueueSize:
		return subscriptions.DataQueue, true
	case id.Server_ServerCapabilities_MaxSelectClauseParameters:
		return uint32(event.DefaultSelectClauses), true
	case id.Server_ServerCapabilities_MaxWhereClauseParameters:
		return uint32(event.DefaultOperands), true
	case id.Server_ServerCapabilities_ConformanceUnits: // none is claimed
		return []byte{byte(ua.TypeIDQualifiedName) | 0x80, 0, 0, 0, 0}, true
	}
	return nil, false
}

// historyCapabilityValue returns a value of HistoryServerCapabilities (OPC 10000-11 §5.4.2), or a limit
// of HistoryRead: what is read, if anything is kept. No history is changed. There is one timestamp of
// each value: that of the source is also the server's.
func (s *Server) historyCapabilityValue(number uint32) (any, bool) {
	kept := s.cfg.Historian != nil
	nodes, points, values, events := s.cfg.Limits.HistoryNodes, s.cfg.Limits.HistoryPoints, maxHistoryValues,
		maxHistoryEvents
	if !kept {
		nodes, points, values, events = s.cfg.Limits.Operations, 0, 0, 0 // refused, but within this limit
	}
	switch number {
	case id.HistoryServerCapabilities_AccessHistoryDataCapability,
		id.HistoryServerCapabilities_AccessHistoryEventsCapability,
		id.HistoryServerCapabilities_ServerTimestampSupported:
		return kept, true
	case id.HistoryServerCapabilities_InsertDataCapability, id.HistoryServerCapabilities_ReplaceDataCapability,
		id.HistoryServerCapabilities_UpdateDataCapability,
		id.HistoryServerCapabilities_DeleteRawCapability, id.HistoryServerCapabilities_DeleteAtTimeCapability,
		id.HistoryServerCapabilities_InsertEventCapability, id.HistoryServerCapabilities_ReplaceEventCapability,
		id.HistoryServerCapabilities_UpdateEventCapability, id.HistoryServerCapabilities_DeleteEventCapability,
		id.HistoryServerCapabilities_InsertAnnotationCapability:
		return false, true
	case id.HistoryServerCapabilities_MaxReturnDataValues:
		return uint32(values), true
	case id.HistoryServerCapabilities_MaxReturnEventValues:
		return uint32(events), true
	case id.Server_ServerCapabilities_MaxHistoryContinuationPoints:
		return uint16(points), true
	case id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData,
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadEvents:
		return uint32(nodes), true
	}
	return nil, false
}
