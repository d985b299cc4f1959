package addrspace

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// model is an address space of maps, as plain as can be.
type model map[NodeID]*modelNode

type modelNode struct {
	attributes map[ua.AttributeID]string
	references map[Reference]bool
	order      []Reference // of them
}

func (m model) apply(c Change) {
	n := m[c.Node.ID]
	if c.Kind == Put {
		n = &modelNode{attributes: map[ua.AttributeID]string{}, references: map[Reference]bool{}}
		m[c.Node.ID] = n
	}
	if n == nil {
		return
	}
	switch c.Kind {
	case Remove:
		delete(m, c.Node.ID)
	case Put, SetAttributes, AddReferences:
		for _, a := range c.Node.Attributes {
			if a.Value == nil {
				delete(n.attributes, a.ID)
			} else {
				n.attributes[a.ID] = string(a.Value)
			}
		}
		for _, r := range c.Node.References {
			if !n.references[r] {
				n.order = append(n.order, r)
			}
			n.references[r] = true
		}
	case RemoveReferences:
		for _, r := range c.Node.References {
			delete(n.references, r)
			n.order = slices.DeleteFunc(n.order, func(o Reference) bool { return o == r })
		}
	}
}

func (m model) clone() model {
	c := model{}
	for id, n := range m {
		c[id] = &modelNode{maps.Clone(n.attributes), maps.Clone(n.references), slices.Clone(n.order)}
	}
	return c
}

// affected returns what changed from one model to the next, by comparing them whole.
func affectedBetween(before, after model) map[NodeID]Affected {
	all := map[NodeID]Affected{}
	for id := range before {
		if after[id] == nil {
			all[id] = Affected{Node: id, Verb: NodeDeleted}
		}
	}
	for id, n := range after {
		a, old := Affected{Node: id}, before[id]
		if old == nil {
			a.Verb = NodeAdded
			all[id] = a
			continue
		}
		if n.attributes[ua.AttributeIDDataType] != old.attributes[ua.AttributeIDDataType] {
			a.Verb |= DataTypeChanged
		}
		a.Attributes = !maps.Equal(n.attributes, old.attributes)
		for r := range n.references {
			if !old.references[r] {
				a.Verb |= ReferenceAdded
			}
		}
		for r := range old.references {
			if !n.references[r] {
				a.Verb |= ReferenceDeleted
			}
		}
		if a.Verb&(ReferenceAdded|ReferenceDeleted) == 0 && !slices.Equal(n.order, old.order) {
			a.Verb |= ReferenceAdded | ReferenceDeleted
		}
		if a.Verb != 0 || a.Attributes {
			all[id] = a
		}
	}
	return all
}

// script turns bytes into changes over a handful of nodes, so that they meet.
type script struct{ b []byte }

func (s *script) next(n int) int {
	if len(s.b) == 0 {
		return 0
	}
	v := int(s.b[0]) % n
	s.b = s.b[1:]
	return v
}

func (s *script) id() NodeID {
	switch n := s.next(12); {
	case n < 6:
		return NodeID{Number: uint32(1000 + n), Namespace: uint16(n % 2)}
	case n < 10:
		return NodeID{Text: fmt.Sprint("node", n), Kind: 1 + NodeID{}.Kind, Namespace: 1}
	default:
		return NodeID{Text: fmt.Sprintf("%016d", n), Kind: 2, Namespace: 2}
	}
}

func (s *script) reference() Reference {
	types := []uint32{id.HasSubtype, id.Organizes, id.HasTypeDefinition, 1000}
	r := Reference{Type: NodeID{Number: types[s.next(4)]}, Inverse: s.next(2) == 1}
	if s.next(8) == 0 {
		r.External = "\x40\x07\x01\x00\x00\x00"
		return r
	}
	r.Target = s.id()
	return r
}

func (s *script) attribute() Attribute {
	a := Attribute{ID: ua.AttributeID(1 + s.next(14))}
	switch n := s.next(5); {
	case n == 0: // none
	case a.ID == ua.AttributeIDNodeID:
		a.Value = appendNodeIDValue(nil, s.id())
	case a.ID == ua.AttributeIDNodeClass:
		a.Value = classValue(ua.NodeClass(1 << n))
	default:
		a.Value = []byte{1, 3, byte(n)}
	}
	return a
}

func (s *script) change() Change {
	c := Change{Kind: Kind(s.next(5)), Node: Node{ID: s.id()}}
	attributes, references := s.next(4), s.next(12)
	if c.Kind == Put || c.Kind == SetAttributes {
		for range attributes {
			c.Node.Attributes = append(c.Node.Attributes, s.attribute())
		}
	}
	if c.Kind == Put || c.Kind == AddReferences || c.Kind == RemoveReferences {
		for range references {
			c.Node.References = append(c.Node.References, s.reference())
		}
	}
	return c
}

// checkAgainstModel does the changes that bytes stand for, one at a time, and compares
// after each what the Space reports and what it holds.
func checkAgainstModel(t *testing.T, b []byte) {
	t.Helper()
	space, m := New(), model{}
	for s := (&script{b}); len(s.b) > 0; {
		c, before := s.change(), m.clone()
		m.apply(c)
		affected, err := space.Apply([]Change{c})
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		want := affectedBetween(before, m)
		for _, a := range affected {
			a.Type = NodeID{}
			if a != want[a.Node] {
				t.Fatalf("%+v: affected: got %+v, want %+v", c, a, want[a.Node])
			}
		}
		if len(affected) != len(want) {
			t.Fatalf("%+v: got %d affected, want %d", c, len(affected), len(want))
		}
		space.View(func(v View) { compare(t, v, m) })
		checkBooks(t, space.table)
		if t.Failed() {
			t.Fatalf("after %+v", c)
		}
	}
}

