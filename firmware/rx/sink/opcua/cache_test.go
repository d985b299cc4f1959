package opcua

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/config"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/rx/sink"
)

func TestStructureSurvivesARestart(t *testing.T) {
	old := complete(t)
	c := cache{path: filepath.Join(t.TempDir(), "mirror")}
	if !c.save(func() []byte { return collect(old, old.mirror.isCached) }, old.now) {
		t.Fatal("not saved")
	}
	if c.isDue(true, true, old.now.Add(time.Second)) || c.isDue(false, true, old.now.Add(saveEvery)) ||
		!c.isDue(true, false, old.now.Add(saveEvery)) {
		t.Error("written too often, or too rarely")
	}
	if ended, err := c.wait(); !ended || err != nil {
		t.Fatalf("ended %v, %v; want a write without an error", ended, err)
	}
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

// failing returns a sink whose first write of the cache has failed, for its folder is not there, and its log.
func failing(t *testing.T) (s *Sink, l *link, log *bytes.Buffer) {
	t.Helper()
	l, log = newLink(t), new(bytes.Buffer)
	s = New(config.OPCUASink{Channel: "hall"}, filepath.Join(t.TempDir(), "state"), Deps{Server: l.server, Channel: l},
		slog.New(slog.NewTextHandler(log, nil)))
	l.mirror = s.mirror
	l.announce(7)
	l.block(7, "a")
	l.health.Complete = true
	s.updateQuality(l.now)
	await.True(t, "the cache was written", func() bool { return len(s.cache.writing) == 1 })
	return s, l, log
}

func TestACacheThatCannotBeWrittenIsWrittenAgain(t *testing.T) {
	s, l, log := failing(t)
	s.updateQuality(l.now.Add(qualityEvery))
	s.updateQuality(l.now.Add(saveEvery))
	await.True(t, "the cache was written again", func() bool { return len(s.cache.writing) == 1 })
	s.updateQuality(l.now.Add(saveEvery + qualityEvery))
	if n := strings.Count(log.String(), "address space not cached"); n != 1 {
		t.Errorf("that it is not cached was logged %d times in a row, want once:\n%s", n, log)
	}
	if err := os.Mkdir(filepath.Dir(s.cache.path), 0o700); err != nil {
		t.Fatal(err)
	}
	s.updateQuality(l.now.Add(2 * saveEvery))
	await.True(t, "the cache was written", func() bool { return len(s.cache.writing) == 1 })
	s.updateQuality(l.now.Add(2*saveEvery + qualityEvery))
	s.updateQuality(l.now.Add(3 * saveEvery))
	if !strings.Contains(log.String(), "address space cached again") {
		t.Errorf("that it is cached again is not in the log:\n%s", log)
	}
	if list, err := s.cache.load(); err != nil || len(list) != 2 || s.cache.writing != nil {
		t.Errorf("%d records are cached, %v, written again %v; want 2, and not", len(list), err,
			s.cache.writing != nil)
	}
}

func TestACacheThatCannotBeWrittenIsWrittenAgainAtTheEnd(t *testing.T) {
	s, _, log := failing(t)
	if err := os.Mkdir(filepath.Dir(s.cache.path), 0o700); err != nil {
		t.Fatal(err)
	}
	s.flushCache()
	if list, err := s.cache.load(); err != nil || len(list) != 2 {
		t.Errorf("%d records are cached, %v, want 2", len(list), err)
	}
	if !strings.Contains(log.String(), "address space not cached") {
		t.Errorf("the first error is not in the log:\n%s", log)
	}
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
