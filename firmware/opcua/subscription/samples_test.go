package subscription

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestSamplesComeInOrder: items are sampled when they are due, the earliest first, as often as
// they are scheduled, and not after they were removed.
func TestSamplesComeInOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	start := time.Unix(1_700_000_000, 0)
	var q sampleQueue
	samples := make([]*sample, 200)
	for i := range samples {
		samples[i] = &sample{it: &item{}}
		q.schedule(samples[i], start.Add(time.Duration(rnd.IntN(1000))*time.Millisecond))
	}
	for i, s := range samples {
		switch {
		case i%3 == 0:
			q.remove(s)
			q.remove(s)
		case i%3 == 1: // once more, at another time
			q.schedule(s, start.Add(time.Duration(rnd.IntN(1000))*time.Millisecond))
		}
	}
	if s := q.next(start.Add(-time.Second)); s != nil {
		t.Errorf("got a sample due at %v before its time", s.due)
	}
	var last time.Time
	n := 0
	for s := q.next(start.Add(time.Hour)); s != nil; s = q.next(start.Add(time.Hour)) {
		if s.due.Before(last) {
			t.Fatalf("got a sample due at %v after one due at %v", s.due, last)
		}
		last = s.due
		q.remove(s)
		n++
	}
	if want := 200 - 67; n != want {
		t.Errorf("got %d samples, want %d", n, want)
	}
}
