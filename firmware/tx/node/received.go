package node

import (
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/handover"
	"heliograph/firmware/platform/machine"
)

// How many reports pass between two readings: a reading is about 60 bytes, which on a line
// slower than slowLine shall be less than a hundredth.
const (
	reportsPerReading = 1
	slowReading       = 3
	slowLine          = 5000 // bytes a second
)

// receivedCounter reports what the link has received since this run began. A receiver sees
// by the number of readings that one is newer than what it sent. Not safe for concurrent
// use.
type receivedCounter struct {
	read         counts // nil: not known
	every        uint64 // reports
	reports      uint64
	first, newer selfreport.Received
}

// counts reads what the link has received in all; ok is false while there is no newer reading.
type counts func() (r selfreport.Received, ok bool)

func newReceivedCounter(read counts, bytesPerSecond float64) receivedCounter {
	c := receivedCounter{read: read, every: reportsPerReading}
	if bytesPerSecond < slowLine {
		c.every = slowReading
	}
	return c
}

// report returns what is to be reported now; nil where nothing is known.
func (c *receivedCounter) report() *selfreport.Received {
	if c.read == nil {
		return nil
	}
	if c.reports%c.every == 0 {
		if now, ok := c.read(); ok {
			c.update(now)
		}
	}
	c.reports++
	if c.newer.Reading == 0 {
		return nil
	}
	out := c.newer
	return &out
}

// update counts from the first reading on.
func (c *receivedCounter) update(now selfreport.Received) {
	if c.newer.Reading == 0 {
		c.first = now
	}
	c.newer = selfreport.Received{
		Interface: since(now.Interface, c.first.Interface), Socket: since(now.Socket, c.first.Socket),
		Line: since(now.Line, c.first.Line), Reading: c.newer.Reading + 1,
	}
}

// since returns by how much a counter has risen; one that fell has begun again.
func since(now, first *uint64) *uint64 {
	if now == nil || first == nil || *now < *first {
		return now
	}
	return new(*now - *first)
}

// reading returns what asks a medium's counters, nil where nothing counts. A board's role
// may not ask anything of its link, the sandbox would end it: PID 1 counts, and publishes.
func reading(m Medium, medium config.Medium, facts func() machine.Facts) counts {
	counter := m.Received
	if counter == nil {
		counter = m.Transmitter
	}
	c, known := counter.(interface {
		Arrived() (n uint64, ok bool)
	})
	if _, handed, _ := handover.Descriptor(handover.Link); handed {
		return published(facts)
	}
	if !known {
		return nil
	}
	return func() (r selfreport.Received, _ bool) {
		n, ok := c.Arrived()
		switch {
		case ok && medium == config.UART:
			r.Line = &n
		case ok:
			r.Interface = &n
		}
		if s, isSocket := counter.(interface{ Refused() uint64 }); isSocket {
			r.Socket = new(s.Refused())
		}
		return r, true
	}
}

// published reads what PID 1 has counted. One reading lies between two that are used, so that
// the later one was begun after the earlier one was here.
func published(facts func() machine.Facts) counts {
	const apart = 2
	last := uint64(0)
	return func() (r selfreport.Received, ok bool) {
		p := facts().Received
		if p == nil || p.Reading < last+apart {
			return r, false
		}
		last = p.Reading
		return selfreport.Received{Interface: p.Interface, Socket: p.Socket, Line: p.Line}, true
	}
}
