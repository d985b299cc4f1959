package node

import (
	"fmt"
	"sync"
	"time"

	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/machine"
)

const (
	// mostReadings of TX are kept: of about a minute, longer than a probe takes.
	mostReadings = 64
	// mostApart is how many readings may lie between the one before a probe over UDP and the one
	// after it, so that packets are its probes: a probe takes 10 s at most, and TX reads every 2 to
	// 4 s. In a minute a neighbour of TX, such as a switch with its BPDU of every 2 s, sends fewer
	// than half of one means.
	mostApart = 16
)

// probeWatch finds what TX's end of the link had received before and after the newest reverse
// probe of this board. Safe for concurrent use.
type probeWatch struct {
	mu       sync.Mutex
	newest   time.Time // the probe's
	epoch    uint64    // TX's, when the probe was first seen
	readings []reading // of TX, oldest first
	before   *selfreport.Received
	then     *selfreport.Received // when the probe was first seen
	first    *selfreport.Received // after the probe; nil: it has not crossed
	after    *selfreport.Received // the newest after the probe
}

// reading is what TX reported at a time.
type reading struct {
	at       time.Time
	epoch    uint64
	received *selfreport.Received
}

// update takes what PID 1 publishes and what TX reports now. It reports whether the probe is
// a new one.
func (w *probeWatch) update(now time.Time, p *machine.Probe, r *selfreport.Received, epoch uint64) (fresh bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.readings); r != nil && (n == 0 || w.readings[n-1].received.Reading != r.Reading) {
		w.readings = append(w.readings[max(0, n+1-mostReadings):], reading{now, epoch, r})
	}
	if p == nil || p.Time.IsZero() {
		return false
	}
	if fresh = !p.Time.Equal(w.newest); fresh {
		w.newest, w.epoch, w.then, w.before, w.first, w.after = p.Time, epoch, r, nil, nil, nil
		for _, past := range w.readings {
			if past.epoch == epoch && past.at.Before(p.Time) {
				w.before = past.received
			}
		}
	}
	if epoch == w.epoch && r.ReadAfter(w.then) {
		w.after = r
		if w.first == nil {
			w.first = r
		}
	}
	if w.then == nil && epoch == w.epoch {
		w.then = r
	}
	return fresh
}

// answer adds to a probe what TX has received, once that has crossed.
func (w *probeWatch) answer(p *machine.Probe, medium config.Medium) *machine.Probe {
	if p == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.after.Counts() || !p.Time.Equal(w.newest) {
		return p
	}
	var sent []int
	for _, m := range p.Sent {
		sent = append(sent, m.Count)
	}
	answered := *p
	answered.Received = new(w.after.Total())
	answered.CameBack = w.cameBack(medium == config.UDP, sent)
	return &answered
}

// cameBack judges the probe. What was counted later is not its packets, but proves a way back where
// nothing else can have sent it.
func (w *probeWatch) cameBack(overUDP bool, sent []int) bool {
	if w.after.CameBack(overUDP, nil, nil) {
		return true
	}
	return w.before != nil && w.first.Reading-w.before.Reading <= mostApart && w.first.CameBack(overUDP, w.before, sent)
}

// watchProbe follows the newest reverse probe, and has it noted once in the audit trail.
func (n *Node) watchProbe(now time.Time) {
	if n.config.Reports == nil { // not a board
		return
	}
	p, t := n.machine.Facts().Probe, n.transmitter()
	if !n.probes.update(now, p, t.Received, n.link.Status().Epoch) {
		return
	}
	text := fmt.Sprintf("a person at this board's console had %d probes sent towards the transmitter, at %s", p.Total(),
		p.Time.UTC().Format(time.RFC3339))
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	n.state.journal.AddOnce("reverse_probe", text)
}
