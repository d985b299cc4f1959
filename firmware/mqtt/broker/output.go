package broker

import (
	"heliograph/firmware/mqtt/packet"
)

import "time"

// Our own bounds.
const (
	writeBytes  = 64 << 10 // put together for one write
	inlineBytes = 4 << 10  // a longer payload is written from where it is
	scanSteps   = 2        // scans of retained messages that find nothing, for one write
)

// Output is what is to be written to a connection.
type Output struct {
	Segments [][]byte // valid until the next call of Next
	Again    bool     // call Next again; after a moment, if there is nothing to write
	End      bool     // close the connection after it
}

// output collects an Output.
type output struct {
	segments [][]byte
	buf      []byte
	start    int // of what is not a segment yet
	size     int
	scans    int
}

func (o *output) payload(p []byte) {
	o.segments = append(o.segments, o.buf[o.start:], p)
	o.start = len(o.buf)
}

// Next returns what is to be written now, after what it returned before was written.
func (c *Conn) Next(now time.Time) Output {
	c.written()
	o := output{buf: append(c.buf[:0], c.control...), segments: c.segments[:0]}
	c.control = c.control[:0]
	again := false
	if c.session != nil && !c.ending {
		for c.session.step(c, &o, now) {
			if o.size+len(o.buf) >= writeBytes || o.scans >= scanSteps {
				again = true
				break
			}
		}
	}
	if len(o.buf) > o.start {
		o.segments = append(o.segments, o.buf[o.start:])
	}
	if len(o.segments) > 0 {
		c.moved = now
	}
	c.buf, c.segments = o.buf[:0], o.segments
	return Output{Segments: o.segments, Again: again, End: c.ending}
}

// step adds the session's next packet, and reports whether there may be another.
func (s *session) step(c *Conn, o *output, now time.Time) bool {
	if len(s.resend) > 0 {
		return s.sendAgain(c, o, now)
	}
	c.turn = !c.turn // live and retained messages alternate
	if c.turn {
		return s.sendQueued(c, o, now) || s.sendRetained(c, o, now)
	}
	return s.sendRetained(c, o, now) || s.sendQueued(c, o, now)
}

// sendAgain adds a flight of an earlier connection.
func (s *session) sendAgain(c *Conn, o *output, now time.Time) bool {
	if c.open >= c.window {
		return false
	}
	id := s.resend[0]
	s.resend = s.resend[1:]
	f, ok := s.flights[id]
	switch {
	case !ok: // acknowledged meanwhile
		return true
	case !f.released && f.packetSize(c.version) > c.maximum:
		s.b.stats.Oversized++
		s.acknowledged(id, f)
		return true
	}
	f.here = true
	s.flights[id] = f
	c.open++
	if f.released {
		o.buf = appendAck(o.buf, c.version, packet.Pubrel, id, 0)
		return true
	}
	c.publish(&f.delivery, o, id, true, now)
	return true
}

// sendQueued adds the oldest queued message.
func (s *session) sendQueued(c *Conn, o *output, now time.Time) bool {
	if s.queue.len() == 0 || s.queue.head().qos > 0 && s.full() {
		return false
	}
	d := s.queue.pop()
	s.send(c, &d, o, now)
	return true
}

// sendRetained adds the next retained message of a new subscription.
func (s *session) sendRetained(c *Conn, o *output, now time.Time) bool {
	if len(s.feeds) == 0 || s.feeds[0].sub.qos > 0 && s.full() {
		return false
	}
	f := s.feeds[0]
	m, more := s.b.retained.next(f, now)
	if !more {
		s.feeds = s.feeds[1:]
	}
	if m == nil {
		o.scans++
		return true
	}
	d := delivery{m: m, qos: min(m.qos, f.sub.qos), retain: true, identifiers: f.sub.identifiers}
	s.hold(&d)
	s.send(c, &d, o, now)
	return true
}

// send writes a delivery that the session holds, or drops it.
func (s *session) send(c *Conn, d *delivery, o *output, now time.Time) {
	switch {
	case d.m.expired(now):
		s.b.stats.Expired++
		s.release(d)
		return
	case d.packetSize(c.version) > c.maximum:
		s.b.stats.Oversized++ // section 3.1.2.11.4: as if it had been sent
		s.release(d)
		return
	}
	if d.qos == 0 {
		c.publish(d, o, 0, false, now)
		s.release(d)
		return
	}
	id := s.nextID()
	s.serial++
	s.flights[id] = flight{delivery: *d, serial: s.serial, here: true}
	s.flying += d.m.size()
	c.open++
	c.publish(d, o, id, false, now)
}

// publish adds the PUBLISH of a delivery. A flight is charged until it is released; what is
// written of a message of QoS 0 is charged until it was written.
func (c *Conn) publish(d *delivery, o *output, id uint16, dup bool, now time.Time) {
	c.b.stats.Sent++
	o.buf = d.appendPublish(o.buf, c.version, id, dup, now)
	if len(d.m.payload) <= inlineBytes {
		o.buf = append(o.buf, d.m.payload...)
		return
	}
	o.payload(d.m.payload)
	o.size += len(d.m.payload)
	c.b.keep(d.m)
	w := writing{m: d.m}
	if d.qos == 0 {
		w.charge(c.session)
	}
	c.writing = append(c.writing, w)
}

// writing is a message of which the payload is being written from where it is.
type writing struct {
	m       *Message
	charged bool // to the session, by what is written
}

// charge charges a session for what is written.
func (w *writing) charge(s *session) {
	s.charge += w.m.size()
	w.charged = true
}

// chargeWriting charges a session for what is still written of a flight that is released.
func (c *Conn) chargeWriting(m *Message) {
	for i := range c.writing {
		if w := &c.writing[i]; w.m == m && !w.charged {
			w.charge(c.session)
			return
		}
	}
}

// written releases what Next returned before.
func (c *Conn) written() {
	for _, w := range c.writing {
		c.b.drop(w.m)
		if c.session != nil && w.charged {
			c.session.charge -= w.m.size()
		}
	}
	clear(c.writing)
	c.writing = c.writing[:0]
	clear(c.segments)
}
