package spool

import (
	"testing"

	"heliograph/ci/await"
)

func TestVolatileIsWhatACrashWouldLose(t *testing.T) {
	q := open(t, t.TempDir(), 64<<20)
	for i := range 30 {
		q.Append(record(i, 100))
	}
	recs, err := q.Next(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if got := q.Volatile(); got != 30 {
		t.Errorf("in memory: got %d, want 30", got)
	}
	q.Done(len(recs))
	if got := q.Volatile(); got != 20 {
		t.Errorf("when 10 are delivered: got %d, want 20", got)
	}
	q.PeerDown(true)
	for i := range 50 {
		q.Append(record(30+i, 100))
	}
	await.True(t, "all synced", func() bool { return q.Volatile() == 0 })
	wantRange(t, takeAll(t, q), 10, 80)
}

// TestWhatIsNotSyncedIsVolatile has a segment whose writer does not sync by itself.
func TestWhatIsNotSyncedIsVolatile(t *testing.T) {
	q := open(t, t.TempDir(), 64<<20)
	byHand(q)
	q.PeerDown(true)
	volatile := func(when string, want uint64) {
		t.Helper()
		if got := q.Volatile(); got != want {
			t.Errorf("%s: got %d, want %d", when, got, want)
		}
	}
	add := func(from, to int) {
		for i := from; i < to; i++ {
			q.Append(record(i, 100))
		}
	}
	add(0, 10)
	volatile("not written", 10)
	q.w.write()
	volatile("written", 10)
	q.w.sync()
	volatile("synced", 0)
	add(10, 30)
	q.w.write()
	volatile("more written", 20)
	if _, err := q.Next(t.Context(), 15); err != nil {
		t.Fatal(err)
	}
	volatile("read back", 20)
	q.Done(15)
	volatile("delivered", 15)
	q.w.sync()
	volatile("all synced", 0)
	add(30, 40)
	q.w.write()
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	volatile("closed", 0)
}
