package spool

import (
	"os"
	"testing"
)

// flapping are peers that come and go while records wait on the disk and in memory alone.
var flapping = map[string]func(t *testing.T, q *Queue, add func(n int)){
	"newer than the growing segment": func(t *testing.T, q *Queue, add func(n int)) {
		growing(t, q, add)
		q.PeerDown(true)
		q.w.write()
		add(2)
	},
	"between two batches of the growing segment": func(t *testing.T, q *Queue, add func(n int)) {
		growing(t, q, add)
		q.PeerDown(true)
		add(2)
		q.PeerDown(false)
		q.w.write()
		q.PeerDown(true)
	},
	"on both sides of the growing segment": func(t *testing.T, q *Queue, add func(n int)) {
		add(5)
		next(t, q, 5)
		q.PeerDown(true)
		add(5)
		q.PeerDown(false)
		q.w.write()
		next(t, q, 6)
		add(2)
		q.PeerDown(true)
	},
}

// growing leaves five records that were read from the growing segment, not done, and two newer
// ones in memory alone.
func growing(t *testing.T, q *Queue, add func(n int)) {
	q.PeerDown(true)
	add(5)
	q.w.write()
	q.PeerDown(false)
	next(t, q, 5)
	add(2)
}

func next(t *testing.T, q *Queue, n int) {
	t.Helper()
	if recs, err := q.Next(t.Context(), n); err != nil || len(recs) != n {
		t.Fatalf("got %d records, %v, want %d", len(recs), err, n)
	}
}

// flapped returns a queue after that, all of it on disk, and how many records it has.
func flapped(t *testing.T, flap func(t *testing.T, q *Queue, add func(n int))) (q *Queue, total int) {
	q = open(t, t.TempDir(), 1<<20)
	byHand(q)
	flap(t, q, func(n int) {
		for range n {
			q.Append(record(total, 100))
			total++
		}
	})
	q.w.write()
	q.w.sync()
	if got := q.Volatile(); got != 0 {
		t.Fatalf("%d records are not on disk", got)
	}
	return q, total
}

// killed opens what a kill of the queue's process leaves.
func killed(t *testing.T, q *Queue) *Queue {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(q.dir)); err != nil {
		t.Fatal(err)
	}
	return open(t, dir, 1<<20)
}

func TestAFlappingPeerGetsItsRecordsInOrderAfterARestart(t *testing.T) {
	for name, flap := range flapping {
		t.Run(name, func(t *testing.T) {
			q, total := flapped(t, flap)
			crashed := killed(t, q)
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
			again := open(t, q.dir, 1<<20)
			wantRange(t, takeAll(t, again), 0, total)
			if s := again.Stats(); s != (Stats{Limit: 1 << 20}) {
				t.Errorf("got %+v, want an empty queue without loss", s)
			}
			wantRange(t, takeAll(t, crashed), 0, total)
		})
	}
}

// TestAKillWhileAFlappingPeerCatchesUp: the rest comes, however many were delivered before it.
func TestAKillWhileAFlappingPeerCatchesUp(t *testing.T) {
	for name, flap := range flapping {
		t.Run(name, func(t *testing.T) {
			q, total := flapped(t, flap)
			for n := range total {
				again := killed(t, q)
				byHand(again)
				deliver(t, again, n)
				again.w.sync()
				wantRange(t, takeAll(t, killed(t, again)), n, total)
			}
		})
	}
}
