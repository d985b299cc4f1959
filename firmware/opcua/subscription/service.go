package subscription

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/uabinary"
)

func (k *call) republish(req *ua.RepublishRequest) {
	k.on(req.SubscriptionID, func(s *subscription) {
		s.tally.republishes++
		for _, m := range s.sent {
			if m.sequence == req.RetransmitSequenceNumber {
				s.tally.republished++
				k.respond(append(uabinary.AppendResponseHeader(nil, id.RepublishResponse_Encoding_DefaultBinary, k.handle, ua.StatusOK, k.cfg.Now()), m.body...))
				return
			}
		}
		k.fault(ua.StatusBadMessageNotAvailable)
	})
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
	mine, _ := k.ofAddress(k.client.Address)
	if len(k.subs) >= k.cfg.Limits.Subscriptions || mine >= k.cfg.Limits.SubscriptionsPerAddress || len(k.ofSession(k.client.Session)) >= k.cfg.Limits.SubscriptionsPerSession {
		k.fault(ua.StatusBadTooManySubscriptions)
		return
	}
	for k.lastSub++; k.lastSub == 0 || k.subs[k.lastSub] != nil; {
		k.lastSub++
	}
	s := &subscription{id: k.lastSub, account: account{of: &k.session(k.client.Session, k.client.Address).account}, session: k.client.Session, client: *k.client, enabled: req.PublishingEnabled, items: map[uint32]*item{}}
	k.revise(s, req.RequestedPublishingInterval, req.RequestedLifetimeCount, req.RequestedMaxKeepAliveCount, req.MaxNotificationsPerPublish, req.Priority)
	s.due = k.cfg.Now().Add(s.interval)
	k.subs[s.id] = s
	k.alive.Add(1)
	k.made.Add(1)
	k.reply(&ua.CreateSubscriptionResponse{
		ResponseHeader: k.header(), SubscriptionID: s.id, RevisedPublishingInterval: milliseconds(s.interval), RevisedLifetimeCount: s.lifetime,
		RevisedMaxKeepAliveCount: s.keepAlive,
	})
}

func (k *call) modifySubscription(req *ua.ModifySubscriptionRequest) {
	k.on(req.SubscriptionID, func(s *subscription) {
		s.tally.modified++
		k.revise(s, req.RequestedPublishingInterval, req.RequestedLifetimeCount, req.RequestedMaxKeepAliveCount, req.MaxNotificationsPerPublish, req.Priority)
		s.due = k.cfg.Now().Add(s.interval)
		k.reply(&ua.ModifySubscriptionResponse{
			ResponseHeader: k.header(), RevisedPublishingInterval: milliseconds(s.interval), RevisedLifetimeCount: s.lifetime, RevisedMaxKeepAliveCount: s.keepAlive,
		})
	})
}

// each does something with a list of subscriptions of the caller's, and returns how that
// went; false: the request was refused.
func (k *call) each(ids []uint32, do func(*subscription)) ([]ua.StatusCode, bool) {
	if !k.count(len(ids)) {
		return nil, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	codes := make([]ua.StatusCode, len(ids))
	for i, n := range ids {
		if s := k.own(n); s != nil {
			s.unheard = 0
			do(s)
		} else {
			codes[i] = ua.StatusBadSubscriptionIDInvalid
		}
	}
	return codes, true
}

func (k *call) setPublishingMode(req *ua.SetPublishingModeRequest) {
	if codes, ok := k.each(req.SubscriptionIDs, func(s *subscription) { s.enable(req.PublishingEnabled) }); ok {
		k.reply(&ua.SetPublishingModeResponse{ResponseHeader: k.header(), Results: codes, DiagnosticInfos: []*ua.DiagnosticInfo{}})
	}
}

func (s *subscription) enable(publishing bool) {
	if s.enabled = publishing; publishing {
		s.tally.enabled++
	} else {
		s.tally.disabled++
	}
}

func (k *call) deleteSubscriptions(req *ua.DeleteSubscriptionsRequest) {
	if codes, ok := k.each(req.SubscriptionIDs, k.drop); ok {
		k.reply(&ua.DeleteSubscriptionsResponse{ResponseHeader: k.header(), Results: codes, DiagnosticInfos: []*ua.DiagnosticInfo{}})
	}
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
	s.tally.transfers++
	s.tally.toSame++ // another user may not have it
	if old := s.session; old != k.client.Session {
		s.mu.Lock()
		s.session, s.client = k.client.Session, *k.client
		s.account.move(&k.session(s.session, k.client.Address).account)
		s.mu.Unlock()
		k.tell(old, status{s.id, next(s.sequence), ua.StatusGoodSubscriptionTransferred})
		k.abandon(old)
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

// resend queues the value of every item that reports (OPC 10000-5 §9.2).
func (s *subscription) resend(e *Engine) {
	s.mu.Lock()
	items := slices.Collect(maps.Values(s.items))
	s.mu.Unlock()
	for _, it := range items {
		it.begin(e, it.read(e), true)
	}
}
