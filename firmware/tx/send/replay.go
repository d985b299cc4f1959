package send

import (
	"time"

	"heliograph/firmware/conduit/wire"
)

// ReplayTurn is what Fill may give to the replay class.
type ReplayTurn int

// What it may.
const (
	ReplayWaits  ReplayTurn = iota // nothing yet; and the carousel waits too, when it is replay's turn
	ReplayItems                    // a frame of items
	ReplayParity                   // the turn, for a frame of parity
)

// turns shares what live traffic leaves between the carousel and replay: where both
// have something to send, replay has its turn when the carousel has had its
// guaranteed share of all bytes, and no less than replay.
type turns struct {
	share float64 // the carousel's
	owed  float64 // bytes that the carousel is behind its share
	lead  int     // bytes that the carousel has sent more than replay
}

// turnsMemory bounds what is carried over from before, in bytes.
const turnsMemory = 4096

func (t *turns) sent(flow, bytes int) {
	t.owed += t.share * float64(bytes)
	switch flow {
	case flowCarousel:
		t.owed -= float64(bytes)
		t.lead += bytes
	case flowReplay:
		t.lead -= bytes
	}
	t.owed = min(max(t.owed, -turnsMemory), turnsMemory)
	t.lead = min(max(t.lead, -turnsMemory), turnsMemory)
}

// replay reports whether it is replay's turn although the carousel is not at its end.
func (t *turns) replay() bool { return t.owed <= 0 && t.lead >= 0 }

// prefer has replay go before all but urgent records.
func (m *Mux) prefer(overdue bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.overdue = overdue
}

// replayReady reports whether replay has something to send.
func (m *Mux) replayReady(now time.Time, want ReplayTurn) bool {
	switch {
	case m.replay == nil:
		return false
	case want == ReplayParity || m.classes[wire.Replay].pieces.body != nil:
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
