package server

import (
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// factory adds methods, a type with an instance, and notifiers to the space.
func factory(t testing.TB, s *Server) {
	t.Helper()
	var changes []addrspace.Change
	add := func(node rawvalue.NodeID, class ua.NodeClass, name string, notifier byte, refs ...addrspace.Reference) {
		n := addrspace.Node{ID: node, References: refs, Attributes: []addrspace.Attribute{
			{ID: ua.AttributeIDNodeClass, Value: dataValue(t, int32(class))},
			{ID: ua.AttributeIDBrowseName, Value: dataValue(t, &ua.QualifiedName{Name: name})},
		}}
		if class == ua.NodeClassObject {
			n.Attributes = append(n.Attributes,
				addrspace.Attribute{ID: ua.AttributeIDEventNotifier, Value: dataValue(t, notifier)})
		}
		changes = append(changes, addrspace.Change{Kind: addrspace.Put, Node: n})
	}
	ref := func(kind uint32, to rawvalue.NodeID) addrspace.Reference {
		return addrspace.Reference{Type: ns0(kind), Target: to}
	}
	add(ns0(id.HasProperty), ua.NodeClassReferenceType, "HasProperty", 0)
	add(ns0(id.HasTypeDefinition), ua.NodeClassReferenceType, "HasTypeDefinition", 0)
	for _, builtin := range []uint32{id.BaseDataType, id.Number} {
		add(ns0(builtin), ua.NodeClassDataType, id.Name(builtin), 0)
	}
	add(ns0(id.Double), ua.NodeClassDataType, "Double", 0,
		addrspace.Reference{Type: ns0(id.HasSubtype), Target: ns0(id.Number), Inverse: true})
	add(ns0(id.String), ua.NodeClassDataType, "String", 0,
		addrspace.Reference{Type: ns0(id.HasSubtype), Target: ns0(id.BaseDataType), Inverse: true})
	add(ns0(id.Duration), ua.NodeClassDataType, "Duration", 0,
		addrspace.Reference{Type: ns0(id.HasSubtype), Target: ns0(id.Double), Inverse: true})
	add(named("line"), ua.NodeClassObject, "Line", 1, ref(id.HasComponent, named("start")),
		ref(id.HasComponent, named("halt")))
	add(named("start"), ua.NodeClassMethod, "Start", 0, ref(id.HasProperty, named("arguments")))
	add(named("arguments"), ua.NodeClassVariable, "InputArguments", 0)
	add(named("halt"), ua.NodeClassMethod, "Halt", 0)
	add(named("stray"), ua.NodeClassMethod, "Stray", 0)
	add(named("BasePress"), ua.NodeClassObjectType, "BasePress", 0, ref(id.HasComponent, named("reset")))
	add(named("Press"), ua.NodeClassObjectType, "Press", 0,
		addrspace.Reference{Type: ns0(id.HasSubtype), Target: named("BasePress"), Inverse: true})
	add(named("reset"), ua.NodeClassMethod, "Reset", 0)
	add(named("press"), ua.NodeClassObject, "Press1", 0, ref(id.HasTypeDefinition, named("Press")))
	add(ns0(id.Server), ua.NodeClassObject, "Server", 1, ref(id.HasComponent, ns0(id.Server_ServerStatus)),
		ref(id.HasComponent, ns0(id.Server_GetMonitoredItems)), ref(id.HasComponent, ns0(id.Server_ResendData)))
	add(ns0(id.Server_GetMonitoredItems), ua.NodeClassMethod, "GetMonitoredItems", 0)
	add(ns0(id.Server_ResendData), ua.NodeClassMethod, "ResendData", 0)
	if _, err := s.cfg.Space.Apply(changes); err != nil {
		t.Fatal(err)
	}
	argument := func(kind uint32) *ua.ExtensionObject {
		return ua.NewExtensionObject(
			&ua.Argument{Name: "x", DataType: ua.NewNumericNodeID(0, kind), ValueRank: -1, ArrayDimensions: []uint32{},
				Description: ua.NewLocalizedText("")})
	}
	s.Set(named("arguments"), dataValue(t, []*ua.ExtensionObject{argument(id.Duration), argument(id.Number)}))
	s.Set(named("taga0"), dataValue(t, 1.5))
	s.Set(named("tagb0"), dataValue(t, []float64{1, 2, 3}))
}

func call(token *ua.NodeID, object, method rawvalue.NodeID, arguments ...any) ua.Request {
	m := &ua.CallMethodRequest{ObjectID: object.UA(), MethodID: method.UA()}
	for _, a := range arguments {
		m.InputArguments = append(m.InputArguments, ua.MustVariant(a))
	}
	return &ua.CallRequest{RequestHeader: header(token), MethodsToCall: []*ua.CallMethodRequest{m}}
}

func monitor(token *ua.NodeID, subscription uint32, node rawvalue.NodeID, a ua.AttributeID,
	change func(*ua.ReadValueID), filter any) ua.Request {
	item := &ua.ReadValueID{NodeID: node.UA(), AttributeID: a, DataEncoding: &ua.QualifiedName{}}
	if change != nil {
		change(item)
	}
	return &ua.CreateMonitoredItemsRequest{RequestHeader: header(token), SubscriptionID: subscription,
		TimestampsToReturn: ua.TimestampsToReturnBoth,
		ItemsToCreate: []*ua.MonitoredItemCreateRequest{{ItemToMonitor: item,
			MonitoringMode:      ua.MonitoringModeReporting,
			RequestedParameters: &ua.MonitoringParameters{Filter: ua.NewExtensionObject(filter), QueueSize: 1}}}}
}

func readOf(token *ua.NodeID, node rawvalue.NodeID, a ua.AttributeID, change func(*ua.ReadValueID)) ua.Request {
	item := &ua.ReadValueID{NodeID: node.UA(), AttributeID: a, DataEncoding: &ua.QualifiedName{}}
	if change != nil {
		change(item)
	}
	return &ua.ReadRequest{RequestHeader: header(token), NodesToRead: []*ua.ReadValueID{item}}
}

func writeOf(token *ua.NodeID, node rawvalue.NodeID, a ua.AttributeID, part string) ua.Request {
	return &ua.WriteRequest{RequestHeader: header(token),
		NodesToWrite: []*ua.WriteValue{{NodeID: node.UA(), AttributeID: a, IndexRange: part,
			Value: &ua.DataValue{EncodingMask: ua.DataValueValue, Value: ua.MustVariant(1.5)}}}}
}

func historyOf(token *ua.NodeID, node rawvalue.NodeID, change func(*ua.HistoryReadRequest)) ua.Request {
	r := &ua.HistoryReadRequest{RequestHeader: header(token),
		HistoryReadDetails: ua.NewExtensionObject(
			&ua.ReadRawModifiedDetails{StartTime: time.Unix(0, 0), EndTime: time.Unix(1, 0)}),
		TimestampsToReturn: ua.TimestampsToReturnBoth,
		NodesToRead:        []*ua.HistoryReadValueID{{NodeID: node.UA(), DataEncoding: &ua.QualifiedName{}}}}
	if change != nil {
		change(r)
	}
	return r
}

func updateOf(token *ua.NodeID, details any) ua.Request {
	return &ua.HistoryUpdateRequest{RequestHeader: header(token),
		HistoryUpdateDetails: []*ua.ExtensionObject{ua.NewExtensionObject(details)}}
}

func browseOf(token *ua.NodeID, node, kind rawvalue.NodeID, direction ua.BrowseDirection) ua.Request {
	return &ua.BrowseRequest{RequestHeader: header(token), View: &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(0)},
		NodesToBrowse: []*ua.BrowseDescription{{NodeID: node.UA(), ReferenceTypeID: kind.UA(),
			BrowseDirection: direction, IncludeSubtypes: true}}}
}

