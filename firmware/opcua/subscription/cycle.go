package subscription

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/uabinary"
)

// subscription is what a client has subscribed to. The engine's lock guards the first
// block, its own the second.
type subscription struct {
	id                  uint32
	session             uint32 // 0: its session is gone
	client              Client // who made it, or took it over
	interval            time.Duration
	keepAlive, lifetime uint32 // cycles
	most                int    // notifications in one message
	enabled             bool
	priority            byte
	due                 time.Time
	quiet               uint32    // cycles since a message
	unheard             uint32    // cycles without a Publish request
	late                bool      // a message waits for a Publish request
	begun               bool      // the first message was sent
	spoke               time.Time // when the last one was
	sequence            uint32    // of the last message
	sent                []message
	held                int // bytes of sent
	events              int // items that events are compared with
	refreshing          bool
	linked              bool // some item triggers others
	tally               tally

	account account // its own; of changes under both locks

	mu    sync.Mutex
	items map[uint32]*item
	ready []*item     // with something to report, in the order in which they had
	tardy []*item     // with a value that came too soon
	waits atomic.Bool // tardy has some
	part  []byte      // of cut, as is
	cut   []byte
}

// message is a NotificationMessage that the client has not acknowledged.
type message struct {
	sequence uint32
	body     []byte
}

// cycle is the end of a publishing interval (OPC 10000-4 §5.14.1.2). The engine's
// lock is held.
func (e *Engine) cycle(s *subscription, now time.Time) {
	for !now.Before(s.due) {
		s.due = s.due.Add(max(s.interval, now.Sub(s.due)/s.interval*s.interval))
	}
	se := e.sessions[s.session]
	if se == nil || len(se.waiting) == 0 {
		if s.unheard++; s.unheard >= s.lifetime {
			e.expire(s)
			return
		}
	} else {
		s.unheard = 0
	}
	s.quiet++
	if !e.speak(s, now) {
		s.late = true
		s.tally.late++
	}
}

// speak sends what there is to send, as far as Publish requests wait for it. It
// returns false when a message is left.
func (e *Engine) speak(s *subscription, now time.Time) bool {
	se := e.sessions[s.session]
	for {
		data := s.enabled && s.pending(e)
		if !data && s.begun && s.quiet < s.keepAlive {
			return true
		}
		if se == nil || len(se.waiting) == 0 {
			return false
		}
		p := se.pop()
		s.tally.published++
		s.begun, s.quiet, s.late, s.spoke = true, 0, false, now
		if !data {
			e.answer(p, s, appendMessage(nil, next(s.sequence), now, nil), false)
			return true
		}
		notifications, more := s.collect(e)
		s.sequence = next(s.sequence)
		body := appendMessage(nil, s.sequence, now, notifications)
		s.keep(message{s.sequence, body}, e.cfg.Limits)
		e.answer(p, s, body, more)
		if !more {
			return true
		}
	}
}

// settle looks at what came too soon.
func (s *subscription) settle(e *Engine) {
	if !s.waits.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := e.now.Load()
	s.tardy = slices.DeleteFunc(s.tardy, func(it *item) bool { return it.gone || it.settle(e, now) })
	s.waits.Store(len(s.tardy) > 0)
}

// pending tells whether there is something to report.
func (s *subscription) pending(e *Engine) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = slices.DeleteFunc(s.ready, func(it *item) bool {
		it.ready = !it.gone && it.reports()
		return !it.ready
	})
	return len(s.ready) > 0
}

// collect takes at most one message's worth off the queues.
func (s *subscription) collect(e *Engine) (notifications []byte, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b batch
	now := uabinary.Ticks(e.cfg.Now())
	done := 0
	full := func() bool { return b.count() >= s.most || b.size() >= e.cfg.Limits.MessageBytes }
	for _, it := range s.ready {
		n := 0
		for ; n < len(it.queue) && !full(); n++ {
			b.add(it, &it.queue[n], now)
			s.tally.tell(it.events)
			e.letGo(s, it.queue[n].raw)
			it.queue[n] = entry{}
		}
		if it.queue = it.queue[n:]; len(it.queue) > 0 {
			break
		}
		it.queue, it.ready, it.triggered = nil, false, false
		done++
	}
	s.ready = slices.Delete(s.ready, 0, done)
	return b.body(), len(s.ready) > 0
}

// keep holds a message for Republish, if there is room for it.
func (s *subscription) keep(m message, l Limits) {
	size := len(m.body)
	for len(s.sent) > 0 && (len(s.sent) >= l.Retransmission || s.held+size > l.RetransmissionBytes) {
		s.tally.discarded++
		s.forget(0)
	}
	for !s.account.take(int64(size)) {
		s.tally.discarded++
		if len(s.sent) == 0 {
			return
		}
		s.forget(0)
	}
	s.sent = append(s.sent, m)
	s.held += size
}

// forget gives the message at i up.
func (s *subscription) forget(i int) {
	size := len(s.sent[i].body)
	s.account.force(-int64(size))
	s.held -= size
	s.sent = slices.Delete(s.sent, i, i+1)
}

func (s *subscription) acknowledge(sequence uint32) ua.StatusCode {
	for i := range s.sent {
		if s.sent[i].sequence == sequence {
			s.forget(i)
			return ua.StatusOK
		}
	}
	return ua.StatusBadSequenceNumberUnknown
}

// next returns the sequence number after another: 0 is none.
func next(sequence uint32) uint32 {
	if sequence++; sequence == 0 {
		return 1
	}
	return sequence
}

// expire ends a subscription that nobody asks for any more, and says so to the next
// Publish request of its session.
func (e *Engine) expire(s *subscription) {
	e.cfg.Log.Info("subscription: nobody asks for it any more", "subscription", s.id, "session", s.session)
	e.tell(s.session, status{s.id, next(s.sequence), ua.StatusBadTimeout})
	e.drop(s)
}

// drop takes a subscription with its items away.
func (e *Engine) drop(s *subscription) {
	delete(e.subs, s.id)
	e.alive.Add(-1)
	s.mu.Lock()
	items := make([]*item, 0, len(s.items))
	for _, it := range s.items {
		items = append(items, it)
	}
	s.mu.Unlock()
	e.leave(items)
	for len(s.sent) > 0 {
		s.forget(len(s.sent) - 1)
	}
	e.abandon(s.session)
}
