package addrspace

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// pump is a pump with two sensors, below a type tree that is listed from one end only
// in some places.
func pump(t testing.TB) *Space {
	s := New()
	apply(t, s, put(
		node(num(id.References), ua.NodeClassReferenceType, "References",
			to(id.HasSubtype, num(id.HierarchicalReferences))),
		node(num(id.HierarchicalReferences), ua.NodeClassReferenceType, "HierarchicalReferences"),
		node(num(id.HasChild), ua.NodeClassReferenceType, "HasChild",
			from(id.HasSubtype, num(id.HierarchicalReferences))),
		node(num(id.Aggregates), ua.NodeClassReferenceType, "Aggregates", from(id.HasSubtype, num(id.HasChild))),
		node(num(id.HasComponent), ua.NodeClassReferenceType, "HasComponent", from(id.HasSubtype, num(id.Aggregates))),
		node(num(id.Organizes), ua.NodeClassReferenceType, "Organizes",
			from(id.HasSubtype, num(id.HierarchicalReferences))),
		node(num(10), ua.NodeClassObject, "Pump", to(id.HasTypeDefinition, num(id.BaseObjectType)),
			to(id.HasComponent, num(11)), to(id.Organizes, num(12)),
			from(id.Organizes, num(id.ObjectsFolder)), to(id.HasComponent, num(13)), to(id.HasComponent, num(99)),
			Reference{Type: num(id.Organizes), External: "\x40\x07\x01\x00\x00\x00"}),
		node(num(11), ua.NodeClassVariable, "Flow", from(id.HasComponent, num(10))),
		node(num(12), ua.NodeClassVariable, "Heat", from(id.Organizes, num(10))),
		node(num(13), ua.NodeClassMethod, "Start", from(id.HasComponent, num(10))),
		node(num(id.ObjectsFolder), ua.NodeClassObject, "Objects", to(id.Organizes, num(10))),
	)...)
	return s
}

func list(found []Found) string {
	var s []string
	for _, f := range found {
		target := f.Target.String()
		if f.External != "" {
			target = fmt.Sprintf("%x", f.External)
		}
		if f.Inverse {
			target = "<" + target
		}
		s = append(s, target)
	}
	return strings.Join(s, " ")
}

func TestBrowseReturnsWhatTheFilterPasses(t *testing.T) {
	s := pump(t)
	for name, c := range map[string]struct {
		node   uint32
		filter Filter
		want   string
	}{
		"forward": {10, Filter{}, "i=58 i=11 i=12 i=13 i=99 400701000000"},
		"inverse": {10, Filter{Direction: ua.BrowseDirectionInverse}, "<i=85"},
		"both": {10, Filter{Direction: ua.BrowseDirectionBoth},
			"i=58 i=11 i=12 <i=85 i=13 i=99 400701000000"},
		"one type":                    {10, Filter{Type: num(id.HasComponent)}, "i=11 i=13 i=99"},
		"a type without its subtypes": {10, Filter{Type: num(id.HierarchicalReferences)}, ""},
		"a type with its subtypes": {10, Filter{Type: num(id.HierarchicalReferences), Subtypes: true},
			"i=11 i=12 i=13 i=99 400701000000"},
		"subtypes over either end's list": {10, Filter{Type: num(id.References), Subtypes: true},
			"i=11 i=12 i=13 i=99 400701000000"},
		"subtypes of another branch": {10, Filter{Type: num(id.HasChild), Subtypes: true}, "i=11 i=13 i=99"},
		"a type that is not known":   {10, Filter{Type: num(12345), Subtypes: true}, ""},
		"variables":                  {10, Filter{Classes: uint32(ua.NodeClassVariable)}, "i=11 i=12"},
		"variables and methods": {10, Filter{Classes: uint32(ua.NodeClassVariable | ua.NodeClassMethod)},
			"i=11 i=12 i=13"},
		"objects from below": {11, Filter{Direction: ua.BrowseDirectionInverse,
			Classes: uint32(ua.NodeClassObject)}, "<i=10"},
	} {
		t.Run(name, func(t *testing.T) {
			s.View(func(v View) {
				r, _ := v.Lookup(num(c.node))
				found, next := v.Browse(nil, r, c.filter, 0, 0)
				if got := list(found); got != c.want || next != -1 {
					t.Errorf("got %q and %d, want %q and -1", got, next, c.want)
				}
				for most := 1; most < 4; most++ {
					var parts []Found
					for from := 0; from >= 0; {
						before := len(parts)
						if parts, from = v.Browse(parts, r, c.filter, from, most); len(parts)-before > most {
							t.Fatalf("got %d at once, want %d", len(parts)-before, most)
						}
						if from >= 0 && len(parts)-before != most {
							t.Fatalf("got %d and more to come, want %d", len(parts)-before, most)
						}
					}
					if got := list(parts); got != c.want {
						t.Errorf("%d at once: got %q, want %q", most, got, c.want)
					}
				}
			})
		})
	}
}

