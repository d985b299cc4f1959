package pipeline

import (
	"slices"
	"time"

	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/rx/receive"
)

// Measurement is what this end measures of the link all the time, since the start. Two
// of them, one later than the other, say how the link was between them.
type Measurement struct {
	Sequence uint64        // number of the session's newest frame
	Uptime   time.Duration // of the transmitter, in its newest heartbeat
	Losses   receive.Losses
	Repairs  [wire.Classes]receive.Repairs
	Delays   Delays
}

// Delays counts heartbeats by their delay beyond the quickest one. They travel, wait for
// parity and are put in order as records do.
type Delays struct {
	Counts [len(delayBounds) + 1]uint64 // up to each bound and beyond
	Sum    time.Duration                // of all delays
}

var delayBounds = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond, 5 * time.Millisecond, 7 * time.Millisecond,
	10 * time.Millisecond, 15 * time.Millisecond, 20 * time.Millisecond, 30 * time.Millisecond, 50 * time.Millisecond,
	70 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second,
	2 * time.Second, 5 * time.Second,
}

// DelayBounds returns the longest delays of each of Delays.Counts but the last.
func DelayBounds() []time.Duration { return slices.Clone(delayBounds[:]) }

// add counts a heartbeat.
func (d *Delays) add(delay time.Duration) {
	bin, _ := slices.BinarySearch(delayBounds[:], delay)
	d.Counts[bin]++
	d.Sum += delay
}

// measurement returns what is measured. The caller holds mu.
func (l *Link) measurement() Measurement {
	m := Measurement{
		Uptime: time.Duration(l.heartbeats.last.Uptime) * time.Millisecond,
		Losses: l.opener.Losses(), Delays: l.delays,
	}
	_, m.Sequence, _ = l.opener.Sequence()
	for i, c := range l.classes {
		m.Repairs[i] = c.decoder.Repairs()
	}
	return m
}
