package client

import (
	"errors"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"
)

// Our own choices.
const (
	publishPerSubscription = 2 // requests that wait at the server
	maxPublish             = 20
	maxAcknowledgements    = 1000
	backoff                = 100 * time.Millisecond // after a Publish that failed
)

// publisher keeps Publish requests waiting at the server for all subscriptions.
type publisher struct {
	mu            sync.Mutex
	subscriptions map[uint32]*Subscription
	made          int // subscriptions ever
	running       int
	most          int // requests that the server keeps, 0 while it has refused none
	acks          []acknowledgement
	held          int       // responses that wait for a handler
	released      time.Time // when the last of them had waited
}

type acknowledgement struct{ subscription, sequence uint32 }

func (p *publisher) add(s *Session, sub *Subscription) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.subscriptions[sub.id] != nil {
		return false
	}
	p.subscriptions[sub.id] = sub
	p.made++
	return true
}

func (p *publisher) forget(sub *Subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.subscriptions[sub.id] == sub {
		delete(p.subscriptions, sub.id)
		close(sub.gone)
	}
}

func (p *publisher) acknowledge(subscription, sequence uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.acks) < maxAcknowledgements { // else the server's queue is long enough for them
		p.acks = append(p.acks, acknowledgement{subscription, sequence})
	}
}

// lastHeld returns when nothing held responses up any more, at least t. A subscription
// that is delayed by another's slow handler is not silent.
func (p *publisher) lastHeld(t time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.held > 0:
		return time.Now()
	case p.released.After(t):
		return p.released
	}
	return t
}

// target is how many requests are to wait. It is called with mu held.
func (p *publisher) target() int {
	n := min(publishPerSubscription*len(p.subscriptions), maxPublish)
	if p.most > 0 {
		n = min(n, p.most)
	}
	return n
}

// publishMore starts as many publishing goroutines as are missing.
func (s *Session) publishMore() {
	p := &s.publisher
	p.mu.Lock()
	defer p.mu.Unlock()
	for ; p.running < p.target(); p.running++ {
		s.work.Go(s.publishAll)
	}
}

// publishAll sends one Publish after another for as long as they are wanted.
func (s *Session) publishAll() {
	p := &s.publisher
	for {
		p.mu.Lock()
		if s.ctx.Err() != nil || p.running > p.target() {
			p.running--
			p.mu.Unlock()
			return
		}
		// a response after the time-out is lost
		acks, made, timeout := p.acks, p.made, max(s.timeout, busySilence)
		p.acks = nil
		for _, sub := range p.subscriptions {
			timeout = max(timeout, 3*sub.revised.keepAlivePeriod()+s.timeout)
		}
		p.mu.Unlock()
		if err := s.publishOnce(timeout, acks); err != nil && !s.published(err, made) {
			select {
			case <-time.After(backoff):
			case <-s.ctx.Done():
			}
		}
	}
}

func (s *Session) publishOnce(timeout time.Duration, acks []acknowledgement) error {
	a, err := s.do(s.ctx, publish(), timeout, func(b []byte) []byte {
		b = appendUint32(b, uint32(len(acks)))
		for _, k := range acks {
			b = appendUint32(appendUint32(b, k.subscription), k.sequence)
		}
		return b
	})
	if err != nil {
		return err
	}
	subscription := a.Uint32()
	for range a.Length(4) {
		a.Uint32() // still available: a gap shows in the numbers anyway
	}
	a.Byte() // more follows: it comes with the next
	m, err := readMessage(&a)
	if err != nil {
		return malformedAnswer("Publish", err)
	}
	s.publisher.mu.Lock()
	sub := s.publisher.subscriptions[subscription]
	s.publisher.mu.Unlock()
	if sub == nil { // deleted, or not registered yet
		return nil
	}
	select {
	case sub.in <- m:
		return nil
	default:
	}
	s.publisher.hold(1)
	defer s.publisher.hold(-1)
	select {
	case sub.in <- m:
	case <-sub.gone:
	case <-s.ctx.Done():
	}
	return nil
}

func (p *publisher) hold(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held += n
	p.released = time.Now()
}

// published handles a Publish that failed, and reports whether the next may be sent at
// once.
func (s *Session) published(err error, made int) bool {
	p := &s.publisher
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case errors.Is(err, ua.StatusBadTooManyPublishRequests):
		p.most = max(1, p.running-1)
		s.cfg.Log.Info("keeping fewer Publish requests at the server", "requests", p.most)
	case errors.Is(err, ua.StatusBadNoSubscription):
		if len(p.subscriptions) > 0 && made == p.made {
			s.end(&Error{Service: "Publish", Code: ua.StatusBadNoSubscription,
				Reason: "the server has lost our subscriptions: connect again"})
		}
		return true
	case errors.Is(err, ua.StatusBadTimeout):
		return true
	}
	return false
}

// republish asks for a message again.
func (s *Session) republish(subscription, sequence uint32) (message, error) {
	a, err := s.do(s.ctx, republish(), 0, func(b []byte) []byte {
		return appendUint32(appendUint32(b, subscription), sequence)
	})
	if err != nil {
		return message{}, err
	}
	m, err := readMessage(&a)
	if err != nil {
		return m, malformedAnswer("Republish", err)
	}
	if m.sequence != sequence || m.keepAlive {
		return m, &Error{Service: "Republish", Code: ua.StatusBadMessageNotAvailable,
			Reason: "the server sent another message"}
	}
	return m, nil
}
