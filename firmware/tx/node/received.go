package node

import (
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/handover"
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
	read         func() selfreport.Received // nil: not known
	every        uint64                     // reports
	reports      uint64
	first, newer selfreport.Received
}

func newReceivedCounter(read func() selfreport.Received, bytesPerSecond float64) receivedCounter {
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
	if c.reports == 0 {
		c.first = c.read()
	}
	if c.reports%c.every == 0 {
		c.newer = c.read()
		c.newer.Interface = since(c.newer.Interface, c.first.Interface)
		c.newer.Socket = since(c.newer.Socket, c.first.Socket)
		c.newer.Line = since(c.newer.Line, c.first.Line)
		c.newer.Reading = c.reports/c.every + 1
	}
	c.reports++
	out := c.newer
	return &out
}

// since returns by how much a counter has risen; one that fell has begun again.
func since(now, first *uint64) *uint64 {
	if now == nil || first == nil || *now < *first {
		return now
	}
	return new(*now - *first)
}

// reading returns what asks a medium's counters, nil where nothing counts. A board's role
// may not ask anything of its link: the sandbox would end it.
func reading(m Medium, medium config.Medium) func() selfreport.Received {
	counter := m.Received
	if counter == nil {
		counter = m.Transmitter
	}
	c, counts := counter.(interface {
		Arrived() (n uint64, ok bool)
	})
	if _, handed, _ := handover.Descriptor(handover.Link); handed || !counts {
		return nil
	}
	return func() (r selfreport.Received) {
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
		return r
	}
}
