package send

import (
	"errors"
	"testing"
	"time"

	"heliograph/firmware/conduit/wire"
)

var errEnd = errors.New("end")

func TestLeftIsCalledOnceParityHasLeft(t *testing.T) {
	session, err := wire.NewSession(wire.PairKey{}, 1, [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	m := idleMux(1400)
	c := m.Channel("a", wire.LowLatency)
	s := NewSender(m, wire.DatagramProfile(1472, 66), 12.5e6, 0.25, session)
	left := 0
	now := t0
	run := func(d time.Duration) {
		for end := now.Add(d); now.Before(end); now = now.Add(100 * time.Microsecond) {
			if _, _, err := s.Frames(now, 1<<20, false); err != nil {
				t.Fatal(err)
			}
			s.Sent()
		}
	}
	run(100 * time.Millisecond) // hellos
	mustPut(t, m, c, Record{Payload: []byte("x"), Event: true, Left: func(err error) {
		if err != nil {
			t.Errorf("left with %v", err)
		}
		left++
	}})
	before := s.Counts()
	run(time.Millisecond)
	if left != 0 || s.Counts().Source != before.Source+1 {
		t.Errorf("after the source frame: left %d, %d sources; want 0, 1", left, s.Counts().Source-before.Source)
	}
	run(20 * time.Millisecond)
	if parity := s.Counts().Parity - before.Parity; left != 1 || parity != 5 {
		t.Errorf("after the flush: left %d, %d parity; want 1, 5", left, parity)
	}
	mustPut(t, m, c, Record{Payload: []byte("y"), Event: true, Left: func(err error) {
		if err == nil {
			t.Error("left although its parity never did")
		}
		left++
	}})
	run(time.Millisecond)
	s.Abandon(errEnd)
	if left != 2 {
		t.Errorf("after the end: left called %d times, want 2", left)
	}
}