func translateOf(token *ua.NodeID, node rawvalue.NodeID, names ...string) ua.Request {
	path := &ua.RelativePath{Elements: []*ua.RelativePathElement{}}
	for _, n := range names {
		path.Elements = append(path.Elements,
			&ua.RelativePathElement{ReferenceTypeID: ua.NewTwoByteNodeID(id.HierarchicalReferences),
				IncludeSubtypes: true, TargetName: &ua.QualifiedName{Name: n, NamespaceIndex: 1}})
	}
	return &ua.TranslateBrowsePathsToNodeIDsRequest{RequestHeader: header(token),
		BrowsePaths: []*ua.BrowsePath{{StartingNode: node.UA(), RelativePath: path}}}
}

// nodeServices are the requests about nodes: their attributes, methods, history and references.
func nodeServices(token *ua.NodeID, sub uint32) map[string]serviceCase {
	var (
		none, plant, line, tag, list = named("none"), named("plant"), named("line"), named("taga0"), named("tagb0")
		value, notifier              = ua.AttributeIDValue, ua.AttributeIDEventNotifier
		server, refreshed            = ns0(id.Server), ns0(id.ConditionType)
	)
	part := func(text string) func(*ua.ReadValueID) { return func(r *ua.ReadValueID) { r.IndexRange = text } }
	encoding := func(name string) func(*ua.ReadValueID) {
		return func(r *ua.ReadValueID) { r.DataEncoding = &ua.QualifiedName{Name: name} }
	}
	events := &ua.EventFilter{WhereClause: &ua.ContentFilter{}, SelectClauses: []*ua.SimpleAttributeOperand{{
		TypeDefinitionID: ua.NewNumericNodeID(0, id.BaseEventType), BrowsePath: []*ua.QualifiedName{{Name: "EventId"}},
		AttributeID: value}}}
	noDetails := func(r *ua.HistoryReadRequest) { r.HistoryReadDetails = ua.NewExtensionObject(nil) }
	h := header(token)
	return map[string]serviceCase{
		"Read/nothing to do": {&ua.ReadRequest{RequestHeader: h}, ua.StatusBadNothingToDo},
		"Read/wrong timestamps": {&ua.ReadRequest{RequestHeader: h, TimestampsToReturn: 9,
			NodesToRead: []*ua.ReadValueID{{NodeID: none.UA(), DataEncoding: &ua.QualifiedName{}}}},
			ua.StatusBadTimestampsToReturnInvalid},
		"Read/wrong age": {&ua.ReadRequest{RequestHeader: h, MaxAge: -1,
			NodesToRead: []*ua.ReadValueID{{NodeID: none.UA(), DataEncoding: &ua.QualifiedName{}}}},
			ua.StatusBadMaxAgeInvalid},
		"Write/nothing to do": {&ua.WriteRequest{RequestHeader: h}, ua.StatusBadNothingToDo},
		"Call/nothing to do":  {&ua.CallRequest{RequestHeader: h}, ua.StatusBadNothingToDo},
		"HistoryUpdate/nothing to do": {&ua.HistoryUpdateRequest{RequestHeader: h},
			ua.StatusBadNothingToDo},
		"HistoryUpdate/wrong class": {updateOf(token, &ua.DeleteRawModifiedDetails{NodeID: plant.UA()}),
			ua.StatusBadHistoryOperationUnsupported},
		"HistoryUpdate/wrong argument": {updateOf(token, &ua.ReadRawModifiedDetails{}),
			ua.StatusBadHistoryOperationInvalid},
		"HistoryRead/nothing to do": {historyOf(token, tag,
			func(r *ua.HistoryReadRequest) { r.NodesToRead = nil }), ua.StatusBadNothingToDo},
		"Browse/nothing to do": {&ua.BrowseRequest{RequestHeader: h,
			View: &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(0)}}, ua.StatusBadNothingToDo},
		"BrowseNext/nothing to do": {&ua.BrowseNextRequest{RequestHeader: h}, ua.StatusBadNothingToDo},
		"Translate/nothing to do": {&ua.TranslateBrowsePathsToNodeIDsRequest{RequestHeader: h},
			ua.StatusBadNothingToDo},
		"Monitor/nothing to do": {&ua.CreateMonitoredItemsRequest{RequestHeader: h,
			SubscriptionID: sub}, ua.StatusBadNothingToDo},
		"Monitor/unknown subscription": {monitor(token, sub+1, tag, value, nil, nil),
			ua.StatusBadSubscriptionIDInvalid},
		"Read/unknown node":            {readOf(token, none, value, nil), ua.StatusBadNodeIDUnknown},
		"Read/unknown node, attribute": {readOf(token, none, 99, nil), ua.StatusBadNodeIDUnknown},
		"Read/unknown node, range":     {readOf(token, none, value, part("x")), ua.StatusBadNodeIDUnknown},
		"Read/wrong class":             {readOf(token, plant, value, nil), ua.StatusBadAttributeIDInvalid},
		"Read/wrong class, range": {readOf(token, plant, value, part("x")),
			ua.StatusBadAttributeIDInvalid},
		"Read/wrong attribute": {readOf(token, tag, 99, nil), ua.StatusBadAttributeIDInvalid},
		"Read/wrong attribute, encoding": {readOf(token, tag, 99, encoding("x")),
			ua.StatusBadAttributeIDInvalid},
		"Read/wrong range": {readOf(token, list, value, part("x")),
			ua.StatusBadIndexRangeInvalid},
		"Read/range without data": {readOf(token, list, value, part("7:9")),
			ua.StatusBadIndexRangeNoData},
		"Read/range of an attribute": {readOf(token, tag, ua.AttributeIDBrowseName, part("0")),
			ua.StatusBadIndexRangeInvalid},
		"Read/wrong encoding": {readOf(token, tag, value, encoding("x")),
			ua.StatusBadDataEncodingInvalid},
		"Read/valid":            {readOf(token, list, value, part("1")), ua.StatusOK},
		"Write/unknown node":    {writeOf(token, none, value, ""), ua.StatusBadNodeIDUnknown},
		"Write/wrong class":     {writeOf(token, plant, value, ""), ua.StatusBadAttributeIDInvalid},
		"Write/wrong attribute": {writeOf(token, tag, 99, ""), ua.StatusBadAttributeIDInvalid},
		"Write/wrong range":     {writeOf(token, list, value, "x"), ua.StatusBadIndexRangeInvalid},
		"Write/valid":           {writeOf(token, tag, value, ""), ua.StatusBadNotWritable},
		"Write/valid, attribute": {writeOf(token, tag, ua.AttributeIDDisplayName, ""),
			ua.StatusBadNotWritable},
		"Call/unknown object":           {call(token, none, named("start")), ua.StatusBadNodeIDUnknown},
		"Call/unknown method":           {call(token, line, none), ua.StatusBadMethodInvalid},
		"Call/object of a wrong class":  {call(token, tag, named("start")), ua.StatusBadMethodInvalid},
		"Call/method of a wrong class":  {call(token, line, plant), ua.StatusBadMethodInvalid},
		"Call/method of another object": {call(token, line, named("stray")), ua.StatusBadMethodInvalid},
		"Call/arguments missing": {call(token, line, named("start"), 1.5),
			ua.StatusBadArgumentsMissing},
		"Call/too many arguments": {call(token, line, named("start"), 1.5, 1.5, 1.5),
			ua.StatusBadTooManyArguments},
		"Call/too many for a method without": {call(token, line, named("halt"), 1.5),
			ua.StatusBadTooManyArguments},
		"Call/wrong argument": {call(token, line, named("start"), "x", 1.5),
			ua.StatusBadInvalidArgument},
		"Call/wrong abstract argument": {call(token, line, named("start"), 1.5, "x"),
			ua.StatusBadInvalidArgument},
		"Call/array for a scalar": {call(token, line, named("start"), []float64{1}, 1.5),
			ua.StatusBadInvalidArgument},
		"Call/valid": {call(token, line, named("start"), 1.5, 1.5),
			ua.StatusBadNotExecutable},
		"Call/valid, without arguments": {call(token, line, named("halt")), ua.StatusBadNotExecutable},
		"Call/valid, of the type": {call(token, named("press"), named("reset")),
			ua.StatusBadNotExecutable},
		"Call/valid, on the type": {call(token, named("Press"), named("reset")),
			ua.StatusBadNotExecutable},
		"Call/GetMonitoredItems on another object": {call(token, line, ns0(id.Server_GetMonitoredItems), sub),
			ua.StatusBadMethodInvalid},
		"Call/ResendData on another object": {call(token, plant, ns0(id.Server_ResendData), sub),
			ua.StatusBadMethodInvalid},
		"Call/GetMonitoredItems, wrong argument": {call(token, server, ns0(id.Server_GetMonitoredItems), 1.5),
			ua.StatusBadInvalidArgument},
		"Call/GetMonitoredItems, wrong id": {call(token, server, ns0(id.Server_GetMonitoredItems), sub+1),
			ua.StatusBadSubscriptionIDInvalid},
		"Call/GetMonitoredItems": {call(token, server, ns0(id.Server_GetMonitoredItems), sub),
			ua.StatusOK},
		"Call/ConditionRefresh without its type": {call(token, refreshed, ns0(id.ConditionType_ConditionRefresh), sub),
			ua.StatusOK},
		"Call/ConditionRefresh on another object": {call(token, line, ns0(id.ConditionType_ConditionRefresh), sub),
			ua.StatusBadMethodInvalid},
		"HistoryRead/unknown node": {historyOf(token, none, nil), ua.StatusBadNodeIDUnknown},
		"HistoryRead/wrong class":  {historyOf(token, plant, nil), ua.StatusBadHistoryOperationUnsupported},
		"HistoryRead/no details":   {historyOf(token, tag, noDetails), ua.StatusBadHistoryOperationInvalid},
		"HistoryRead/wrong timestamps": {historyOf(token, tag,
			func(r *ua.HistoryReadRequest) { r.TimestampsToReturn = 9 }),
			ua.StatusBadTimestampsToReturnInvalid},
		"HistoryRead/wrong range": {historyOf(token, tag,
			func(r *ua.HistoryReadRequest) { r.NodesToRead[0].IndexRange = "x" }), ua.StatusBadIndexRangeInvalid},
		"HistoryRead/wrong encoding": {historyOf(token, tag,
			func(r *ua.HistoryReadRequest) { r.NodesToRead[0].DataEncoding.Name = "x" }),
			ua.StatusBadDataEncodingInvalid},
		"HistoryRead/no such point": {historyOf(token, tag,
			func(r *ua.HistoryReadRequest) { r.NodesToRead[0].ContinuationPoint = []byte{1} }),
			ua.StatusBadContinuationPointInvalid},
		"HistoryRead/valid": {historyOf(token, tag, nil), ua.StatusBadHistoryOperationUnsupported},
		"HistoryUpdate/unknown node": {updateOf(token, &ua.DeleteRawModifiedDetails{NodeID: none.UA()}),
			ua.StatusBadNodeIDUnknown},
		"HistoryUpdate/no details": {updateOf(token, nil), ua.StatusBadHistoryOperationInvalid},
		"HistoryUpdate/valid": {updateOf(token, &ua.DeleteRawModifiedDetails{NodeID: tag.UA()}),
			ua.StatusBadHistoryOperationUnsupported},
		"Browse/unknown node": {browseOf(token, none, ns0(id.HierarchicalReferences), 0),
			ua.StatusBadNodeIDUnknown},
		"Browse/unknown type":          {browseOf(token, plant, none, 0), ua.StatusBadReferenceTypeIDInvalid},
		"Browse/type of a wrong class": {browseOf(token, plant, tag, 0), ua.StatusBadReferenceTypeIDInvalid},
		"Browse/wrong direction": {browseOf(token, plant, ns0(id.HierarchicalReferences), 9),
			ua.StatusBadBrowseDirectionInvalid},
		"Browse/valid": {browseOf(token, plant, ns0(id.HierarchicalReferences), 0), ua.StatusOK},
		"BrowseNext/no such point": {&ua.BrowseNextRequest{RequestHeader: header(token),
			ContinuationPoints: [][]byte{{1}}}, ua.StatusBadContinuationPointInvalid},
		"Translate/unknown node":      {translateOf(token, none, "x"), ua.StatusBadNodeIDUnknown},
		"Translate/no path":           {translateOf(token, plant), ua.StatusBadNothingToDo},
		"Translate/name missing":      {translateOf(token, plant, "", "x"), ua.StatusBadBrowseNameInvalid},
		"Translate/leads nowhere":     {translateOf(token, plant, "x"), ua.StatusBadNoMatch},
		"Translate/valid":             {translateOf(token, plant, "taga0"), ua.StatusOK},
		"Monitor/unknown node":        {monitor(token, sub, none, value, nil, nil), ua.StatusBadNodeIDUnknown},
		"Monitor/unknown node, range": {monitor(token, sub, none, value, part("x"), nil), ua.StatusBadNodeIDUnknown},
		"Monitor/wrong class":         {monitor(token, sub, plant, value, nil, nil), ua.StatusBadAttributeIDInvalid},
		"Monitor/wrong attribute": {monitor(token, sub, tag, 99, encoding("x"), nil),
			ua.StatusBadAttributeIDInvalid},
		"Monitor/wrong range": {monitor(token, sub, list, value, part("x"), nil),
			ua.StatusBadIndexRangeInvalid},
		"Monitor/wrong encoding": {monitor(token, sub, tag, value, encoding("x"), nil),
			ua.StatusBadDataEncodingInvalid},
		"Monitor/wrong filter": {monitor(token, sub, tag, value, nil, events), ua.StatusBadFilterNotAllowed},
		"Monitor/filter of a name": {monitor(token, sub, tag, ua.AttributeIDBrowseName, nil,
			&ua.DataChangeFilter{}), ua.StatusBadFilterNotAllowed},
		"Monitor/valid": {monitor(token, sub, tag, value, nil, nil), ua.StatusOK},
		"Monitor/events, wrong class": {monitor(token, sub, tag, notifier, nil, events),
			ua.StatusBadAttributeIDInvalid},
		"Monitor/events, no notifier": {monitor(token, sub, named("press"), notifier, nil, events),
			ua.StatusBadNotSupported},
		"Monitor/events, valid":        {monitor(token, sub, line, notifier, nil, events), ua.StatusOK},
		"Monitor/events of the server": {monitor(token, sub, server, notifier, nil, events), ua.StatusOK},
	}
}
