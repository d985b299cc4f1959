package spool

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"heliograph/ci/await"
)

func TestWhatTheDiskDoesNotTakeAtTheEndIsReported(t *testing.T) {
	for _, down := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		q := open(t, path, 1<<20)
		q.PeerDown(down)
		for i := range 100 {
			q.Append(record(i, 0))
		}
		if _, err := q.Next(t.Context(), 7); err != nil { // handed out, not done
			t.Fatal(err)
		}
		if reported := closed(t, q); reported != 100 {
			t.Errorf("peer down %v: got %d reported, want 100", down, reported)
		}
	}
}

// TestAFullDiskAtTheEnd: what the next run delivers and what is reported are all records, each once.
func TestAFullDiskAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skip("not proved: a full disk, because mounting a tmpfs needs root:", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	q := open(t, dir, 64<<20)
	q.PeerDown(true)
	const total = 1500
	for i := range total {
		q.Append(record(i, 1000))
		if i%100 == 0 {
			await.True(t, "written or failed", func() bool { return q.waiting() == 0 || q.Stats().Fault != "" })
		}
	}
	await.True(t, "fault", func() bool { return q.Stats().Fault != "" })
	recs, err := q.Next(t.Context(), 100) // from disk, not done
	if err != nil || number(t, recs[0]) != 0 {
		t.Fatalf("got %q, %v", recs, err)
	}
	reported := closed(t, q)
	got := takeAll(t, open(t, dir, 64<<20))
	wantRange(t, got, 0, len(got))
	if reported == 0 || len(got) == 0 || len(got)+int(reported) != total {
		t.Errorf("got %d reported and %d in the next run, want %d together", reported, len(got), total)
	}
}
