package addrspace

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

func TestAffectedNodesAreReportedOnceWithTheirType(t *testing.T) {
	s := pump(t)
	valve := node(num(20), ua.NodeClassObject, "Valve", to(id.HasTypeDefinition, num(id.BaseObjectType)))
	dataType := Attribute{ua.AttributeIDDataType, []byte{1, 17, 0, 11}}
	pumpType := num(id.BaseObjectType)
	for _, step := range []struct {
		name    string
		changes []Change
		want    []Affected
	}{
		{"node and its reference", append(put(valve),
			Change{AddReferences, Node{ID: num(10), References: []Reference{to(id.HasComponent, num(20))}}}),
			[]Affected{{num(20), pumpType, NodeAdded, false}, {num(10), pumpType, ReferenceAdded, false}}},
		{"the same again", append(put(valve), Change{AddReferences,
			Node{ID: num(10), References: []Reference{to(id.HasComponent, num(20))}}}), nil},
		{"two changes of one node", []Change{
			{AddReferences, Node{ID: num(10), References: []Reference{to(id.HasComponent, num(21))}}},
			{RemoveReferences, Node{ID: num(10), References: []Reference{to(id.HasComponent, num(99))}}}},
			[]Affected{{num(10), pumpType, ReferenceAdded | ReferenceDeleted, false}}},
		{"data type", []Change{{SetAttributes, Node{ID: num(11), Attributes: []Attribute{dataType}}}},
			[]Affected{{num(11), NodeID{}, DataTypeChanged, true}}},
		{"another attribute", []Change{{SetAttributes,
			Node{ID: num(11), Attributes: []Attribute{{ua.AttributeIDDescription, textValue("x")}}}}},
			[]Affected{{num(11), NodeID{}, 0, true}}},
		{"the same attribute", []Change{{SetAttributes, Node{ID: num(11), Attributes: []Attribute{dataType}}}}, nil},
		{"node put otherwise", put(node(num(20), ua.NodeClassObject, "Ventil")),
			[]Affected{{num(20), NodeID{}, ReferenceDeleted, true}}},
		{"node put back", put(valve), []Affected{{num(20), pumpType, ReferenceAdded, true}}},
		{"node removed", []Change{{Remove, Node{ID: num(20)}}}, []Affected{{num(20), pumpType, NodeDeleted, false}}},
		{"node removed twice", []Change{{Remove, Node{ID: num(20)}}}, nil},
		{"nothing of a node that is not there", []Change{
			{SetAttributes, Node{ID: num(20), Attributes: []Attribute{dataType}}}}, nil},
		{"come and gone", append(put(valve), Change{Remove, Node{ID: num(20)}}),
			[]Affected{{num(20), pumpType, NodeAdded | NodeDeleted, false}}},
		{"type lost at once", append(put(valve), Change{RemoveReferences,
			Node{ID: num(20), References: valve.References}}),
			[]Affected{{num(20), pumpType, NodeAdded | ReferenceDeleted, false}}},
	} {
		var version uint64
		s.View(func(v View) { version = v.Version() })
		if got := apply(t, s, step.changes...); !slices.Equal(got, step.want) {
			t.Errorf("%s: got %+v, want %+v", step.name, got, step.want)
		}
		s.View(func(v View) {
			if rose := v.Version() > version; rose != (step.want != nil) {
				t.Errorf("%s: version rose: got %v, want %v", step.name, rose, step.want != nil)
			}
		})
	}
}

func TestARemovedNodeLeavesOthersListsAlone(t *testing.T) {
	s := pump(t)
	apply(t, s, Change{Remove, Node{ID: num(11)}})
	s.View(func(v View) {
		r, _ := v.Lookup(num(10))
		found, _ := v.Browse(nil, r, Filter{Type: num(id.HasComponent)}, 0, 0)
		if got := list(found); got != "i=11 i=13 i=99" || found[0].Exists || !found[1].Exists {
			t.Errorf("got %s, exists %v %v; want i=11 i=13 i=99, false true", got, found[0].Exists, found[1].Exists)
		}
	})
}

