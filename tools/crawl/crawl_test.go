package crawl

import (
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

func value(raw ...byte) rawvalue.DataValue {
	return rawvalue.DataValue{Value: rawvalue.Variant{Raw: raw}}
}

var tag = rawvalue.NodeID{Namespace: 1, Number: 7}

// server is a server that shows one node.
func server(attributes map[ua.AttributeID]string, references ...addrspace.Reference) *Snapshot {
	return &Snapshot{Nodes: map[rawvalue.NodeID]*Node{tag: {Attributes: attributes, References: references}}}
}

func TestCompare(t *testing.T) {
	nodeID := func(raw ...byte) map[ua.AttributeID]string {
		return map[ua.AttributeID]string{ua.AttributeIDNodeID: compared(value(raw...))}
	}
	name := func(s string) map[ua.AttributeID]string {
		return map[ua.AttributeID]string{ua.AttributeIDBrowseName: s}
	}
	access := func(bits byte) map[ua.AttributeID]string {
		return map[ua.AttributeID]string{ua.AttributeIDAccessLevel: compared(value(3, bits)),
			ua.AttributeIDHistorizing: compared(value(1, bits>>2&1))}
	}
	up := addrspace.Reference{Type: rawvalue.NodeID{Number: 35}, Target: rawvalue.NodeID{Namespace: 1, Number: 8}}
	for what, c := range map[string]struct {
		before, after, mirror *Snapshot
		want                  int
	}{
		"equal": {server(name("a"), up), server(name("a"), up), server(name("a"), up), 0},
		"one NodeId, two encodings": {server(nodeID(17, 1, 1, 7, 0)), server(nodeID(17, 1, 1, 7, 0)),
			server(nodeID(17, 2, 1, 0, 7, 0, 0, 0)), 0},
		"another NodeId": {server(nodeID(17, 1, 1, 7, 0)), server(nodeID(17, 1, 1, 7, 0)),
			server(nodeID(17, 1, 1, 9, 0)), 1},
		"another name":                {server(name("a")), server(name("a")), server(name("b")), 1},
		"moved between two crawls":    {server(name("a")), server(name("b")), server(name("a")), 0},
		"reference missing":           {server(name("a"), up), server(name("a"), up), server(name("a")), 1},
		"reference too many":          {server(name("a")), server(name("a")), server(name("a"), up), 1},
		"history of the mirror's own": {server(access(1)), server(access(1)), server(access(5)), 0},
		"history of the source alone": {server(access(5)), server(access(5)), server(access(1)), 0},
		"writable at the mirror":      {server(access(1)), server(access(1)), server(access(3)), 1},
		"node missing":                {server(name("a")), server(name("a")), &Snapshot{}, 1},
		"node too many":               {&Snapshot{}, &Snapshot{}, server(name("a")), 1},
	} {
		t.Run(what, func(t *testing.T) {
			if got := Compare(c.before, c.after, c.mirror); len(got) != c.want {
				t.Errorf("%d differences %v, want %d", len(got), got, c.want)
			}
		})
	}
}