func TestTheTypeTreeFollowsItsChanges(t *testing.T) {
	s := pump(t)
	check := func(when string, sub, super uint32, want bool) {
		t.Helper()
		s.View(func(v View) {
			if got := v.IsSubtype(num(sub), num(super)); got != want {
				t.Errorf("%s: %d below %d: got %v, want %v", when, sub, super, got, want)
			}
		})
	}
	check("at first", id.HasComponent, id.References, true)
	check("at first", id.References, id.HasComponent, false)
	check("itself, though unknown", 4711, 4711, true)
	check("unknown", 4711, id.References, false)
	// The other end lists it too; then either end forgets it.
	apply(t, s, Change{AddReferences, Node{ID: num(id.HierarchicalReferences),
		References: []Reference{to(id.HasSubtype, num(id.HasChild))}}})
	apply(t, s, Change{RemoveReferences, Node{ID: num(id.HasChild),
		References: []Reference{from(id.HasSubtype, num(id.HierarchicalReferences))}}})
	check("listed from above", id.HasComponent, id.References, true)
	apply(t, s, Change{Remove, Node{ID: num(id.HierarchicalReferences)}})
	check("listed from nowhere", id.HasComponent, id.References, false)
	// A type moves: the new place is listed before the old one is gone.
	apply(t, s, Change{AddReferences, Node{ID: num(id.Organizes),
		References: []Reference{from(id.HasSubtype, num(id.Aggregates))}}})
	apply(t, s, Change{RemoveReferences, Node{ID: num(id.Organizes),
		References: []Reference{from(id.HasSubtype, num(id.HierarchicalReferences))}}})
	check("moved", id.Organizes, id.HasChild, true)
	// A loop ends.
	apply(t, s, Change{AddReferences, Node{ID: num(id.HasChild),
		References: []Reference{from(id.HasSubtype, num(id.HasComponent))}}})
	check("in a loop", id.HasComponent, id.References, false)
}

