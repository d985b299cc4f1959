package opcua

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/rx/sink"
)

func TestValuesAndNodesArriveInAnyOrder(t *testing.T) {
	for name, order := range map[string][]int{"nodes first": {0, 1, 2}, "values first": {2, 1, 0},
		"the table last": {1, 2, 0}} {
		t.Run(name, func(t *testing.T) {
			l := newLink(t)
			steps := []func(){func() { l.announce(7) }, func() { l.block(7, "a") }, func() { l.value(7, 0, 1) }}
			for _, i := range order {
				steps[i]()
			}
			l.judge(time.Second)
			l.want("a", 1, good)
		})
	}
}

func TestRemovedNodesAreReported(t *testing.T) {
	l := complete(t)
	l.block(7, "a", "", "c")
	if _, ok := l.server.values[named("b")]; ok {
		t.Error("the value of a removed node is served")
	}
	var reported []rawvalue.NodeID
	for _, c := range l.server.changes {
		reported = append(reported, c.Node)
	}
	if !slices.Contains(reported, named("b")) || !slices.Contains(reported, named("c")) || len(reported) != 2 {
		t.Errorf("reported of changes of %v, want b and c", reported)
	}
	l.want("a", 1, good)
}

// TestABlockHasTheStatusOfAMissingValue: the link had no room for its value, nor for a
// status in its place.
func TestABlockHasTheStatusOfAMissingValue(t *testing.T) {
	l := complete(t)
	deliver := func(absent ...addrspace.Attribute) {
		attributes := append([]addrspace.Attribute{{ID: ua.AttributeIDNodeClass, Value: []byte{1, 6, 2, 0, 0, 0}}},
			absent...)
		var p payload.Packer
		nodes := []addrspace.Node{{ID: named("a"), Attributes: attributes}, {ID: named("b"), Attributes: attributes},
			{ID: named("c"), Attributes: attributes}}
		l.deliver(sink.Update{Key: payload.Key{Kind: payload.Block, Generation: 7}.Append(nil),
			Payload: p.Pack([]byte{0, 1, 2}, nodes)})
	}
	deliver(addrspace.Attribute{ID: ua.AttributeIDValue,
		Value: rawvalue.AppendStatus(nil, ua.StatusBadOutOfMemory, rawvalue.Answer{})})
	for _, name := range []string{"a", "c"} { // one that had a value, and one that had none
		raw := l.server.values[named(name)]
		if v, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{}); err != nil ||
			v.Status != ua.StatusBadOutOfMemory || !v.Value.IsNull() {
			t.Errorf("%s is served as %x, want Bad_OutOfMemory alone", name, raw)
		}
	}
	deliver()
	l.want("a", 1, good)
	l.want("c", math.NaN(), l.server.missing)
}
