package mqtt

import (
	"context"
	"maps"
	"strings"
	"time"
)

// suspects are what may have broken the last connections. On 3.1.1 a broker that does not take a
// message closes the connection, and says not over which one: several are on their way. So what
// was open each time is sent by itself after some connections, and after some more it is known.
type suspects struct {
	failures int             // connections that broke one after the other with the same open
	queued   bool            // the oldest record of the queue
	topics   map[string]bool // of the snapshot, and of the gateway's own state
}

// narrow notes what was open when a connection broke, and reports whether any of it was at the
// connection before. When nothing was, it was not a message that broke the connection.
func (s *suspects) narrow(queued bool, topics map[string]bool) (again bool) {
	if !queued && len(topics) == 0 {
		return false
	}
	maps.DeleteFunc(s.topics, func(topic string, _ bool) bool { return !topics[topic] })
	s.queued = s.queued && queued
	if again = s.queued || len(s.topics) > 0; again {
		s.failures++
	} else {
		*s = suspects{failures: 1, queued: queued, topics: topics}
	}
	return again
}

// alone reports whether a message is sent with no other on its way.
func (s *suspects) alone(queued bool, topic string) bool {
	return s.failures >= aloneAfter && (queued && s.queued || !queued && s.topics[topic])
}

// proven notes that the broker has a message.
func (p *publisher) proven(f flight) {
	switch {
	case f.queued:
		if f.qos > 0 {
			delete(p.s.left, f.topic)
		}
	case f.qos == 0: // it was written, no more
		p.unproven[f.topic], p.unprovenAt = true, time.Now()
		return
	default:
		delete(p.suspects.topics, f.topic)
	}
	if f.qos > 0 { // it also has what was sent before
		maps.DeleteFunc(p.suspects.topics, func(topic string, _ bool) bool { return p.unproven[topic] })
		clear(p.unproven)
	}
}

// blame notes what may have broken the connection, and has a message left out over which enough
// did. It reports whether the connection before may have broken over the same.
func (p *publisher) blame() (again bool) {
	open, queued := map[string]bool{}, false
	if time.Since(p.unprovenAt) < steadyAfter {
		open = p.unproven
	}
	for _, f := range p.flights {
		if f.sent && !f.queued {
			open[f.topic] = true
		}
		queued = queued || f.sent && f.queued
	}
	again = p.suspects.narrow(queued, open)
	if p.suspects.failures >= maxFailures && !p.suspects.queued && len(p.suspects.topics) == 1 {
		for topic := range p.suspects.topics {
			p.s.left[topic] = p.s.clock()
		}
		*p.suspects = suspects{}
	}
	return again
}

// leaveOut reports whether a message of the snapshot or of the gateway's own is left out, because
// the broker dropped the connection over its topic not long ago, and counts it then.
func (p *publisher) leaveOut(f flight) bool {
	if !p.s.isLeft(f.topic) {
		return false
	}
	p.leftOut[f.topic] = true
	p.s.refuse(&refusal{disconnects, "as often as it was sent"}, f.topic, p.accounted(f))
	return true
}

// retryLeft publishes again what was left out on this connection, once its time is over.
func (p *publisher) retryLeft(ctx context.Context) error {
	if p.snap != nil {
		return nil
	}
	due := map[string]bool{}
	for topic := range p.leftOut {
		if !p.s.isLeft(topic) {
			due[topic] = true
		}
	}
	if len(due) == 0 {
		return nil
	}
	p.snap = p.s.snapshot(due)
	for topic := range due {
		delete(p.leftOut, topic)
		if topic == p.s.willTopic() {
			if err := p.makeRoom(ctx, flight{topic: topic}); err != nil {
				return err
			}
			if err := p.publishOnline(); err != nil {
				return err
			}
		}
		delete(p.own.topics, strings.TrimPrefix(topic, p.s.deps.Gateway.Prefix)) // publishStatus finds it new
	}
	return nil
}

// isLeft reports whether what is retained of a topic is left out now.
func (s *Sink) isLeft(topic string) bool {
	at, left := s.left[topic]
	return left && s.clock().Sub(at) < leftFor
}
