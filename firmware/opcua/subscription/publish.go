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

// session holds the Publish requests and status changes of a Session, guarded by the engine's
// lock.
type session struct {
	number               uint32
	publishQueue         []*publishRequest // the oldest first
	pendingStatusChanges []statusChange    // of subscriptions that ended
	account              account
	share                *addressShare // nil: its address is unknown
}

// session returns a Session's entry, and creates it for the first subscription.
func (e *Engine) session(number uint32, address netip.Addr) *session {
	se := e.sessions[number]
	if se == nil {
		se = &session{number: number, account: account{parent: &e.total, limit: e.cfg.Limits.HeldPerSession}}
		if se.share = e.addressShare(address); se.share != nil {
			se.share.sessions++
			se.account.parent = &se.share.account
		}
		e.sessions[number] = se
	}
	return se
}

// popPublish removes the oldest request.
func (se *session) popPublish() *publishRequest {
	p := se.publishQueue[0]
	se.publishQueue = se.publishQueue[1:]
	se.account.add(-p.cost())
	return p
}

// publishRequest is a queued Publish request.
type publishRequest struct {
	handle     uint32
	connection uint64
	acks       []ua.StatusCode
	respond    func([]byte)
	deadline   time.Time // of its TimeoutHint; zero: none
}

// cost is the memory of a queued request, bytes: itself, its response function and codes.
func (p *publishRequest) cost() int64 { return int64(768 + 4*len(p.acks)) }

// statusChange is a StatusChangeNotification to be sent with the next Publish response.
type statusChange struct {
	subscription, sequence uint32
	code                   ua.StatusCode
}

const (
	maxPendingStatusChanges = 100
	maxGuaranteedAcks       = 100 // acknowledgements of a request that is queued even if the limit is reached
)

// SessionClosed removes a session. Subscriptions that are not deleted live on until they are
// transferred to another session of the same user, or their lifetime ends.
func (e *Engine) SessionClosed(number uint32, deleteSubscriptions bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.subs {
		if s.session == number {
			s.session = 0
			if deleteSubscriptions {
				e.deleteSubscription(s)
			}
		}
	}
	e.endSession(number)
}

// SessionMoved ends the Publish requests of a session that came on other connections than this
// one, on which it was activated.
func (e *Engine) SessionMoved(number uint32, connection uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if se := e.sessions[number]; se != nil {
		e.endPublishRequests(se, ua.StatusBadSecureChannelIDInvalid,
			func(p *publishRequest) bool { return p.connection != connection })
	}
}

// Disconnected ends the Publish requests that came on a connection which has ended: a message in
// their response would be lost.
func (e *Engine) Disconnected(connection uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, se := range e.sessions {
		e.endPublishRequests(se, ua.StatusBadSecureChannelClosed,
			func(p *publishRequest) bool { return p.connection == connection })
	}
}

// expirePublishRequests answers requests whose TimeoutHint has passed: the client would drop
// a message in their response.
func (e *Engine) expirePublishRequests(se *session, now time.Time) {
	e.endPublishRequests(se, ua.StatusBadTimeout,
		func(p *publishRequest) bool { return !p.deadline.IsZero() && now.After(p.deadline) })
}

// endPublishRequests answers the queued requests that are over with a fault.
func (e *Engine) endPublishRequests(se *session, code ua.StatusCode, over func(*publishRequest) bool) {
	se.publishQueue = slices.DeleteFunc(se.publishQueue, func(p *publishRequest) bool {
		if !over(p) {
			return false
		}
		se.account.add(-p.cost())
		p.respond(channel.Fault(p.handle, code, e.cfg.Now()))
		return true
	})
}

func (e *Engine) endSession(number uint32) {
	se := e.sessions[number]
	if se == nil {
		return
	}
	e.dropSession(se)
	for len(se.publishQueue) > 0 {
		p := se.popPublish()
		p.respond(channel.Fault(p.handle, ua.StatusBadSessionClosed, e.cfg.Now()))
	}
}

