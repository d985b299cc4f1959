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
	if got := p.Spare(now, 500); got != 500 {
		t.Errorf("to spare after a pause: got %d bytes, want 500", got)
	}
	p.Spend(now, 400)
	if got := p.Spare(now, 500); got != 100 {
		t.Errorf("to spare after 400 bytes: got %d bytes, want 100", got)
	}
	at := p.SpareAt(500, 300)
	if got := p.Spare(at, 500); got != 300 || at.Sub(now) != 200*time.Microsecond {
		t.Errorf("after %v got %d bytes to spare, want 300 after 200 µs", at.Sub(now), got)
	}
}
