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

// A record names any of 16 million handles, also one without a node.
func TestARecordTakesMemoryForItsOwnHandleAlone(t *testing.T) {
	const far = 1 << 16
	for name, c := range map[string]struct {
		do   func(*link)
		want int
	}{
		"a value": {func(l *link) { l.value(7, far, 1) }, 3},
		"a value that is deleted": {func(l *link) {
			l.value(7, far, 1)
			l.deliver(sink.Update{Key: valueKey(7, far), Delete: true})
		}, 2},
		"a deletion": {func(l *link) { l.deliver(sink.Update{Key: valueKey(7, far), Delete: true}) }, 2},
		"a malformed value": {func(l *link) {
			l.deliver(sink.Update{Key: valueKey(7, far), Payload: []byte{0xff}})
		}, 2},
		"a block": {func(l *link) { l.farBlock(far/payload.BlockNodes, []byte{3}) }, 3},
		"a deleted block": {func(l *link) {
			l.deliver(sink.Update{Key: payload.Key{Kind: payload.Block, Generation: 7,
				Number: far / payload.BlockNodes}.Append(nil), Delete: true})
		}, 2},
		"a malformed block": {func(l *link) { l.farBlock(far/payload.BlockNodes, []byte{3, 3}) }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			l := complete(t) // two nodes
			c.do(l)
			if got := len(l.mirror.nodes); got != c.want {
				t.Errorf("%d variables are held, want %d", got, c.want)
			}
		})
	}
}

// farBlock delivers a block of nodes in slots.
func (l *link) farBlock(number uint32, slots []byte) {
	var p payload.Packer
	nodes := make([]addrspace.Node, len(slots))
	for i := range nodes {
		nodes[i] = addrspace.Node{ID: named("far"), Attributes: []addrspace.Attribute{
			{ID: ua.AttributeIDNodeClass, Value: []byte{1, 6, 2, 0, 0, 0}}}}
	}
	l.deliver(sink.Update{Key: payload.Key{Kind: payload.Block, Generation: 7, Number: number}.Append(nil),
		Payload: p.Pack(slots, nodes)})
}

func TestAMalformedBlockChangesNothing(t *testing.T) {
	l := complete(t)
	l.farBlock(0, []byte{0, 0})
	l.block(7, "", "b") // a goes
	if _, ok := l.server.values[named("a")]; ok {
		t.Error("the value of a removed node is served")
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
