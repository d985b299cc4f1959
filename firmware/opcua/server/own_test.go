package server

import (
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// TestRedundancyAndCapabilitiesAreTheMirrorsOwn: what the source says of itself is not
// told, where the source has such a node.
func TestRedundancyAndCapabilitiesAreTheMirrorsOwn(t *testing.T) {
	s, _ := start(t, nil)
	for _, n := range []uint32{
		id.Server_ServerRedundancy_CurrentServerID, id.Server_ServerRedundancy_RedundantServerArray, id.Server_ServerRedundancy_ServerURIArray,
		id.Server_ServerRedundancy_ServerNetworkGroups, id.Server_ServerCapabilities_MaxSubscriptions, id.Server_ServerCapabilities_MaxSubscriptionsPerSession,
		id.Server_ServerCapabilities_MaxMonitoredItems, id.Server_ServerCapabilities_MaxMonitoredItemsPerSubscription,
		id.Server_ServerCapabilities_MaxMonitoredItemsQueueSize, id.Server_ServerCapabilities_MaxSelectClauseParameters,
		id.Server_ServerCapabilities_MaxWhereClauseParameters, id.Server_ServerCapabilities_ConformanceUnits,
	} {
		node := addrspace.Node{ID: ns0(n), Attributes: []addrspace.Attribute{{ID: ua.AttributeIDNodeClass, Value: dataValue(t, int32(ua.NodeClassVariable))}}}
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

func TestTheServersOwnNodes(t *testing.T) {
	s, url := start(t, nil)
	s.SetState(ua.ServerStateCommunicationFault, 7)
	s.Set(ns0(id.Server_ServerArray), dataValue(t, []string{"urn:source", "urn:another"}))
	c, token := newSession(t, url)
	resp, _ := ask(t, c, readRequest(token, stateItem(), &ua.ReadValueID{NodeID: ns0(id.Server_ServerArray).UA(), AttributeID: 13},
		&ua.ReadValueID{NodeID: ns0(id.Server).UA(), AttributeID: ua.AttributeIDEventNotifier}, &ua.ReadValueID{NodeID: ns0(id.Server_ServiceLevel).UA(), AttributeID: 13}))
	got := resp.(*ua.ReadResponse).Results
	status, ok := got[0].Value.Value().(*ua.ExtensionObject).Value.(*ua.ServerStatusDataType)
	if !ok || status.State != ua.ServerStateCommunicationFault {
		t.Errorf("ServerStatus is %+v", got[0].Value)
	}
	if uris := got[1].Value.Value().([]string); len(uris) != 2 || uris[0] != "urn:test:server" || uris[1] != "urn:another" {
		t.Errorf("ServerArray is %q", uris)
	}
	if got[2].Value.Value() != byte(1) {
		t.Errorf("EventNotifier is %v", got[2].Value.Value())
	}
	if got[3].Status != ua.StatusBadNodeIDUnknown {
		t.Errorf("ServiceLevel, a node that the space has not, is %v", got[3].Status)
	}
}
