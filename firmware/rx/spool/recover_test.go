package spool

import (
	"os"
	"path/filepath"
	"testing"

	"heliograph/ci/await"
)

func TestCrashDeliversAgainFromTheLastPosition(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	q := open(t, dir, 1<<20)
	q.PeerDown(true)
	for i := range 100 {
		q.Append(record(i, 100))
	}
	await.True(t, "written", func() bool { q.mu.Lock(); defer q.mu.Unlock(); return q.tail.len()+q.batch.len() == 0 })
	deliver(t, q, 40)
	await.True(t, "position saved", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, positionName))
		return err == nil && len(b) == 21 && b[19] == 40
	})
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	again := open(t, copied, 1<<20)
	wantRange(t, takeAll(t, again), 40, 100)
	if got := again.Stats().Unknown; got == 0 {
		t.Error("unknown: got 0, want the crash counted")
	}
}
