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
			p.Spend(1000)
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
}
