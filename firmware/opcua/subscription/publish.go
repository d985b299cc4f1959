package subscription

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
)

// session is what a client's session has here, guarded by the engine's lock.
type session struct {
	number  uint32
	waiting []*publish // requests, the oldest first
	told    []status   // what is to be said of subscriptions that ended
}

// publish is a Publish request that waits.
type publish struct {
	handle  uint32
	acks    []ua.StatusCode
	respond func([]byte)
	until   time.Time // the client gives up then; zero: never
}

// status is a StatusChangeNotification that waits for a Publish request.
type status struct {
	subscription, sequence uint32
	code                   ua.StatusCode
}

const maxTold = 100

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
	for _, p := range se.waiting {
		p.respond(channel.Fault(p.handle, ua.StatusBadSessionClosed, e.cfg.Now()))
	}
}

// release ends the waiting of requests that nothing can answer any more.
func (e *Engine) release(number uint32) {
	se := e.sessions[number]
	if se == nil || len(e.ofSession(number)) > 0 {
		return
	}
	for _, p := range se.waiting {
		p.respond(channel.Fault(p.handle, ua.StatusBadNoSubscription, e.cfg.Now()))
	}
	se.waiting = nil
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
	mine := k.ofSession(k.client.Session)
	if se == nil {
		if len(mine) == 0 {
			k.fault(ua.StatusBadNoSubscription)
			return
		}
		se = &session{number: k.client.Session}
		k.sessions[se.number] = se
	}
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
		oldest := se.waiting[0]
		se.waiting = se.waiting[1:]
		k.refused.Add(1)
		oldest.respond(channel.Fault(oldest.handle, ua.StatusBadTooManyPublishRequests, now))
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
	se := e.sessions[number]
	if se == nil {
		se = &session{number: number}
		e.sessions[number] = se
	}
	if len(se.told) < maxTold {
		se.told = append(se.told, st)
	}
	if len(se.waiting) > 0 {
		p := se.waiting[0]
		se.waiting = se.waiting[1:]
		e.confess(se, p)
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
	b = appendHeader(b, id.PublishResponse_Encoding_DefaultBinary, p.handle, e.cfg.Now())
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

func (k *call) republish(req *ua.RepublishRequest) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.own(req.SubscriptionID)
	if s == nil {
		k.fault(ua.StatusBadSubscriptionIDInvalid)
		return
	}
	s.unheard = 0
	for _, m := range s.sent {
		if m.sequence == req.RetransmitSequenceNumber {
			k.respond(append(appendHeader(nil, id.RepublishResponse_Encoding_DefaultBinary, k.handle, k.cfg.Now()), m.body...))
			return
		}
	}
	k.fault(ua.StatusBadMessageNotAvailable)
}

// revise fits what a client asks for into the limits.
func (k *call) revise(s *subscription, ms float64, lifetime, keepAlive, most uint32, priority byte) {
	l := k.cfg.Limits
	s.interval = interval(ms, l)
	const maxCount = math.MaxUint32 / 10
	s.keepAlive = min(max(keepAlive, 1), maxCount, uint32(l.MaxInterval/s.interval)+1)
	s.lifetime = min(max(lifetime, 3*s.keepAlive), maxCount, 3*(uint32(l.MaxInterval/s.interval)+1))
	s.most = l.Notifications
	if most > 0 && most < uint32(s.most) {
		s.most = int(most)
	}
	s.priority = priority
}

// interval fits a wish in milliseconds into the limits.
func interval(ms float64, l Limits) time.Duration {
	if !(ms > 0) {
		return l.MinInterval
	}
	if ms > float64(l.MaxInterval/time.Millisecond) {
		return l.MaxInterval
	}
	return max(l.MinInterval, time.Duration(ms*float64(time.Millisecond)))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (k *call) createSubscription(req *ua.CreateSubscriptionRequest) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.subs) >= k.cfg.Limits.Subscriptions || len(k.ofSession(k.client.Session)) >= k.cfg.Limits.SubscriptionsPerSession {
		k.fault(ua.StatusBadTooManySubscriptions)
		return
	}
	for k.lastSub++; k.lastSub == 0 || k.subs[k.lastSub] != nil; {
		k.lastSub++
	}
	s := &subscription{id: k.lastSub, session: k.client.Session, client: *k.client, enabled: req.PublishingEnabled, items: map[uint32]*item{}}
	k.revise(s, req.RequestedPublishingInterval, req.RequestedLifetimeCount, req.RequestedMaxKeepAliveCount, req.MaxNotificationsPerPublish, req.Priority)
	s.due = k.cfg.Now().Add(s.interval)
	k.subs[s.id] = s
	k.alive.Add(1)
	k.reply(&ua.CreateSubscriptionResponse{
		ResponseHeader: k.header(), SubscriptionID: s.id, RevisedPublishingInterval: milliseconds(s.interval), RevisedLifetimeCount: s.lifetime,
		RevisedMaxKeepAliveCount: s.keepAlive,
	})
}

