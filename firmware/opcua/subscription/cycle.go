package subscription

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/uabinary"
)

// subscription is a Subscription (OPC 10000-4 §5.14.1). The engine's lock guards the first
// block, its own lock the second.
type subscription struct {
	id                  uint32
	session             uint32 // 0: its session is closed
	client              Client // that created it, or to which it was transferred
	interval            time.Duration
	keepAlive, lifetime uint32 // publishing cycles
	maxNotifications    int    // in one message
	publishingEnabled   bool
	priority            byte
	due                 time.Time
	keepAliveCounter    uint32    // cycles since the last message
	lifetimeCounter     uint32    // cycles without a Publish request
	late                bool      // the LATE state: a message waits for a Publish request
	messageSent         bool      // the first message was sent
	lastSent            time.Time // when the last message was
	sequence            uint32    // of the last message
	sent                []message
	sentBytes           int // bytes of sent
	events              int // number of event items
	sampled             int // number of items that are sampled
	refreshing          bool
	hasLinks            bool // an item triggers others
	resent              bool // values are queued again, and not sent yet
	tally               tally

	account account // changes under both locks

	mu                sync.Mutex
	items             map[uint32]*item
	ready             []*item     // have something to report, in the order in which they got it
	lateItems         []*item     // hold a value that came before their sampling interval ended
	hasLateItems      atomic.Bool // lateItems is not empty
	refreshRequired   []*item     // have lost states of conditions
	refreshIsRequired atomic.Bool // refreshRequired is not empty
}

// message is a NotificationMessage that the client has not acknowledged.
type message struct {
	sequence uint32
	body     []byte
}

// endInterval handles the end of a publishing interval (OPC 10000-4 §5.14.1.2). The engine's
// lock is held.
func (e *Engine) endInterval(s *subscription, now time.Time) {
	for !now.Before(s.due) {
		s.due = s.due.Add(max(s.interval, now.Sub(s.due)/s.interval*s.interval))
	}
	se := e.sessions[s.session]
	if se == nil || len(se.publishQueue) == 0 {
		if s.lifetimeCounter++; s.lifetimeCounter >= s.lifetime {
			e.expireSubscription(s)
			return
		}
	} else {
		s.lifetimeCounter = 0
	}
	s.keepAliveCounter++
	if !e.publish(s, now) {
		s.late = true
		s.tally.latePublishes++
	}
}

// publish sends the messages that are due, as far as Publish requests are queued. It
// returns false when a message is left.
func (e *Engine) publish(s *subscription, now time.Time) bool {
	se := e.sessions[s.session]
	for {
		data := s.publishingEnabled && s.pending(e)
		if !data && s.messageSent && s.keepAliveCounter < s.keepAlive {
			return true
		}
		if se == nil || len(se.publishQueue) == 0 {
			return false
		}
		p := se.popPublish()
		s.tally.publishRequests++
		s.messageSent, s.keepAliveCounter, s.late, s.lastSent = true, 0, false, now
		if !data {
			s.resent = false
			e.respondPublish(p, s, appendMessage(nil, next(s.sequence), now, nil), false)
			return true
		}
		notifications, more := s.collect(e)
		s.sequence = next(s.sequence)
		body := appendMessage(nil, s.sequence, now, notifications)
		s.retain(message{s.sequence, body}, e.cfg.Limits)
		e.respondPublish(p, s, body, more)
		if !more {
			s.resent = false
			return true
		}
	}
}

// offerLateValues queues the values whose sampling interval has ended meanwhile.
func (s *subscription) offerLateValues(e *Engine) {
	if !s.hasLateItems.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := e.now.Load()
	s.lateItems = slices.DeleteFunc(s.lateItems, func(it *item) bool { return it.deleted || it.offerLateValue(e, now) })
	s.hasLateItems.Store(len(s.lateItems) > 0)
}

// pending reports whether an item has something to report.
func (s *subscription) pending(e *Engine) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = slices.DeleteFunc(s.ready, func(it *item) bool {
		it.ready = !it.deleted && it.reports()
		return !it.ready
	})
	return len(s.ready) > 0
}

// collect takes the notifications of at most one message off the queues.
func (s *subscription) collect(e *Engine) (notifications []byte, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b batch
	now := uabinary.Ticks(e.cfg.Now())
	done := 0
	full := func() bool { return b.count() >= s.maxNotifications || b.size() >= e.cfg.Limits.MessageBytes }
	for _, it := range s.ready {
		n := 0
		for ; n < len(it.queue) && !full(); n++ {
			b.add(it, &it.queue[n], now)
			s.tally.countNotification(it.events)
			e.releaseValue(s, it.queue[n].raw)
			it.overflowed = it.overflowed && !it.queue[n].overflow
			it.queue[n] = entry{}
		}
		if it.queue = it.queue[n:]; len(it.queue) > 0 {
			break
		}
		it.queue, it.ready, it.wasTriggered = nil, false, false
		done++
	}
	s.ready = slices.Delete(s.ready, 0, done)
	return b.body(), len(s.ready) > 0
}

// retain keeps a message for Republish, if there is room for it.
func (s *subscription) retain(m message, l Limits) {
	size := len(m.body)
	for len(s.sent) > 0 && (len(s.sent) >= l.Retransmission || s.sentBytes+size > l.RetransmissionBytes) {
		s.tally.discarded++
		s.dropSent(0)
	}
	for !s.account.reserve(int64(size)) {
		s.tally.discarded++
		if len(s.sent) == 0 {
			return
		}
		s.dropSent(0)
	}
	s.sent = append(s.sent, m)
	s.sentBytes += size
}

// dropSent removes the message at i.
func (s *subscription) dropSent(i int) {
	size := len(s.sent[i].body)
	s.account.add(-int64(size))
	s.sentBytes -= size
	s.sent = slices.Delete(s.sent, i, i+1)
}

func (s *subscription) acknowledge(sequence uint32) ua.StatusCode {
	for i := range s.sent {
		if s.sent[i].sequence == sequence {
			s.dropSent(i)
			return ua.StatusOK
		}
	}
	return ua.StatusBadSequenceNumberUnknown
}

// next returns the sequence number after another; 0 is not one.
func next(sequence uint32) uint32 {
	if sequence++; sequence == 0 {
		return 1
	}
	return sequence
}

// expireSubscription deletes a subscription whose lifetime counter has run out, and queues
// the StatusChangeNotification for its session.
func (e *Engine) expireSubscription(s *subscription) {
	e.cfg.Log.Info("subscription lifetime expired", "subscription", s.id, "session", s.session)
	e.queueStatusChange(s.session, statusChange{s.id, next(s.sequence), ua.StatusBadTimeout})
	e.deleteSubscription(s)
}

// deleteSubscription removes a subscription with its items.
func (e *Engine) deleteSubscription(s *subscription) {
	delete(e.subs, s.id)
	e.subscriptionCount.Add(-1)
	s.mu.Lock()
	items := make([]*item, 0, len(s.items))
	for _, it := range s.items {
		items = append(items, it)
	}
	s.mu.Unlock()
	e.removeItems(items)
	for len(s.sent) > 0 {
		s.dropSent(len(s.sent) - 1)
	}
	e.failPublishRequests(s.session)
}
