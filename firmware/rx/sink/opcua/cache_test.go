package opcua

import (
	"path/filepath"
	"testing"
	"time"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/rx/sink"
)

func TestStructureSurvivesARestart(t *testing.T) {
	old := complete(t)
	c := cache{path: filepath.Join(t.TempDir(), "mirror")}
	if saved, err := c.save(func() []byte { return collect(old, old.mirror.isCached) }, old.now); !saved || err != nil {
		t.Fatalf("saved %v, %v", saved, err)
	}
	if c.isDue(true, true, old.now.Add(time.Second)) || c.isDue(false, true, old.now.Add(saveEvery)) ||
		!c.isDue(true, false, old.now.Add(saveEvery)) {
		t.Error("written too often, or too rarely")
	}
	c.wait()
	list, err := c.load()
	if err != nil || len(list) != 2 || list[0].Key[0] != byte(payload.Space) {
		t.Fatalf("got %d records, %v; want the table and a block", len(list), err)
	}
	l := newLink(t)
	for i := range list {
		l.mirror.handleUpdate(&list[i])
	}
	l.judge(time.Second)
	if got := l.server.space; got == nil || l.mirror.current.Generation != 7 {
		t.Errorf("generation is %d, want 7", l.mirror.current.Generation)
	}
	l.value(7, 1, 4)
	l.want("b", 4, good)
	if _, known := l.server.values[named("a")]; known {
		t.Error("a value was kept over the restart")
	}
	if l.mirror.nodes[0].node != named("a") || l.mirror.nodes[0].node == (rawvalue.NodeID{}) {
		t.Error("a node is missing after the restart")
	}
}

func TestACacheOfAnotherGenerationIsReplaced(t *testing.T) {
	l := newLink(t)
	l.announce(7)
	l.block(7, "a")
	l.state = map[string]sink.Update{} // as if all of it came from the cache
	l.announce(8)
	l.block(8, "x")
	l.value(8, 0, 1)
	l.health.Complete = true
	l.swap()
	l.want("x", 1, good)
}

func TestDamagedCachesAreNotUsed(t *testing.T) {
	l := complete(t)
	c := cache{path: filepath.Join(t.TempDir(), "mirror")}
	if list, err := c.load(); list != nil || err != nil {
		t.Errorf("without a cache: %v, %v", list, err)
	}
	b := collect(l, l.mirror.isCached)
	for n := 2; n < len(b); n++ {
		if err := store.Write(c.path, b[:n]); err != nil {
			t.Fatal(err)
		}
		var size int
		list, err := c.load()
		for _, u := range list {
			size += 13 + len(u.Key) + len(u.Payload)
		}
		if err == nil && 1+size != n {
			t.Fatalf("%d of %d bytes were read as %d records", n, len(b), len(list))
		}
	}
}
