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
