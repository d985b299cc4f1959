package opcua

import (
	"bytes"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// Nodes allow what the mirror serves, and nothing else.
func TestNodesAreReadOnly(t *testing.T) {
	l := complete(t)
	with := func(node rawvalue.NodeID, class byte, a ua.AttributeID, value ...byte) addrspace.Node {
		return addrspace.Node{ID: node,
			Attributes: []addrspace.Attribute{{ID: ua.AttributeIDNodeClass, Value: []byte{1, 6, class, 0, 0, 0}},
				{ID: a, Value: value}}}
	}
	for name, c := range map[string]struct {
		node addrspace.Node
		want []byte
	}{
		"AccessLevel":     {with(named("v"), 2, ua.AttributeIDAccessLevel, 1, 3, 0x7f), []byte{1, 3, 0x11}},
		"UserAccessLevel": {with(named("v"), 2, ua.AttributeIDUserAccessLevel, 1, 3, 0xff), []byte{1, 3, 0x91}},
		"AccessLevelEx": {with(named("v"), 2, ua.AttributeIDAccessLevelEx, 1, 7, 0x7f, 1, 2, 3),
			[]byte{1, 7, 0x11, 1, 2, 3}},
		"AccessLevel, refused": {with(named("v"), 2, ua.AttributeIDAccessLevel, 2, 0, 0, 0x35, 0x80),
			[]byte{2, 0, 0, 0x35, 0x80}},
		"WriteMask": {with(named("v"), 2, ua.AttributeIDWriteMask, 1, 7, 1, 2, 3, 4),
			[]byte{1, 7, 0, 0, 0, 0}},
		"Historizing":    {with(named("v"), 2, ua.AttributeIDHistorizing, 1, 1, 1), []byte{1, 1, 0}},
		"EventNotifier":  {with(named("o"), 1, ua.AttributeIDEventNotifier, 1, 3, 0x0d), []byte{1, 3, 0x01}},
		"Executable":     {with(named("m"), 4, ua.AttributeIDExecutable, 1, 1, 1), []byte{1, 1, 0}},
		"UserExecutable": {with(named("m"), 4, ua.AttributeIDUserExecutable, 1, 1, 1), []byte{1, 1, 0}},
		"ConditionRefresh": {with(ns0(id.ConditionType_ConditionRefresh), 4, ua.AttributeIDExecutable, 1, 1, 0),
			[]byte{1, 1, 1}},
		"ConditionRefresh2": {with(ns0(id.ConditionType_ConditionRefresh2), 4, ua.AttributeIDUserExecutable, 1, 1,
			0), []byte{1, 1, 1}},
		"GetMonitoredItems": {with(ns0(id.Server_GetMonitoredItems), 4, ua.AttributeIDUserExecutable, 2, 0, 0,
			0x35, 0x80), []byte{1, 1, 1}},
		"ResendData": {with(ns0(id.Server_ResendData), 4, ua.AttributeIDExecutable, 1, 1, 1),
			[]byte{1, 1, 1}},
		"a refresh of another": {with(ns0(id.AlarmConditionType_ConditionRefresh), 4, ua.AttributeIDExecutable, 1, 1,
			1), []byte{1, 1, 0}},
		"the number of another": {with(rawvalue.NodeID{Namespace: 1, Number: id.Server_ResendData}, 4,
			ua.AttributeIDExecutable, 1, 1, 1), []byte{1, 1, 0}},
		"a number made a string": {with(rawvalue.NodeID{Kind: rawvalue.String, Text: "12873"}, 4,
			ua.AttributeIDExecutable, 1, 1, 1), []byte{1, 1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			l.nodes(1, c.node)
			l.server.space.View(func(v addrspace.View) {
				ref, _ := v.Lookup(c.node.ID)
				if got, _ := v.AppendAttribute(nil, ref, c.node.Attributes[1].ID); !bytes.Equal(got, c.want) {
					t.Errorf("got %x, want %x", got, c.want)
				}
			})
		})
	}
}
