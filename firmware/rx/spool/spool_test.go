package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"heliograph/ci/await"
)

func TestOrderIsKeptWhereverRecordsWait(t *testing.T) {
	for _, down := range []bool{false, true} {
		t.Run(fmt.Sprintf("peer down %v", down), func(t *testing.T) {
			dir := t.TempDir()
			q := open(t, dir, 64<<20)
			var got []int
			const size, total = 1000, 20000 // ten times what memory takes
			for i := range total {
				q.Append(record(i, size))
				if i == 500 {
					q.PeerDown(down)
				}
				if i%4 == 0 {
					recs, err := q.Next(t.Context(), 1)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, number(t, recs[0]))
					q.Done(1)
				}
				if i%64 == 0 { // the disk keeps up: nothing may be dropped
					await.True(t, "written", func() bool {
						q.mu.Lock()
						defer q.mu.Unlock()
						return q.tail.cost+q.batch.cost < memoryBytes/2
					})
				}
			}
			wantRange(t, append(got, takeAll(t, q)...), 0, total)
			await.True(t, "segments removed", func() bool { return len(segments(t, dir)) == 0 })
			if s := q.Stats(); s != (Stats{Limit: 64 << 20}) {
				t.Errorf("got %+v, want an empty queue without loss", s)
			}
		})
	}
}

func TestNextReturnsTheSameUntilDone(t *testing.T) {
	q := open(t, t.TempDir(), 1<<20)
	for i := range 5 {
		q.Append(record(i, 0))
	}
	for _, step := range []struct{ ask, from, n, done int }{{2, 0, 2, 0}, {2, 0, 2, 0}, {1, 0, 1, 1}, {9, 1, 4, 3},
		{9, 4, 1, 1}} {
		recs, err := q.Next(t.Context(), step.ask)
		if err != nil || len(recs) != step.n || number(t, recs[0]) != step.from {
			t.Fatalf("asked %d: got %q, %v, want %d from %d", step.ask, recs, err, step.n, step.from)
		}
		q.Done(step.done)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Next(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("empty: got %v, want the context's error", err)
	}
	q.Close()
	if _, err := q.Next(t.Context(), 1); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: got %v, want ErrClosed", err)
	}
}

func TestCloseLosesNothing(t *testing.T) {
	dir := t.TempDir()
	next := 0
	for round := range 4 {
		q := open(t, dir, 64<<20)
		q.PeerDown(round == 2)
		for range 1500 { // less than what waits for the disk at most
			q.Append(record(next, 1000))
			next++
		}
		if _, err := q.Next(t.Context(), 7); err != nil { // handed out, not done
			t.Fatal(err)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
	q := open(t, dir, 64<<20)
	wantRange(t, takeAll(t, q), 0, next)
	if s := q.Stats(); s.Dropped != 0 || s.Unknown != 0 {
		t.Errorf("got %+v, want no loss", s)
	}
}

func TestFullDiskKeepsWorkingInMemory(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip("not proved: a full disk, because mounting a tmpfs needs root:", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	q := open(t, dir, 64<<20)
	q.PeerDown(true)
	const total = 6000
	for i := range total {
		q.Append(record(i, 1000))
		if i%100 == 0 {
			await.True(t, "batch handled", func() bool { q.mu.Lock(); defer q.mu.Unlock(); return q.batch.len() == 0 })
		}
	}
	await.True(t, "fault", func() bool { return q.Stats().Fault != "" })
	got := takeAll(t, q)
	s := q.Stats()
	if len(got)+int(s.Dropped) != total || got[len(got)-1] != total-1 {
		t.Errorf("got %d delivered and %d dropped, want %d together", len(got), s.Dropped, total)
	}
	for i := 1; i < len(got); i++ {
		if got[i] <= got[i-1] {
			t.Fatalf("record %d after %d", got[i], got[i-1])
		}
	}
}

func TestUnusableFolderKeepsWorkingInMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	q := open(t, path, 1<<20)
	for i := range 100 {
		q.Append(record(i, 0))
	}
	wantRange(t, takeAll(t, q), 0, 100)
	if q.Stats().Fault == "" {
		t.Error("fault: got none")
	}
}

func TestMemoryPathDoesNotAllocatePerRecord(t *testing.T) {
	q := open(t, t.TempDir(), 1<<20)
	rec := make([]byte, 200)
	got := testing.AllocsPerRun(1000, func() {
		q.Append(rec)
		if _, err := q.Next(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		q.Done(1)
	})
	if got > 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func BenchmarkMemory(b *testing.B) {
	q := open(b, b.TempDir(), 64<<20)
	rec := make([]byte, 200)
	for b.Loop() {
		q.Append(rec)
		recs, err := q.Next(b.Context(), 100)
		if err != nil {
			b.Fatal(err)
		}
		q.Done(len(recs))
	}
}