func TestTranslateFollowsPaths(t *testing.T) {
	s := pump(t)
	step := func(kind uint32, name string) Element {
		return Element{Type: num(kind), Subtypes: true, Name: rawvalue.QualifiedName{Name: []byte(name)}}
	}
	exact := func(e Element) Element { e.Subtypes = false; return e }
	inverse := func(e Element) Element { e.Inverse = true; return e }
	other := func(e Element) Element { e.Name.Namespace = 1; return e }
	const hierarchical = id.HierarchicalReferences
	for name, c := range map[string]struct {
		start uint32
		path  []Element
		most  int
		want  string
		code  ua.StatusCode
	}{
		"one step": {85, []Element{step(hierarchical, "Pump")}, 9, "[i=10]", ua.StatusGood},
		"two steps": {85, []Element{step(hierarchical, "Pump"), step(hierarchical, "Flow")}, 9,
			"[i=11]", ua.StatusGood},
		"by every type": {85, []Element{step(0, "Pump"), step(0, "Start")}, 9, "[i=13]", ua.StatusGood},
		"back": {11, []Element{inverse(step(id.HasComponent, "Pump"))}, 9, "[i=10]",
			ua.StatusGood},
		"no name at the end": {10, []Element{step(id.HasComponent, "")}, 9, "[i=11 i=13]", ua.StatusGood},
		"no name before it": {85, []Element{step(hierarchical, ""), step(hierarchical, "Flow")}, 9, "[]",
			ua.StatusBadBrowseNameInvalid},
		"another name":      {85, []Element{step(hierarchical, "Pumpe")}, 9, "[]", ua.StatusBadNoMatch},
		"another namespace": {85, []Element{other(step(hierarchical, "Pump"))}, 9, "[]", ua.StatusBadNoMatch},
		"the type alone":    {85, []Element{exact(step(hierarchical, "Pump"))}, 9, "[]", ua.StatusBadNoMatch},
		"the wrong way": {85, []Element{inverse(step(hierarchical, "Pump"))}, 9, "[]",
			ua.StatusBadNoMatch},
		"a start that does not exist": {99, []Element{step(hierarchical, "Pump")}, 9, "[]", ua.StatusBadNodeIDUnknown},
		"no path":                     {85, nil, 9, "[]", ua.StatusBadNothingToDo},
		"too many":                    {10, []Element{step(0, "")}, 2, "[]", ua.StatusBadTooManyMatches},
		"just not too many":           {10, []Element{step(0, "")}, 3, "[i=11 i=12 i=13]", ua.StatusGood},
	} {
		t.Run(name, func(t *testing.T) {
			s.View(func(v View) {
				got, code := v.Translate(num(c.start), c.path, c.most)
				if fmt.Sprint(got) != c.want || code != c.code {
					t.Errorf("got %v, %v; want %s, %v", got, code, c.want, c.code)
				}
			})
		})
	}
}

func TestANodeIsFoundOnceOverManyPaths(t *testing.T) {
	s := New()
	var a []Reference
	for i := range uint32(50) {
		a = append(a, to(id.Organizes, num(1000+i)))
		apply(t, s, put(node(num(1000+i), ua.NodeClassObject, "Same", to(id.Organizes, num(2000))))...)
	}
	apply(t, s, put(node(num(1), ua.NodeClassObject, "Root", a...), node(num(2000), ua.NodeClassObject, "Leaf"))...)
	path := []Element{{Name: rawvalue.QualifiedName{Name: []byte("Same")}},
		{Name: rawvalue.QualifiedName{Name: []byte("Leaf")}}}
	s.View(func(v View) {
		if got, code := v.Translate(num(1), path, 50); len(got) != 1 || code != ua.StatusGood {
			t.Errorf("got %v, %v; want one", got, code)
		}
		if got, code := v.Translate(num(1), path, 49); code != ua.StatusBadTooManyMatches {
			t.Errorf("50 along the way of 49: got %v, %v", got, code)
		}
	})
}

func TestAttributesAreListedInOrder(t *testing.T) {
	s := plantSpace(t, 1)
	s.View(func(v View) {
		r, _ := v.Lookup(plantTag(0))
		if got := v.AttributeIDs(nil, r); len(got) != 18 || !slices.IsSorted(got) {
			t.Errorf("got %v, want 18 in order", got)
		}
		if _, ok := v.AppendAttribute(nil, r, ua.AttributeIDSymmetric); ok {
			t.Error("got an attribute that was never set")
		}
		if got := v.TypeDefinition(r); got != num(id.BaseDataVariableType) {
			t.Errorf("type definition: got %v", got)
		}
	})
	apply(t, s, put(node(num(id.BaseDataVariableType), ua.NodeClassVariableType, "BaseDataVariableType",
		from(id.HasTypeDefinition, plantTag(0))))...)
	s.View(func(v View) {
		r, _ := v.Lookup(num(id.BaseDataVariableType))
		if got := v.TypeDefinition(r); got != (NodeID{}) {
			t.Errorf("type definition of a type that lists its instance: got %v, want none", got)
		}
	})
}
