package subscription

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/uabinary"
)

// session is what a client's session has here, guarded by the engine's lock.
type session struct {
	number  uint32
	waiting []*publish // requests, the oldest first
	told    []status   // what is to be said of subscriptions that ended
	account account
	home    *home // nil: its address is not known
}

// session returns what a session has here, which begins with its first subscription.
func (e *Engine) session(number uint32, address netip.Addr) *session {
	se := e.sessions[number]
	if se == nil {
		se = &session{number: number, account: account{of: &e.total, most: e.cfg.Limits.HeldPerSession}}
		if se.home = e.home(address); se.home != nil {
			se.home.sessions++
			se.account.of = &se.home.account
		}
		e.sessions[number] = se
	}
	return se
}

// pop takes the oldest request.
func (se *session) pop() *publish {
	p := se.waiting[0]
	se.waiting = se.waiting[1:]
	se.account.force(-p.cost())
	return p
}

// publish is a Publish request that waits.
type publish struct {
	handle  uint32
	acks    []ua.StatusCode
	respond func([]byte)
	until   time.Time // the client gives up then; zero: never
}

// cost is what a request holds while it waits, bytes: itself, what answers it, and its
// codes.
func (p *publish) cost() int64 { return int64(768 + 4*len(p.acks)) }

// status is a StatusChangeNotification that waits for a Publish request.
type status struct {
	subscription, sequence uint32
	code                   ua.StatusCode
}

const (
	maxTold   = 100
	maxSpared = 100 // acknowledgements of a request that is taken whatever is held
)

// SessionClosed ends what a session has. Subscriptions that it leaves live on until
// another session of the same user takes them over, or their lifetime ends.
func (e *Engine) SessionClosed(number uint32, deleteSubscriptions bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.subs {
		if s.session == number {
			s.session = 0
			if deleteSubscriptions {
				e.drop(s)
			}
		}
	}
	e.endSession(number)
}

// giveUp answers the requests whose clients do not wait any longer: a message in such
// an answer would be lost.
func (e *Engine) giveUp(se *session, now time.Time) {
	se.waiting = slices.DeleteFunc(se.waiting, func(p *publish) bool {
		over := !p.until.IsZero() && now.After(p.until)
		if over {
			se.account.force(-p.cost())
			p.respond(channel.Fault(p.handle, ua.StatusBadTimeout, now))
		}
		return over
	})
}

func (e *Engine) endSession(number uint32) {
	se := e.sessions[number]
	if se == nil {
		return
	}
	delete(e.sessions, number)
	if se.home != nil {
		se.home.sessions--
	}
	for len(se.waiting) > 0 {
		p := se.pop()
		p.respond(channel.Fault(p.handle, ua.StatusBadSessionClosed, e.cfg.Now()))
	}
}

// abandon ends the waiting of requests that nothing can answer any more.
func (e *Engine) abandon(number uint32) {
	se := e.sessions[number]
	if se == nil || len(e.ofSession(number)) > 0 {
		return
	}
	for len(se.waiting) > 0 {
		p := se.pop()
		p.respond(channel.Fault(p.handle, ua.StatusBadNoSubscription, e.cfg.Now()))
	}
	if len(se.told) == 0 {
		delete(e.sessions, number)
	}
}

func (e *Engine) ofSession(number uint32) (list []*subscription) {
	for _, s := range e.subs {
		if s.session == number {
			list = append(list, s)
		}
	}
	return list
}

func (k *call) publish(req *ua.PublishRequest) {
	if len(req.SubscriptionAcknowledgements) > k.cfg.Limits.Operations {
		k.fault(ua.StatusBadTooManyOperations)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	se := k.sessions[k.client.Session]
	if se == nil {
		k.fault(ua.StatusBadNoSubscription)
		return
	}
	mine := k.ofSession(k.client.Session)
	p := &publish{handle: k.handle, respond: k.respond, acks: make([]ua.StatusCode, 0, len(req.SubscriptionAcknowledgements))}
	if hint := req.RequestHeader.TimeoutHint; hint > 0 {
		p.until = k.cfg.Now().Add(time.Duration(hint) * time.Millisecond)
	}
	for _, a := range req.SubscriptionAcknowledgements {
		code := ua.StatusBadSubscriptionIDInvalid
		if s := k.own(a.SubscriptionID); s != nil {
			code = s.acknowledge(a.SequenceNumber)
		}
		p.acks = append(p.acks, code)
	}
	if len(se.told) > 0 {
		k.confess(se, p)
		return
	}
	if len(mine) == 0 {
		k.fault(ua.StatusBadNoSubscription)
		return
	}
	k.wait(se, p, mine)
}

// wait queues a request, and uses it at once if a message is late.
func (k *call) wait(se *session, p *publish, mine []*subscription) {
	now := k.cfg.Now()
	if len(se.waiting) >= k.cfg.Limits.PublishPerSession {
		oldest := se.pop()
		k.refused.Add(1)
		oldest.respond(channel.Fault(oldest.handle, ua.StatusBadTooManyPublishRequests, now))
	}
	if !se.account.take(p.cost()) {
		if len(se.waiting) > 0 || len(p.acks) > maxSpared {
			k.fault(ua.StatusBadTooManyPublishRequests)
			return
		}
		se.account.force(p.cost()) // one that waits keeps the subscriptions alive
	}
	se.waiting = append(se.waiting, p)
	slices.SortFunc(mine, before)
	for _, s := range mine {
		s.unheard = 0
		if s.late && len(se.waiting) > 0 {
			s.late = !k.speak(s, now)
		}
	}
}

// before orders subscriptions that want the same Publish request: by priority, and
// among equals who has waited longest (OPC 10000-4 §5.14.2.2).
func before(a, b *subscription) int {
	return cmp.Or(cmp.Compare(b.priority, a.priority), a.spoke.Compare(b.spoke), cmp.Compare(a.id, b.id))
}

// tell says that a subscription has ended, now or to the next request of its session.
func (e *Engine) tell(number uint32, st status) {
	if number == 0 {
		return // nobody is there to hear it
	}
	se := e.session(number, netip.Addr{})
	if len(se.told) < maxTold {
		se.told = append(se.told, st)
	}
	if len(se.waiting) > 0 {
		e.confess(se, se.pop())
	}
}

func (e *Engine) confess(se *session, p *publish) {
	st := se.told[0]
	se.told = se.told[1:]
	body := appendMessage(nil, st.sequence, e.cfg.Now(), statusChange(st.code))
	e.answer(p, &subscription{id: st.subscription}, body, len(se.told) > 0)
}

// answer sends a PublishResponse.
func (e *Engine) answer(p *publish, s *subscription, body []byte, more bool) {
	b := make([]byte, 0, len(body)+64+4*len(s.sent)+4*len(p.acks))
	b = uabinary.AppendResponseHeader(b, id.PublishResponse_Encoding_DefaultBinary, p.handle, ua.StatusOK, e.cfg.Now())
	b = appendUint32(b, s.id)
	b = appendUint32(b, uint32(len(s.sent)))
	for _, m := range s.sent {
		b = appendUint32(b, m.sequence)
	}
	if more {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = append(b, body...)
	b = appendUint32(b, uint32(len(p.acks)))
	for _, code := range p.acks {
		b = appendUint32(b, uint32(code))
	}
	p.respond(appendUint32(b, null))
}