func TestAChangeThatCannotBeServedIsRefusedWithAllOthers(t *testing.T) {
	good := node(num(50), ua.NodeClassObject, "Good")
	for name, bad := range map[string]Change{
		"attribute cut short": {Kind: Put, Node: Node{ID: num(51),
			Attributes: []Attribute{{ua.AttributeIDDisplayName, textValue("abc")[:8]}}}},
		"bytes behind it": {Kind: SetAttributes,
			Node: Node{ID: num(51), Attributes: []Attribute{{ua.AttributeIDDisplayName, append(textValue("abc"), 0)}}}},
		"empty attribute": {Kind: SetAttributes,
			Node: Node{ID: num(51), Attributes: []Attribute{{ua.AttributeIDDisplayName, []byte{}}}}},
		"attribute id 0":   {Kind: Put, Node: Node{ID: num(51), Attributes: []Attribute{{0, []byte{0}}}}},
		"attribute id 256": {Kind: Put, Node: Node{ID: num(51), Attributes: []Attribute{{256, []byte{0}}}}},
		"target cut short": {Kind: AddReferences,
			Node: Node{ID: num(51), References: []Reference{{External: "\x40\x07"}}}},
		"kind that is not known": {Kind: 9, Node: Node{ID: num(51)}},
		"bytes behind the target": {Kind: Put, Node: Node{ID: num(51),
			References: []Reference{{External: "\x00\x07\x00"}}}},
	} {
		s := New()
		affected, err := s.Apply(append(put(good), bad))
		s.View(func(v View) {
			if err == nil || affected != nil || v.Len() != 0 || v.Version() != 0 {
				t.Errorf("%s: got %v, %v, %d nodes, version %d; want an error and nothing done", name, affected, err,
					v.Len(), v.Version())
			}
		})
		if err := s.Replace(slices.Values([]Node{good, bad.Node})); bad.Kind <= SetAttributes && err == nil {
			t.Errorf("%s: replace: got no error", name)
		}
	}
}

func TestReplaceIsANewGeneration(t *testing.T) {
	s := pump(t)
	if err := s.Replace(slices.Values([]Node{node(num(1), ua.NodeClassObject, "New")})); err != nil {
		t.Fatal(err)
	}
	s.View(func(v View) {
		_, old := v.Lookup(num(10))
		_, ok := v.Lookup(num(1))
		if old || !ok || v.Len() != 1 || v.Generation() != 1 {
			t.Errorf("got old %v, new %v, %d nodes, generation %d; want false, true, 1, 1", old, ok, v.Len(),
				v.Generation())
		}
	})
}

// What comes and goes must not pile up.
func TestChurnLeavesNothingBehind(t *testing.T) {
	s := pump(t)
	size := func() (entries, values int) { return len(s.table.entries), len(s.table.values.values) }
	var entries, values int
	for i := range uint32(3000) {
		n := node(num(100_000+i), ua.NodeClassObject, "x", to(id.Organizes, num(200_000+i)))
		n.Attributes = append(n.Attributes, Attribute{ua.AttributeIDDescription,
			textValue(strings.Repeat("d", int(i)))})
		apply(t, s, put(n)...)
		apply(t, s, Change{Remove, Node{ID: n.ID}})
		if i == 0 {
			entries, values = size()
		}
	}
	if e, v := size(); e != entries || v != values {
		t.Errorf("got %d entries and %d values, want %d and %d", e, v, entries, values)
	}
	checkBooks(t, s.table)
}

// Two nodes are always there together or not at all; whole generations come between.
func TestReadersSeeWholeChanges(t *testing.T) {
	s := New()
	pair := put(node(num(1), ua.NodeClassObject, "a", to(id.Organizes, num(2))), node(num(2), ua.NodeClassObject, "b"))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			var found []Found
			var buf []byte
			for {
				select {
				case <-done:
					return
				default:
				}
				s.View(func(v View) {
					r, one := v.Lookup(num(1))
					_, two := v.Lookup(num(2))
					if one != two {
						t.Errorf("got %v and %v, want both or none", one, two)
					}
					if !one {
						return
					}
					found, _ = v.Browse(found[:0], r, Filter{}, 0, 0)
					buf, _ = v.AppendAttribute(buf[:0], r, ua.AttributeIDBrowseName)
					if len(found) != 1 || !found[0].Exists || string(buf) != string(nameValue(0, "a")) {
						t.Errorf("got %+v, %x", found, buf)
					}
				})
			}
		})
	}
	for i := range 300 {
		apply(t, s, pair...)
		apply(t, s, Change{Remove, Node{ID: num(1)}}, Change{Remove, Node{ID: num(2)}})
		if i%50 == 0 {
			if err := s.Replace(plant(10)); err != nil {
				t.Error(err)
			}
		}
		runtime.Gosched()
	}
	close(done)
	readers.Wait()
}
