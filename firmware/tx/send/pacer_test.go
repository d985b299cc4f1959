package send

import (
	"testing"
	"time"
)

func TestPacerKeepsTheRate(t *testing.T) {
	p := NewPacer(1e6, 4*time.Millisecond)
	now, sent := t0, 0
	for now.Before(t0.Add(time.Second)) {
		for p.Budget(now, time.Millisecond) > 0 {
			p.Spend(now, 1000)
			sent += 1000
		}
		now = now.Add(700 * time.Microsecond)
	}
	if sent < 1_000_000 || sent > 1_010_000 {
		t.Errorf("got %d bytes in a second, want 1,000,000", sent)
	}
	now = now.Add(time.Second) // a pause
	if got := p.Budget(now, 0); got != 4000 {
		t.Errorf("made up for after a pause: got %d bytes, want 4000", got)
	}
	if !p.Idle(now) {
		t.Error("the line is not idle after a pause")
	}
	p.Spend(now, 400)
	if at := p.IdleAt(); p.Idle(now) || at.Sub(now) != 400*time.Microsecond || !p.Idle(at) {
		t.Errorf("after 400 bytes the line is idle after %v, want 400 µs", at.Sub(now))
	}
}
