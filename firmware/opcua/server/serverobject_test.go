package server

import (
	"bytes"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// TestRedundancyAndCapabilitiesAreTheMirrorsOwn: what the source says of itself is not
// served, where the source has such a node.
func TestRedundancyAndCapabilitiesAreTheMirrorsOwn(t *testing.T) {
	s, _ := start(t, nil)
	for _, n := range []uint32{
		id.Server_ServerRedundancy_CurrentServerID, id.Server_ServerRedundancy_RedundantServerArray,
		id.Server_ServerRedundancy_ServerURIArray,
		id.Server_ServerRedundancy_ServerNetworkGroups, id.Server_ServerCapabilities_MaxSubscriptions,
		id.Server_ServerCapabilities_MaxSubscriptionsPerSession,
		id.Server_ServerCapabilities_MaxMonitoredItems, id.Server_ServerCapabilities_MaxMonitoredItemsPerSubscription,
		id.Server_ServerCapabilities_MaxMonitoredItemsQueueSize, id.Server_ServerCapabilities_MaxSelectClauseParameters,
		id.Server_ServerCapabilities_MaxWhereClauseParameters, id.Server_ServerCapabilities_ConformanceUnits,
		id.HistoryServerCapabilities_AccessHistoryDataCapability,
		id.HistoryServerCapabilities_AccessHistoryEventsCapability,
		id.HistoryServerCapabilities_DeleteEventCapability, id.HistoryServerCapabilities_MaxReturnDataValues,
	} {
		node := addrspace.Node{ID: ns0(n),
			Attributes: []addrspace.Attribute{{ID: ua.AttributeIDNodeClass,
				Value: dataValue(t, int32(ua.NodeClassVariable))}}}
		if _, err := s.cfg.Space.Apply([]addrspace.Change{{Kind: addrspace.Put, Node: node}}); err != nil {
			t.Fatal(err)
		}
		s.Set(ns0(n), dataValue(t, int64(-1)))
		raw := s.AppendAttribute(nil, nil, ns0(n), ua.AttributeIDValue)
		dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
		if err != nil || dv.Status != ua.StatusOK || dv.Value.Type() == ua.TypeIDInt64 {
			t.Errorf("%s: got %x, %v, want a value of our own", id.Name(n), raw, err)
		}
	}
}

// TestCapabilitiesHaveOneTime: a client that samples them is not notified each time.
func TestCapabilitiesHaveOneTime(t *testing.T) {
	var seconds atomic.Int64
	s, _ := start(t, func(c *Config) { c.Now = func() time.Time { return time.Unix(seconds.Add(1), 0) } })
	for _, n := range []uint32{
		id.Server_ServerCapabilities_MaxArrayLength, id.HistoryServerCapabilities_AccessHistoryDataCapability,
	} {
		read := func() []byte {
			raw, ok := s.ownAttribute(addrspace.View{}, ns0(n), ua.AttributeIDValue)
			if !ok {
				t.Fatalf("%s is not the server's own", id.Name(n))
			}
			return raw
		}
		if first, second := read(), read(); !bytes.Equal(first, second) {
			t.Errorf("%s: got %x, and then %x; want the same", id.Name(n), first, second)
		}
	}
}

func TestTheServersOwnNodes(t *testing.T) {
	s, url := start(t, nil)
	s.SetState(ua.ServerStateCommunicationFault, 7)
	s.Set(ns0(id.Server_ServerArray), dataValue(t, []string{"urn:source", "urn:another"}))
	c, token := newSession(t, url)
	resp, _ := ask(t, c,
		readRequest(token, stateItem(), &ua.ReadValueID{NodeID: ns0(id.Server_ServerArray).UA(), AttributeID: 13},
			&ua.ReadValueID{NodeID: ns0(id.Server).UA(), AttributeID: ua.AttributeIDEventNotifier},
			&ua.ReadValueID{NodeID: ns0(id.Server_ServiceLevel).UA(), AttributeID: 13}))
	got := resp.(*ua.ReadResponse).Results
	status, ok := got[0].Value.Value().(*ua.ExtensionObject).Value.(*ua.ServerStatusDataType)
	if !ok || status.State != ua.ServerStateCommunicationFault {
		t.Errorf("ServerStatus is %+v", got[0].Value)
	}
	if uris := got[1].Value.Value().([]string); len(uris) != 2 || uris[0] != "urn:test:server" ||
		uris[1] != "urn:another" {
		t.Errorf("ServerArray is %q", uris)
	}
	if got[2].Value.Value() != byte(1) {
		t.Errorf("EventNotifier is %v", got[2].Value.Value())
	}
	if got[3].Status != ua.StatusBadNodeIDUnknown {
		t.Errorf("ServiceLevel, a node that the space has not, is %v", got[3].Status)
	}
}

// What the server says of its limits is what it does.
func TestCapabilitiesAreTrue(t *testing.T) {
	s, url := start(t, func(c *Config) { c.Limits.Operations, c.Limits.ContinuationPoints = 20, 2 })
	c, token := newSession(t, url)
	number := func(n uint32) int {
		t.Helper()
		value, ok := s.capabilityValue(n)
		if !ok {
			value, ok = s.historyCapabilityValue(n)
		}
		switch v := value.(type) {
		case uint32:
			return int(v)
		case uint16:
			return int(v)
		}
		t.Fatalf("%s: got %v, %v; want a number", id.Name(n), value, ok)
		return 0
	}
	node := named("taga0").UA()
	for limit, make := range map[uint32]func(n int) ua.Request{
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead: func(n int) ua.Request {
			return readRequest(token, slices.Repeat([]*ua.ReadValueID{value("taga0")}, n)...)
		},
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerWrite: func(n int) ua.Request {
			w := &ua.WriteValue{NodeID: node, AttributeID: 13, Value: &ua.DataValue{}}
			return &ua.WriteRequest{RequestHeader: header(token), NodesToWrite: slices.Repeat([]*ua.WriteValue{w}, n)}
		},
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse: func(n int) ua.Request {
			return browseRequest(token, 0, slices.Repeat([]*ua.BrowseDescription{description(named("plant"), 0)}, n)...)
		},
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerMethodCall: func(n int) ua.Request {
			return &ua.CallRequest{RequestHeader: header(token),
				MethodsToCall: slices.Repeat([]*ua.CallMethodRequest{{ObjectID: node, MethodID: node}}, n)}
		},
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerRegisterNodes: func(n int) ua.Request {
			return &ua.RegisterNodesRequest{RequestHeader: header(token),
				NodesToRegister: slices.Repeat([]*ua.NodeID{node}, n)}
		},
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIDs: func(n int) ua.Request {
			return &ua.TranslateBrowsePathsToNodeIDsRequest{RequestHeader: header(token),
				BrowsePaths: slices.Repeat([]*ua.BrowsePath{{StartingNode: node, RelativePath: &ua.RelativePath{}}}, n)}
		},
		id.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData: func(n int) ua.Request {
			r := &ua.HistoryReadValueID{NodeID: node, DataEncoding: &ua.QualifiedName{}}
			return &ua.HistoryReadRequest{RequestHeader: header(token),
				HistoryReadDetails: ua.NewExtensionObject(&ua.ReadRawModifiedDetails{}),
				NodesToRead:        slices.Repeat([]*ua.HistoryReadValueID{r}, n)}
		},
		id.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall: func(n int) ua.Request {
			resp, _ := ask(t, c,
				&ua.CreateSubscriptionRequest{RequestHeader: header(token), RequestedPublishingInterval: 1000})
			item := &ua.MonitoredItemCreateRequest{ItemToMonitor: readRequest(token, value("taga0")).NodesToRead[0],
				RequestedParameters: &ua.MonitoringParameters{Filter: ua.NewExtensionObject(nil)}}
			return &ua.CreateMonitoredItemsRequest{
				RequestHeader: header(token), SubscriptionID: resp.(*ua.CreateSubscriptionResponse).SubscriptionID,
				ItemsToCreate: slices.Repeat([]*ua.MonitoredItemCreateRequest{item}, n),
			}
		},
	} {
		most := number(limit)
		if _, code := ask(t, c, make(most)); code != ua.StatusOK {
			t.Errorf("%s: %d are answered with %v, want Good", id.Name(limit), most, code)
		}
		if _, code := ask(t, c, make(most+1)); code != ua.StatusBadTooManyOperations {
			t.Errorf("%s: %d are answered with %v, want Bad_TooManyOperations", id.Name(limit), most+1, code)
		}
	}
	d := description(named("plant"), 0)
	resp, _ := ask(t, c, browseRequest(token, 1, d, d, d))
	points := 0
	for _, r := range resp.(*ua.BrowseResponse).Results {
		if r.StatusCode == ua.StatusOK {
			points++
		}
	}
	if want := number(id.Server_ServerCapabilities_MaxBrowseContinuationPoints); points != want {
		t.Errorf("got %d continuation points, want %d", points, want)
	}
}
