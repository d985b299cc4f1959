package opcua

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/platform/store"
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

func TestCacheHoldsTheWholeModel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache")
	f, m, p := plant(), newModel([]string{"a", "b"}, 48<<20), &port{}
	browse(t, m, f, p)
	f.remove(named("force")) // a handle without a node
	browse(t, m, f, p)
	if err := m.save(path, 7); err != nil {
		t.Fatal(err)
	}
	got, err := loadModel(path, 7, 48<<20)
	if err != nil || got == nil {
		t.Fatalf("got %v, %v", got, err)
	}
	again := &port{}
	bare(again).flush(got, true)
	if got.Generation != m.Generation || !slices.Equal(got.Namespaces, m.Namespaces) ||
		!reflect.DeepEqual(again.nodes(t, m.Generation), p.nodes(t, m.Generation)) {
		t.Errorf("the model differs from what was saved: %+v", got.SpaceHeader)
	}
	before := again.puts
	browse(t, got, f, again)
	if again.puts != before {
		t.Errorf("%d blocks crossed after a restart though nothing had changed", again.puts-before)
	}
	written := func() bool {
		t.Helper()
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if err := got.save(path, 7); err != nil {
			t.Fatal(err)
		}
		_, err := os.Stat(path)
		return err == nil
	}
	if written() {
		t.Error("the cache was written again though nothing had changed")
	}
	f.add(named("new"), ua.NodeClassVariable, "New")
	f.refer(named("press"), id.HasComponent, named("new"))
	browse(t, got, f, again)
	if !written() || written() {
		t.Error("a new node: want the cache written, once")
	}
	if h := got.handles[named("new")]; int(h) != len(m.nodes) {
		t.Errorf("a new node has handle %d, want the next free one, %d", h, len(m.nodes))
	}
}

func TestCachesThatDoNotFitAreNotUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache")
	if m, err := loadModel(path, 1, 48<<20); m != nil || err != nil {
		t.Errorf("without a cache: %v, %v", m, err)
	}
	f, m := plant(), newModel([]string{"a"}, 48<<20)
	browse(t, m, f, &port{})
	if err := m.save(path, 1); err != nil {
		t.Fatal(err)
	}
	if m, err := loadModel(path, 2, 48<<20); m != nil || err != nil {
		t.Errorf("another server's cache: %v, %v", m, err)
	}
	raw, _ := store.Read(path)
	for n := 13; n < len(raw); n += 7 {
		_ = store.Write(path, raw[:n])
		if m, err := loadModel(path, 1, 48<<20); err == nil && m != nil && len(m.handles) >= len(f.nodes)-1 {
			t.Errorf("%d of %d bytes were taken for the whole", n, len(raw))
		}
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

func TestValuesOfTheServerItselfAreNotFollowed(t *testing.T) {
	f, m := plant(), newModel(nil, 48<<20)
	status, now := ns0(id.Server_ServerStatus), ns0(id.Server_ServerStatus_CurrentTime)
	f.add(status, ua.NodeClassVariable, "ServerStatus")
	f.add(now, ua.NodeClassVariable, "CurrentTime")
	f.refer(ns0(id.Server), id.HasComponent, status)
	f.refer(status, id.HasComponent, now)
	browse(t, m, f, &port{})
	m.space.View(func(v addrspace.View) {
		own := servedByMirror(v)
		for node, want := range map[rawvalue.NodeID]bool{status: true, now: true,
			ns0(id.Server_ServerDiagnostics): true, named("speed"): false, ns0(id.Server): false} {
			if own[node] != want {
				t.Errorf("%v is answered by the mirror itself: %v, want %v", node, own[node], want)
			}
		}
	})
}