func compare(t *testing.T, v View, m model) {
	t.Helper()
	if v.Len() != len(m) {
		t.Errorf("got %d nodes, want %d", v.Len(), len(m))
	}
	for r := range v.Nodes() {
		if m[v.ID(r)] == nil {
			t.Errorf("got node %v, want none", v.ID(r))
		}
	}
	for id, n := range m {
		r, ok := v.Lookup(id)
		if !ok {
			t.Errorf("node %v is not found", id)
			continue
		}
		ids := v.AttributeIDs(nil, r)
		if !slices.Equal(ids, slices.Sorted(maps.Keys(n.attributes))) {
			t.Errorf("%v: attributes: got %v, want %v", id, ids, n.attributes)
		}
		for a, want := range n.attributes {
			if got, ok := v.AppendAttribute([]byte("x"), r, a); !ok || string(got) != "x"+want {
				t.Errorf("%v: attribute %d: got %x, want %x", id, a, got, want)
			}
		}
		if want := nodeClass([]byte(n.attributes[ua.AttributeIDNodeClass])); v.Class(r) != ua.NodeClass(want) {
			t.Errorf("%v: class: got %d, want %d", id, v.Class(r), want)
		}
		found, next := v.Browse(nil, r, Filter{Direction: ua.BrowseDirectionBoth}, 0, 0)
		var got []Reference
		for _, f := range found {
			got = append(got, f.Reference)
			if f.Exists != (f.External == "" && m[f.Target] != nil) {
				t.Errorf("%v: %+v: exists is wrong", id, f)
			}
		}
		if next != -1 || !slices.Equal(got, n.order) {
			t.Errorf("%v: references: got %v, want %v", id, found, n.order)
		}
	}
}

// checkBooks counts again what a table counts as it goes.
func checkBooks(t *testing.T, tab *table) {
	t.Helper()
	uses, values, supers := make([]uint32, len(tab.entries)), make([]uint32, len(tab.values.values)), 0
	known := 0
	for i := range tab.entries {
		e := &tab.entries[i]
		for _, edge := range e.edges {
			uses[edge.refType()]++
			uses[edge.target]++
			if _, _, ok := tab.subtyping(Ref(i), edge); ok {
				supers++
			}
		}
		unpack(e.attrs, func(_ ua.AttributeID, _ string, n uint32, inPlace bool) bool {
			if !inPlace {
				values[n]++
			}
			return true
		})
	}
	for i := range tab.entries {
		e := &tab.entries[i]
		if e.uses != uses[i] {
			t.Errorf("%v: got %d uses, want %d", e.id(), e.uses, uses[i])
		}
		if e.exists || e.uses > 0 {
			known++
			if r, ok := tab.find(e.id()); !ok || r != Ref(i) {
				t.Errorf("%v: got %d, %v; want %d", e.id(), r, ok, i)
			}
		}
	}
	if tab.identities.index.used != known || len(tab.entries)-len(tab.identities.free) != known {
		t.Errorf("got %d identities and %d free of %d, want %d", tab.identities.index.used, len(tab.identities.free),
			len(tab.entries), known)
	}
	for i, v := range tab.values.values {
		if v.uses != values[i] {
			t.Errorf("shared value %x: got %d uses, want %d", v.bytes, v.uses, values[i])
		}
	}
	if got := len(tab.values.values) - len(tab.values.free); tab.values.index.used != got {
		t.Errorf("got %d shared values in the index, want %d", tab.values.index.used, got)
	}
	for _, s := range tab.supers {
		supers -= len(s)
	}
	if supers != 0 {
		t.Errorf("the type tree lacks %d edges", supers)
	}
}

func TestChangesDoWhatAPlainModelDoes(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 1))
		b := make([]byte, 1500)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		checkAgainstModel(t, b)
	}
}

// FuzzChanges: any changes in any order leave what a plain model leaves, report what
// comparing it shows, and keep the books.
func FuzzChanges(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 20))
	f.Fuzz(func(t *testing.T, b []byte) { checkAgainstModel(t, b[:min(len(b), 2000)]) })
}

func TestTheIndexFindsWhatIsThere(t *testing.T) {
	var x index
	there := map[uint32]bool{}
	random := rand.New(rand.NewPCG(3, 4))
	for _, bits := range []uint64{1<<63 - 1, 3, 0} { // fewer hashes, more collisions
		hash := func(n uint32) uint64 { return uint64(n) * 0x9e3779b97f4a7c15 >> 40 & bits }
		x = index{}
		clear(there)
		for range 3000 {
			n := random.Uint32N(200)
			if there[n] {
				x.remove(n, hash)
			} else {
				x.insert(n, hash)
			}
			there[n] = !there[n]
			if !there[n] {
				delete(there, n)
			}
			probe := random.Uint32N(200)
			if got, ok := x.find(hash(probe), func(m uint32) bool { return m == probe }); ok != there[probe] || ok &&
				got != probe {
				t.Fatalf("%d: got %d, %v; want %v", probe, got, ok, there[probe])
			}
			if x.used != len(there) {
				t.Fatalf("got %d used, want %d", x.used, len(there))
			}
		}
	}
}
