package opcua

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// tag is a node as servers have them by the thousand.
func tag(i int) addrspace.Node {
	id := rawvalue.NodeID{Namespace: 3, Kind: rawvalue.String, Text: fmt.Sprintf("Plant.Line1.Motor%d.Speed", i)}
	text := func(mask ...byte) []byte {
		name := fmt.Sprintf("Motor%dSpeed", i)
		b := append([]byte{1}, mask...)
		return append(append(b, byte(len(name)), 0, 0, 0), name...)
	}
	return addrspace.Node{
		ID: id,
		Attributes: []addrspace.Attribute{
			{ID: 1, Value: append([]byte{1, 17}, id.AppendTo(nil)...)},
			{ID: 2, Value: []byte{1, 6, 2, 0, 0, 0}}, {ID: 3, Value: text(20, 3, 0)}, {ID: 4, Value: text(21, 2)},
			{ID: 14, Value: []byte{1, 17, 0, 11}}, {ID: 15, Value: []byte{1, 6, 255, 255, 255, 255}},
			{ID: 17, Value: []byte{1, 3, 1}},
		},
		References: []addrspace.Reference{
			{Type: rawvalue.NodeID{Number: 40}, Target: rawvalue.NodeID{Number: 63}},
			{Type: rawvalue.NodeID{Number: 47}, Target: rawvalue.NodeID{Namespace: 3, Number: 1000}, Inverse: true},
		},
	}
}

func tags(n int) (slots []byte, nodes []addrspace.Node) {
	for i := range n {
		slots, nodes = append(slots, byte(i)), append(nodes, tag(i))
	}
	return slots, nodes
}

func unpacked(t testing.TB, block []byte) (slots []byte, nodes []addrspace.Node) {
	t.Helper()
	var p Packer
	if err := p.Unpack(block, func(slot byte, n addrspace.Node) {
		slots, nodes = append(slots, slot),
			append(nodes, n)
	}); err != nil {
		t.Fatal(err)
	}
	return slots, nodes
}

func TestBlockRoundTrip(t *testing.T) {
	slots, nodes := tags(BlockNodes)
	nodes[3].References = append(nodes[3].References,
		addrspace.Reference{Type: rawvalue.NodeID{Number: 35}, External: "\x80elsewhere"})
	nodes[5] = addrspace.Node{ID: rawvalue.NodeID{Kind: rawvalue.Opaque, Text: "bare"}}
	for _, n := range []int{0, 1, BlockNodes} {
		var p Packer
		p.Pack(slots, nodes) // what it keeps must not show
		gotSlots, got := unpacked(t, p.Pack(slots[:n], nodes[:n]))
		if !bytes.Equal(gotSlots, slots[:n]) || n > 0 && !reflect.DeepEqual(got, nodes[:n]) {
			t.Errorf("%d nodes came back as %d: %v %+v", n, len(got), gotSlots, got)
		}
	}
}

// TestBlockSizeOfTags keeps the structure of a tag within what 10 000 tags may cost
// on a serial line.
func TestBlockSizeOfTags(t *testing.T) {
	var p Packer
	slots, nodes := tags(BlockNodes)
	if per := len(p.Pack(slots, nodes)) / BlockNodes; per > 20 {
		t.Errorf("a tag's structure costs %d bytes, want 20 at most", per)
	}
}

func TestMalformedBlocksAreRefused(t *testing.T) {
	var p Packer
	slots, nodes := tags(2)
	good := p.Pack(slots, nodes)
	drop := func(byte, addrspace.Node) {}
	for n := range good {
		if p.Unpack(good[:n], drop) == nil {
			t.Errorf("%d of %d bytes were read", n, len(good))
		}
	}
	bad := map[string][]byte{
		"slots not ascending": p.Pack([]byte{1, 1}, nodes),
		"slot too large":      p.Pack([]byte{0, BlockNodes}, nodes),
		"a size that lies":    append([]byte{version, 0xff, 0xff, 0xff, 0x1f}, good[3:]...),
	}
	for name, b := range bad {
		if p.Unpack(b, drop) == nil {
			t.Errorf("%s: was read", name)
		}
	}
}

// FuzzBlock: what unpacks packs into a block that unpacks the same.
func FuzzBlock(f *testing.F) {
	var p Packer
	slots, nodes := tags(2)
	f.Add(appendNode(nil, &nodes[0]))
	f.Add(p.Pack(slots, nodes))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := parseNode(reader{b: b}); err == nil {
			again, err := parseNode(reader{b: appendNode(nil, &n)})
			if err != nil || !reflect.DeepEqual(again, n) {
				t.Fatalf("%x was read as %+v, which came back as %+v, %v", b, n, again, err)
			}
		}
		_ = new(Packer).Unpack(b, func(byte, addrspace.Node) {})
	})
}

func BenchmarkUnpack(b *testing.B) {
	var p Packer
	block := p.Pack(tags(BlockNodes))
	for b.Loop() {
		_ = p.Unpack(block, func(byte, addrspace.Node) {})
	}
}