func (k *call) modifySubscription(req *ua.ModifySubscriptionRequest) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.own(req.SubscriptionID)
	if s == nil {
		k.fault(ua.StatusBadSubscriptionIDInvalid)
		return
	}
	k.revise(s, req.RequestedPublishingInterval, req.RequestedLifetimeCount, req.RequestedMaxKeepAliveCount, req.MaxNotificationsPerPublish, req.Priority)
	s.unheard = 0
	s.due = k.cfg.Now().Add(s.interval)
	k.reply(&ua.ModifySubscriptionResponse{
		ResponseHeader: k.header(), RevisedPublishingInterval: milliseconds(s.interval), RevisedLifetimeCount: s.lifetime, RevisedMaxKeepAliveCount: s.keepAlive,
	})
}

// each answers for a list of subscriptions.
func (k *call) each(ids []uint32, f func(*subscription)) []ua.StatusCode {
	codes := make([]ua.StatusCode, len(ids))
	for i, n := range ids {
		if s := k.own(n); s != nil {
			s.unheard = 0
			f(s)
		} else {
			codes[i] = ua.StatusBadSubscriptionIDInvalid
		}
	}
	return codes
}

func (k *call) setPublishingMode(req *ua.SetPublishingModeRequest) {
	if !k.count(len(req.SubscriptionIDs)) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	codes := k.each(req.SubscriptionIDs, func(s *subscription) { s.enabled = req.PublishingEnabled })
	k.reply(&ua.SetPublishingModeResponse{ResponseHeader: k.header(), Results: codes, DiagnosticInfos: []*ua.DiagnosticInfo{}})
}

func (k *call) deleteSubscriptions(req *ua.DeleteSubscriptionsRequest) {
	if !k.count(len(req.SubscriptionIDs)) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	codes := k.each(req.SubscriptionIDs, func(s *subscription) { k.drop(s) })
	k.reply(&ua.DeleteSubscriptionsResponse{ResponseHeader: k.header(), Results: codes, DiagnosticInfos: []*ua.DiagnosticInfo{}})
}

func (k *call) transferSubscriptions(req *ua.TransferSubscriptionsRequest) {
	if !k.count(len(req.SubscriptionIDs)) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	resp := &ua.TransferSubscriptionsResponse{ResponseHeader: k.header(), DiagnosticInfos: []*ua.DiagnosticInfo{}}
	for _, n := range req.SubscriptionIDs {
		resp.Results = append(resp.Results, k.transfer(n, req.SendInitialValues))
	}
	k.reply(resp)
}

func (k *call) transfer(n uint32, initial bool) *ua.TransferResult {
	r := &ua.TransferResult{AvailableSequenceNumbers: []uint32{}}
	s := k.subs[n]
	switch {
	case s == nil:
		r.StatusCode = ua.StatusBadSubscriptionIDInvalid
		return r
	case s.client.User != k.client.User: // also one that is nobody's now
		r.StatusCode = ua.StatusBadUserAccessDenied
		return r
	case s.client.Encrypted && !k.client.Encrypted || s.client.Signed && !k.client.Signed: // what it watches was given over a better channel
		r.StatusCode = ua.StatusBadSecurityModeInsufficient
		return r
	case s.session != k.client.Session && len(k.ofSession(k.client.Session)) >= k.cfg.Limits.SubscriptionsPerSession:
		r.StatusCode = ua.StatusBadTooManySubscriptions
		return r
	}
	if old := s.session; old != k.client.Session {
		s.session, s.client = k.client.Session, *k.client
		k.tell(old, status{s.id, next(s.sequence), ua.StatusGoodSubscriptionTransferred})
		k.release(old)
	}
	s.unheard = 0
	if initial {
		s.resend(k.Engine)
	}
	for _, m := range s.sent {
		r.AvailableSequenceNumbers = append(r.AvailableSequenceNumbers, m.sequence)
	}
	return r
}

// resend queues the last value of every item that reports (OPC 10000-5 §9.2).
func (s *subscription) resend(e *Engine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.items {
		if !it.events && it.mode == ua.MonitoringModeReporting && it.last.Raw != nil && len(it.queue) == 0 {
			it.enqueue(e, entry{raw: it.last.Raw})
		}
	}
}
