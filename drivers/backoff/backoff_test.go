package backoff

import (
	"slices"
	"testing"
	"time"
)

func TestPausesGrowToALimit(t *testing.T) {
	var p Pause
	now := time.Unix(1000, 0)
	var got []time.Duration
	for range 8 {
		if !p.Over(now) {
			t.Fatalf("not over at %s", now)
		}
		p.Begin(now)
		if p.Over(now) {
			t.Fatal("over at once")
		}
		got = append(got, p.Until().Sub(now))
		now = p.Until()
	}
	ms := time.Millisecond
	if want := []time.Duration{50 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 2000 * ms,
		2000 * ms}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
