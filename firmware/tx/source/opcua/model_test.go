package opcua

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/tx/source"
	"heliograph/firmware/tx/source/opcua/selection"
)

// browse crawls the server and brings the model and the port up to date.
func browse(t *testing.T, m *model, f *fake, p *port, exclude ...string) *crawl {
	t.Helper()
	patterns, err := selection.Parse(nil, exclude)
	if err != nil {
		t.Fatal(err)
	}
	c := newCrawl(f, patterns, 48<<20)
	if err := c.run(t.Context(), func(nodes []addrspace.Node) error {
		c.restore(m,
			nodes)
		return m.put(nodes)
	}); err != nil {
		t.Fatal(err)
	}
	m.remove(c.remains(m))
	bare(p).flush(m, true)
	return c
}

func TestWhatCrossesIsWhatTheServerHas(t *testing.T) {
	f, m, p := plant(), newModel(nil, 48<<20), &port{}
	browse(t, m, f, p)
	got := p.nodes(t, m.Generation)
	if _, ok := got[named("joe")]; ok {
		t.Error("the session of a client crossed")
	}
	if len(got) != len(f.nodes)-1 {
		t.Errorf("%d nodes crossed of %d", len(got), len(f.nodes))
	}
	speed := got[named("speed")]
	want := []addrspace.Reference{{Type: ns0(id.HasComponent), Target: named("press"), Inverse: true}}
	if !reflect.DeepEqual(speed.References, want) {
		t.Errorf("speed's references: %+v, want %+v", speed.References, want)
	}
	attributes := map[ua.AttributeID]bool{}
	for _, a := range speed.Attributes {
		attributes[a.ID] = true
	}
	if !maps.Equal(attributes, map[ua.AttributeID]bool{1: true, 2: true, 3: true, 4: true}) {
		t.Errorf("speed's attributes: %v, want those that the server has", attributes)
	}
}

func TestExcludedNodesNeverReachThePort(t *testing.T) {
	f, m, p := plant(), newModel(nil, 48<<20), &port{}
	browse(t, m, f, p, "/Objects/Press/Speed")
	got := p.nodes(t, m.Generation)
	if _, ok := got[named("speed")]; ok {
		t.Error("an excluded node crossed")
	}
	for _, r := range got[named("press")].References {
		if r.Target == named("speed") {
			t.Error("the NodeId of an excluded node crossed in a reference")
		}
	}
	if n := f.asked[named("speed")]; n > 2 {
		t.Errorf("%d attributes of an excluded node were read, want NodeClass and BrowseName alone", n)
	}
}

func TestOnlyDifferencesCross(t *testing.T) {
	f, m, p := plant(), newModel(nil, 48<<20), &port{}
	browse(t, m, f, p)
	first := p.puts
	browse(t, m, f, p)
	if p.puts != first {
		t.Errorf("%d blocks crossed though nothing had changed", p.puts-first)
	}
	f.add(named("new"), ua.NodeClassVariable, "New")
	f.refer(named("press"), id.HasComponent, named("new"))
	f.remove(named("force"))
	browse(t, m, f, p)
	got := p.nodes(t, m.Generation)
	if _, ok := got[named("force")]; ok || got[named("new")].ID != named("new") {
		t.Errorf("after one node came and one went: force %v, new %v", ok, got[named("new")].ID)
	}
}

func TestAHandleNeverMeansAnotherNode(t *testing.T) {
	f, m, p := plant(), newModel(nil, 48<<20), &port{}
	browse(t, m, f, p)
	old := m.handles[named("force")]
	force := *f.nodes[named("force")]
	f.remove(named("force"))
	browse(t, m, f, p)
	for i := range 100 {
		node := named(fmt.Sprint(i))
		f.add(node, ua.NodeClassVariable, "V")
		f.refer(named("press"), id.HasComponent, node)
	}
	browse(t, m, f, p)
	if m.nodes[old] != named("force") || m.live[old] {
		t.Errorf("handle %d means %v now", old, m.nodes[old])
	}
	f.nodes[named("force")] = &force
	f.refer(named("press"), id.HasComponent, named("force"))
	browse(t, m, f, p)
	if m.handles[named("force")] != old {
		t.Errorf("a node that came back has handle %d, had %d", m.handles[named("force")], old)
	}
}

func TestOnlyWhatHangsBelowAFolderThatCannotBeBrowsedStays(t *testing.T) {
	f, m, p := plant(), newModel(nil, 48<<20), &port{}
	f.add(named("other"), ua.NodeClassObject, "Other")
	f.refer(ns0(id.ObjectsFolder), id.Organizes, named("other"))
	browse(t, m, f, p)
	f.fail[named("press")] = ua.StatusBadTimeout
	f.nodes[named("press")].References = nil
	f.remove(named("other"))
	c := browse(t, m, f, p)
	if len(c.failed) != 1 || c.incompleteness(m) == "" {
		t.Errorf("%d nodes failed, reported is %q; want 1, and it reported", len(c.failed), c.incompleteness(m))
	}
	got := p.nodes(t, m.Generation)
	if got[named("speed")].ID != named("speed") {
		t.Error("a node is gone because the folder above it could not be browsed")
	}
	if got[named("other")].ID == named("other") {
		t.Error("a node that is gone stays because an unrelated folder could not be browsed")
	}
}

func TestNamespaceTables(t *testing.T) {
	m := newModel([]string{"a", "b"}, 48<<20)
	for name, c := range map[string]struct {
		table []string
		fits  bool
	}{
		"the same": {[]string{"a", "b"}, true}, "one appended": {[]string{"a", "b", "c"}, true},
		"shuffled":     {[]string{"b", "a"}, false},
		"one replaced": {[]string{"a", "c", "b"}, false}, "one missing": {[]string{"a"}, false},
		"none": {nil, false},
	} {
		if got := m.fits(c.table); got != c.fits {
			t.Errorf("%s: fits is %v, want %v", name, got, c.fits)
		}
	}
}

func TestAnotherGenerationReplacesTheOld(t *testing.T) {
	f, p := plant(), &port{}
	old := newModel([]string{"a"}, 48<<20)
	_ = old.announce(p)
	browse(t, old, f, p)
	m := newModel([]string{"b"}, 48<<20)
	_ = m.announce(p)
	browse(t, m, f, p)
	m.forget(p)
	if n := len(p.nodes(t, old.Generation)); n != 0 {
		t.Errorf("%d nodes of the old generation are left", n)
	}
	if n := len(p.nodes(t, m.Generation)); n != len(f.nodes)-1 {
		t.Errorf("%d nodes of the new generation, want %d", n, len(f.nodes)-1)
	}
	var got payload.SpaceHeader
	if err := got.Parse(p.state["G"]); err != nil || got.Generation != m.Generation ||
		!slices.Equal(got.Namespaces, []string{"b"}) {
		t.Errorf("in force is %+v, %v", got, err)
	}
}

func TestRefusedBlocksAreOfferedAgain(t *testing.T) {
	f, m, p := plant(), newModel(nil, 48<<20), &port{refuse: source.ErrStateFull}
	browse(t, m, f, p)
	p.refuse = nil
	browse(t, m, f, p)
	if n := len(p.nodes(t, m.Generation)); n != len(f.nodes)-1 {
		t.Errorf("%d nodes crossed in the end, want %d", n, len(f.nodes)-1)
	}
}