// failPublishRequests answers queued requests of a session without subscriptions.
func (e *Engine) failPublishRequests(number uint32) {
	se := e.sessions[number]
	if se == nil || len(e.subscriptionsOf(number)) > 0 {
		return
	}
	for len(se.publishQueue) > 0 {
		p := se.popPublish()
		p.respond(channel.Fault(p.handle, ua.StatusBadNoSubscription, e.cfg.Now()))
	}
	if len(se.pendingStatusChanges) == 0 {
		e.dropSession(se)
	}
}

func (e *Engine) dropSession(se *session) {
	delete(e.sessions, se.number)
	if se.share != nil {
		se.share.sessions--
	}
}

func (e *Engine) subscriptionsOf(number uint32) (list []*subscription) {
	for _, s := range e.subs {
		if s.session == number {
			list = append(list, s)
		}
	}
	return list
}

func (k *call) servePublish(req *ua.PublishRequest) {
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
	mine := k.subscriptionsOf(k.client.Session)
	p := &publishRequest{handle: k.handle, connection: k.client.Connection, respond: k.respond,
		acks: make([]ua.StatusCode, 0, len(req.SubscriptionAcknowledgements))}
	if hint := req.RequestHeader.TimeoutHint; hint > 0 {
		p.deadline = k.cfg.Now().Add(time.Duration(hint) * time.Millisecond)
	}
	for _, a := range req.SubscriptionAcknowledgements {
		code := ua.StatusBadSubscriptionIDInvalid
		if s := k.ownSubscription(a.SubscriptionID); s != nil {
			code = s.acknowledge(a.SequenceNumber)
		}
		p.acks = append(p.acks, code)
	}
	if len(se.pendingStatusChanges) > 0 {
		k.sendStatusChange(se, p)
		return
	}
	if len(mine) == 0 {
		k.fault(ua.StatusBadNoSubscription)
		return
	}
	k.queuePublish(se, p, mine)
}

// queuePublish queues a request, and publishes late messages.
func (k *call) queuePublish(se *session, p *publishRequest, mine []*subscription) {
	now := k.cfg.Now()
	if len(se.publishQueue) >= k.cfg.Limits.PublishPerSession {
		oldest := se.popPublish()
		k.refused.Add(1)
		oldest.respond(channel.Fault(oldest.handle, ua.StatusBadTooManyPublishRequests, now))
	}
	if !se.account.reserve(p.cost()) {
		if len(se.publishQueue) > 0 || len(p.acks) > maxGuaranteedAcks {
			k.fault(ua.StatusBadTooManyPublishRequests)
			return
		}
		se.account.add(p.cost()) // one queued request keeps the subscriptions alive
	}
	se.publishQueue = append(se.publishQueue, p)
	slices.SortFunc(mine, before)
	for _, s := range mine {
		s.lifetimeCounter = 0
		if s.late && len(se.publishQueue) > 0 {
			s.late = !k.publish(s, now)
		}
	}
}

// before orders subscriptions that compete for a Publish request: by priority, then by the
// time since the last message (OPC 10000-4 §5.14.2.2).
func before(a, b *subscription) int {
	return cmp.Or(cmp.Compare(b.priority, a.priority), a.lastSent.Compare(b.lastSent), cmp.Compare(a.id, b.id))
}

// queueStatusChange reports the end of a subscription with the next Publish response.
func (e *Engine) queueStatusChange(number uint32, st statusChange) {
	if number == 0 {
		return // the session is closed
	}
	se := e.session(number, netip.Addr{})
	if len(se.pendingStatusChanges) < maxPendingStatusChanges {
		se.pendingStatusChanges = append(se.pendingStatusChanges, st)
	}
	if len(se.publishQueue) > 0 {
		e.sendStatusChange(se, se.popPublish())
	}
}

func (e *Engine) sendStatusChange(se *session, p *publishRequest) {
	st := se.pendingStatusChanges[0]
	se.pendingStatusChanges = se.pendingStatusChanges[1:]
	body := appendMessage(nil, st.sequence, e.cfg.Now(), appendStatusChange(st.code))
	e.respondPublish(p, &subscription{id: st.subscription}, body, len(se.pendingStatusChanges) > 0)
}

// respondPublish sends a PublishResponse.
func (e *Engine) respondPublish(p *publishRequest, s *subscription, body []byte, more bool) {
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
