package spool

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/ci/await"
)

func open(t testing.TB, dir string, limit int64) *Queue {
	t.Helper()
	q, err := Open(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

func record(i, size int) []byte {
	s := fmt.Sprintf("%08d", i)
	return []byte(s + strings.Repeat(".", max(0, size-len(s))))
}

func number(t testing.TB, rec []byte) (n int) {
	t.Helper()
	if _, err := fmt.Sscanf(string(rec[:8]), "%d", &n); err != nil {
		t.Fatalf("record %q: %v", rec, err)
	}
	return n
}

// take delivers until the queue is empty and returns the numbers seen.
func takeAll(t testing.TB, q *Queue) (all []int) {
	t.Helper()
	ctx := await.Context(t)
	for q.Stats().Records > 0 {
		recs, err := q.Next(ctx, 100)
		if err != nil {
			t.Fatalf("after %d records: %v, %+v", len(all), err, q.Stats())
		}
		for _, r := range recs {
			all = append(all, number(t, r))
		}
		q.Done(len(recs))
	}
	return all
}

// deliver has a peer take records. Next may have fewer at a time, as some are on the disk already.
func deliver(t testing.TB, q *Queue, n int) {
	t.Helper()
	for ctx := await.Context(t); n > 0; {
		recs, err := q.Next(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		q.Done(len(recs))
		n -= len(recs)
	}
}

func wantRange(t testing.TB, got []int, from, to int) {
	t.Helper()
	if len(got) != to-from {
		t.Errorf("got %d records, want %d", len(got), to-from)
	}
	for i, n := range got {
		if n != from+i {
			t.Fatalf("place %d: got record %d, want %d", i, n, from+i)
		}
	}
}

func segments(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// waiting is how many records wait for the disk.
func (q *Queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tail.len() + q.batch.len()
}

// closed ends the queue and returns how many records it reported of as dropped.
func closed(t *testing.T, q *Queue) (reported uint64) {
	t.Helper()
	q.OnDrop(func(n uint64) { reported += n })
	err := q.Close()
	if s := q.Stats(); s.Dropped != reported || (err == nil) != (reported == 0) {
		t.Errorf("closed with %v: %+v, %d reported", err, s, reported)
	}
	return reported
}

// byHand ends the goroutine that writes: the test calls q.w.write and q.w.sync.
func byHand(q *Queue) {
	close(q.stop)
	<-q.ended
	q.stop, q.ended = make(chan struct{}), make(chan struct{})
	close(q.ended) // for Close
}
