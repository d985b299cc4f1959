package opcua

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/platform/store"
)

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
