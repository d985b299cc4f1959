package mqtt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/tx/source"
)

// feed passes on the messages of one connection, in either version of MQTT.
type feed struct {
	source    *Source
	failed    chan error // why the connection has to be closed
	acks      *acker
	abandoned atomic.Bool // what comes is sent again on the next connection
	traffic   traffic
	arrived   atomic.Uint64 // messages that were passed on
	closed    chan struct{}
}

// newFeed returns the feed of a new connection. A window that the one before left open
// waits for acknowledgements that never come, and what belongs into it was lost in part:
// the next subscription brings all of it again.
func newFeed(s *Source) *feed {
	if s.retained.dropWindow() {
		s.subscribed = mode{}
	}
	return &feed{
		source: s, failed: make(chan error, 1), acks: newAcker(&s.stats.Acknowledged), closed: make(chan struct{}),
	}
}

// close ends the feed: nothing is acknowledged any more, and nothing waits.
func (f *feed) close() {
	f.abandoned.Store(true)
	close(f.closed)
	f.acks.close()
}

// subscribe brings the session's subscriptions to what is configured. What a broker
// kept for a resumed session comes before anything is read of what it retains, which
// is newer. A subscription that was made in another mode is made again: it may hide
// retain flags. So is one of which not everything came, see newFeed.
func (f *feed) subscribe(ctx context.Context, c connection, m mode) error {
	s := f.source
	if !c.resumed() {
		s.deliveries.reset()
	} else if err := f.resume(ctx, c); err != nil {
		return err
	}
	s.remembered.saveFilters(s.cfg.Topics) // before the broker has them
	if m.version == version5 || !c.resumed() || s.subscribed != m {
		if m.version != version5 {
			s.addShown()
			s.retained.openWindow(time.Now())
		}
		if err := c.subscribe(ctx, s.cfg.Topics, 2); err != nil {
			return fmt.Errorf("subscribing: %w", err)
		}
		s.subscribed = m
	}
	return nil
}

// resume takes a session over from an earlier connection. A broker keeps every
// subscription of a session (MQTT 5.0 §4.1), those to topics that are not configured
// any more included, and would send what no one wants. They are ended one by one,
// and the session goes on: a clean one would lose what the broker kept for it.
func (f *feed) resume(ctx context.Context, c connection) error {
	s := f.source
	var stale []string
	for _, filter := range s.remembered.filters() {
		if !slices.Contains(s.cfg.Topics, filter) {
			stale = append(stale, filter)
		}
	}
	if len(stale) > 0 {
		if err := c.unsubscribe(ctx, stale); err != nil {
			return fmt.Errorf("unsubscribing from what is no longer configured: %w", err)
		}
	}
	if err := f.drain(ctx, c); err != nil {
		return fmt.Errorf("waiting for what the broker kept: %w", err)
	}
	return nil
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

// message passes on one message.
func (f *feed) message(m *payload.Message, o origin) {
	s := f.source
	defer f.arrived.Add(1)
	if o.ack != nil && (!f.room() || f.abandoned.Load()) {
		return // unacknowledged, and behind one that failed: both are sent again
	}
	s.stats.Received.Add(1)
	done := f.acks.expect(o.ack)
	if !m.Valid() || !subscribed(m.Topic, s.cfg.Topics) {
		s.refuseInvalid(m, false)
		done()
		return
	}
	encoded := m.Append(nil)
	var mk mark
	if m.Retain || m.QoS == 2 {
		mk = s.retained.mark(m, encoded)
	}
	d := s.deliveries.add(m.QoS, o, &delivery{sum: mk.sum, done: done, fail: f.fail})
	if d == nil {
		s.stats.Repeated.Add(1)
		return
	}
	f.put(m, o, d, mk, encoded)
}

// put hands a message to the link.
func (f *feed) put(m *payload.Message, o origin, d *delivery, mk mark, encoded []byte) {
	s := f.source
	s.puts.Lock()
	defer s.puts.Unlock()
	u := source.Update{Payload: encoded, Event: true}
	known := false
	if m.Retain {
		u.Key, u.Delete = []byte(m.Topic), len(m.Payload) == 0
		expected, _ := f.acks.progress()
		var v verdict
		v, known = s.retained.addSession(m, o.dup, time.Now(), mk, expected)
		switch v {
		case isRepeated:
			s.stats.Skipped.Add(1)
			s.deliveries.left(d)
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
		s.refusePut(m, known, err)
		s.deliveries.left(d) // or the broker would send it for ever
	case err != nil:
		f.left(m, o, d, err)
	}
}

// left notes that a message has left, or that it never will.
func (f *feed) left(m *payload.Message, o origin, d *delivery, err error) {
	s := f.source
	switch {
	case err == nil:
		s.deliveries.left(d)
	case o.ack != nil:
		if m.Retain {
			s.retained.forget(m.Topic)
		}
		s.deliveries.lost(d, o, err)
	}
}

// fail has the connection closed, and its messages sent again on the next one.
func (f *feed) fail(err error) {
	f.abandoned.Store(true)
	select {
	case f.failed <- err:
	default: // it is being closed already
	}
}
