package mqtt

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/tx/source"
)

// drainPatience bounds the wait for what a broker kept for a resumed session.
const drainPatience = 5 * time.Second

// warnEvery bounds how often refused messages are logged.
const warnEvery = 10 * time.Second

// feed takes the messages of one connection, whatever its version.
type feed struct {
	source  *Source
	failed  chan error // why the connection has to be given up
	acks    *acker
	given   atomic.Bool // up: what comes is sent again
	traffic traffic
	arrived atomic.Uint64 // messages that were taken
	closed  chan struct{}
}

// origin is how a message came.
type origin struct {
	id  uint16
	dup bool
	ack func() // nil: the broker expects none
}

func newFeed(s *Source) *feed {
	return &feed{source: s, failed: make(chan error, 1), acks: newAcker(&s.stats.Acknowledged), closed: make(chan struct{})}
}

// close ends the feed: nothing is acknowledged any more, and nothing waits.
func (f *feed) close() {
	f.given.Store(true)
	close(f.closed)
	f.acks.close()
}

// ask subscribes. What a broker kept for a resumed session comes before anything
// is read of what it retains, which is newer. A subscription that was made otherwise
// than the broker is spoken to now is made again: it may hide retain flags.
func (f *feed) ask(ctx context.Context, c connection, h how) error {
	s := f.source
	if !c.resumed() {
		s.deliveries.forget()
	} else if err := f.drain(ctx, c); err != nil {
		return fmt.Errorf("waiting for what the broker kept: %w", err)
	}
	if h.version == five || !c.resumed() || s.subscribed != h {
		if h.version != five {
			s.show()
			s.picture.open(time.Now())
		}
		if err := c.subscribe(ctx, s.cfg.Topics, 2); err != nil {
			return fmt.Errorf("subscribing: %w", err)
		}
		s.subscribed = h
	}
	return nil
}

// drain waits until a broker has sent what it kept for a resumed session, so
// that it is not mistaken for what a subscription brings. A broker has no more
// when everything it sent was acknowledged on the wire, and nothing followed
// until it answered a barrier. The wire counts, for libraries queue both ways.
func (f *feed) drain(ctx context.Context, c connection) error {
	ctx, cancel := context.WithTimeout(ctx, drainPatience)
	defer cancel()
	for {
		settled, before := f.settled()
		if err := c.barrier(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		if settled && f.traffic.asked() == before {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil // a busy link or a busy broker: what is left of it is little
		case <-c.lost():
			return c.cause()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// settled reports whether all that came in was taken, and its acknowledgement
// went out; asked is how much that was.
func (f *feed) settled() (settled bool, asked uint64) {
	asked = f.traffic.asked()
	in, out := &f.traffic.in, &f.traffic.out
	expected, acked, _ := f.acks.progress()
	return f.arrived.Load() == in[typePublish].Load() && expected == acked &&
		out[typePuback].Load()+out[typePubrec].Load() >= acked &&
		out[typePubcomp].Load() >= in[typePubrel].Load(), asked
}

// shut closes the picture's window once all has come that the subscription
// brings on 3.1.1. It reports whether the window is closed.
func (f *feed) shut(now time.Time) bool {
	_, acked, at := f.acks.progress()
	return f.source.picture.closed(now, acked, at)
}

// room waits until there is room for a message that the broker wants to be
// acknowledged. Meanwhile nothing is read from it, and it keeps what it has.
func (f *feed) room() bool {
	select {
	case <-f.source.port.Room():
		return true
	case <-f.closed:
		return false
	}
}

// message takes one message.
func (f *feed) message(m *payload.Message, o origin) {
	s := f.source
	defer f.arrived.Add(1)
	if o.ack != nil && (!f.room() || f.given.Load()) {
		return // unacknowledged, and behind one that failed: both are sent again
	}
	s.stats.Received.Add(1)
	done := f.acks.expect(o.ack)
	if !m.Valid() || !subscribed(m.Topic, s.cfg.Topics) {
		s.refuse("mqtt: a message that no link may carry was refused", m)
		done()
		return
	}
	encoded := m.Append(nil)
	var mk mark
	if m.Retain || m.QoS == 2 {
		mk = s.picture.mark(m, encoded)
	}
	d := s.deliveries.take(m.QoS, o, mk.sum, done, f.fail)
	if d == nil {
		s.stats.Repeated.Add(1)
		return
	}
	f.put(m, o, d, mk, encoded)
}

func (f *feed) put(m *payload.Message, o origin, d *delivery, mk mark, encoded []byte) {
	s := f.source
	s.puts.Lock()
	defer s.puts.Unlock()
	u := source.Update{Payload: encoded, Event: true}
	if m.Retain {
		u.Key, u.Delete = []byte(m.Topic), len(m.Payload) == 0
		expected, _, _ := f.acks.progress()
		switch s.picture.take(m, o.dup, time.Now(), mk, expected) {
		case isRepeated:
			s.stats.Skipped.Add(1)
			s.deliveries.leave(d)
			return
		case isState:
			u.Event = false
		}
	}
	if o.ack != nil {
		u.Left = func(err error) { f.left(m, o, d, err) }
	}
	switch err := s.port.Put(u); {
	case errors.Is(err, source.ErrTooLarge), errors.Is(err, source.ErrStateFull):
		s.picture.forget(m.Topic)
		s.refuse("mqtt: a message was refused: "+err.Error(), m)
		s.deliveries.leave(d) // or the broker would send it for ever
	case err != nil:
		f.left(m, o, d, err)
	}
}

// left learns that a message has left, or never will.
func (f *feed) left(m *payload.Message, o origin, d *delivery, err error) {
	s := f.source
	switch {
	case err == nil:
		s.deliveries.leave(d)
	case o.ack != nil:
		if m.Retain {
			s.picture.forget(m.Topic)
		}
		s.deliveries.lose(d, o, err)
	}
}

func (f *feed) fail(err error) {
	f.given.Store(true)
	select {
	case f.failed <- err:
	default: // it is being given up already
	}
}

// refuse counts a refused message, and logs one now and then.
func (s *Source) refuse(what string, m *payload.Message) {
	n := s.stats.Refused.Add(1)
	now := time.Now().UnixNano()
	if last := s.warned.Load(); now-last >= int64(warnEvery) && s.warned.CompareAndSwap(last, now) {
		s.log.Warn(what, "topic", clip(m.Topic), "bytes", len(m.Payload), "refused", n)
	}
}

func clip(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
