package send

import (
	"time"

	"heliograph/firmware/conduit/wire"
)

// ReplayTurn is what Fill may give to the replay class. In the carousel's turns it may
// have every second frame at any time, since live records wait for either as long.
type ReplayTurn struct {
	Idle   bool // the line is idle: a frame may be replay's alone
	Parity bool // the turn is for a frame of parity, not of items
}

// turns shares the carousel's turns between it and replay: where both have something to
// send, replay has no more than the carousel.
type turns struct {
	lead int // bytes that the carousel has sent more than replay
}

// turnsMemory bounds what is carried over from before, in bytes.
const turnsMemory = 4096

func (t *turns) sent(flow, bytes int) {
	switch flow {
	case flowCarousel:
		t.lead += bytes
	case flowReplay:
		t.lead -= bytes
	}
	t.lead = min(max(t.lead, -turnsMemory), turnsMemory)
}

// replay reports whether it is replay's turn although the carousel is not at its end.
func (t *turns) replay() bool { return t.lead > 0 }

// replayReady reports whether replay has something to send.
func (m *Mux) replayReady(now time.Time, r ReplayTurn) bool {
	switch {
	case m.replay == nil:
		return false
	case r.Parity || m.classes[wire.Replay].pieces.body != nil:
		return true
	}
	at := m.replay.Wake()
	return !at.IsZero() && !now.Before(at)
}

// replay fills the frame with what left before.
func (f *filler) replay() {
	f.continued()
	m := f.mux
	for f.class.pieces.body == nil && f.space() >= minPiece {
		kind, body := m.replay.Next(f.now)
		if body == nil {
			return
		}
		f.item(kind, body, nil, nil)
	}
}

// ReplayWake returns when there will be something to send again, or a zero time.
func (m *Mux) ReplayWake() time.Time {
	if m.replay == nil {
		return time.Time{}
	}
	return m.replay.Wake()
}
