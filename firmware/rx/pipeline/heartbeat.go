package pipeline

import (
	"time"

	"heliograph/firmware/conduit/record"
)

// driftShare is how much of a time two boards' clocks may differ by: 200 ppm, more than
// crystals do. A link that becomes slower by more than that shows as late.
const driftShare = 5000

// heartbeats is what the transmitter's heartbeats reveal of the link's delay and of
// the time of day.
type heartbeats struct {
	last   record.Heartbeat
	at     time.Time       // last arrived; zero: none did in this session
	offset time.Duration   // smallest of arrival − TX's uptime, let rise as the clocks may drift
	late   time.Duration   // last against offset
	ahead  time.Duration   // transmitter's clock − this machine's, by the last, whether its clock is set or not
	clock  time.Duration   // … by the last whose clock was set
	clocks uint64          // that had a time of day
	delays []time.Duration // newest of late, maxDelays at most
}

// maxDelays is how many delays are kept: those of about two minutes.
const maxDelays = 128

// receive applies a heartbeat that arrived at now, uptime after this receiver's start.
func (h *heartbeats) receive(body []byte, uptime time.Duration, now time.Time) error {
	if err := h.last.Parse(body); err != nil {
		return err
	}
	// Uptime is monotonic, UTC may be set: only the former shows how late it is.
	offset := uptime - time.Duration(h.last.Uptime)*time.Millisecond
	if h.at.IsZero() {
		h.offset = offset
	}
	h.offset = min(offset, h.offset+now.Sub(h.at)/driftShare) // an outage is a time, too
	h.late = offset - h.offset
	h.at = now
	if h.delays = append(h.delays, h.late); len(h.delays) > maxDelays {
		h.delays = append(h.delays[:0], h.delays[1:]...)
	}
	h.ahead = time.Unix(0, h.last.UTC).Add(h.late).Sub(now.Round(0)) // of the day, not of the stopwatch
	if h.last.ClockSet {
		h.clocks++
		h.clock = h.ahead
	}
	return nil
}

// restart is for a new session, which may be of another transmitter.
func (h *heartbeats) restart() { h.offset, h.late, h.at, h.delays = 0, 0, time.Time{}, nil }
