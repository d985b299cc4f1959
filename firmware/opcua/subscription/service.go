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
	k.withSubscription(req.SubscriptionID, func(s *subscription) {
		s.tally.republishes++
		for _, m := range s.sent {
			if m.sequence == req.RetransmitSequenceNumber {
				s.tally.republished++
				b := uabinary.AppendResponseHeader(nil, id.RepublishResponse_Encoding_DefaultBinary, k.handle,
					ua.StatusOK, k.cfg.Now())
				k.respond(append(b, m.body...))
				return
			}
		}
		k.fault(ua.StatusBadMessageNotAvailable)
	})
}

// revise sets the parameters of a subscription within the limits.
func (k *call) revise(s *subscription, ms float64, lifetime, keepAlive, most uint32, priority byte) {
	l := k.cfg.Limits
	s.interval = interval(ms, l)
	const maxCount = math.MaxUint32 / 10
	s.keepAlive = min(max(keepAlive, 1), maxCount, uint32(l.MaxInterval/s.interval)+1)
	s.lifetime = min(max(lifetime, 3*s.keepAlive), maxCount, 3*(uint32(l.MaxInterval/s.interval)+1))
	s.maxNotifications = l.Notifications
	if most > 0 && most < uint32(s.maxNotifications) {
		s.maxNotifications = int(most)
	}
	s.priority = priority
}

// interval returns a requested interval, ms, within the limits.
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
	mine, _ := k.countOf(k.client.Address)
	if len(k.subs) >= k.cfg.Limits.Subscriptions || mine >= k.cfg.Limits.SubscriptionsPerAddress ||
		len(k.subscriptionsOf(k.client.Session)) >= k.cfg.Limits.SubscriptionsPerSession {
		k.fault(ua.StatusBadTooManySubscriptions)
		return
	}
	for k.lastSub++; k.lastSub == 0 || k.subs[k.lastSub] != nil; {
		k.lastSub++
	}
	s := &subscription{id: k.lastSub, account: account{parent: &k.session(k.client.Session, k.client.Address).account},
		session: k.client.Session, client: *k.client, publishingEnabled: req.PublishingEnabled,
		items: map[uint32]*item{}}
	k.revise(s, req.RequestedPublishingInterval, req.RequestedLifetimeCount, req.RequestedMaxKeepAliveCount,
		req.MaxNotificationsPerPublish, req.Priority)
	s.due = k.cfg.Now().Add(s.interval)
	k.subs[s.id] = s
	k.subscriptionCount.Add(1)
	k.created.Add(1)
	k.reply(&ua.CreateSubscriptionResponse{
		ResponseHeader: k.header(), SubscriptionID: s.id, RevisedPublishingInterval: milliseconds(s.interval),
		RevisedLifetimeCount:     s.lifetime,
		RevisedMaxKeepAliveCount: s.keepAlive,
	})
}

func (k *call) modifySubscription(req *ua.ModifySubscriptionRequest) {
	k.withSubscription(req.SubscriptionID, func(s *subscription) {
		s.tally.modified++
		k.revise(s, req.RequestedPublishingInterval, req.RequestedLifetimeCount, req.RequestedMaxKeepAliveCount,
			req.MaxNotificationsPerPublish, req.Priority)
		s.due = k.cfg.Now().Add(s.interval)
		k.reply(&ua.ModifySubscriptionResponse{
			ResponseHeader: k.header(), RevisedPublishingInterval: milliseconds(s.interval),
			RevisedLifetimeCount: s.lifetime, RevisedMaxKeepAliveCount: s.keepAlive,
		})
	})
}

// forEachSubscription calls do with each of the caller's subscriptions, and returns a code
// for each id. ok is false if the request was refused.
func (k *call) forEachSubscription(ids []uint32, do func(*subscription)) (codes []ua.StatusCode, ok bool) {
	if !k.checkCount(len(ids)) {
		return nil, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	codes = make([]ua.StatusCode, len(ids))
	for i, n := range ids {
		if s := k.ownSubscription(n); s != nil {
			s.lifetimeCounter = 0
			do(s)
		} else {
			codes[i] = ua.StatusBadSubscriptionIDInvalid
		}
	}
	return codes, true
}

func (k *call) setPublishingMode(req *ua.SetPublishingModeRequest) {
	if codes, ok := k.forEachSubscription(req.SubscriptionIDs,
		func(s *subscription) { s.setPublishing(req.PublishingEnabled) }); ok {
		k.reply(&ua.SetPublishingModeResponse{ResponseHeader: k.header(), Results: codes,
			DiagnosticInfos: []*ua.DiagnosticInfo{}})
	}
}

func (s *subscription) setPublishing(publishing bool) {
	if s.publishingEnabled = publishing; publishing {
		s.tally.enabled++
	} else {
		s.tally.disabled++
	}
}

func (k *call) deleteSubscriptions(req *ua.DeleteSubscriptionsRequest) {
	if codes, ok := k.forEachSubscription(req.SubscriptionIDs, k.deleteSubscription); ok {
		k.reply(&ua.DeleteSubscriptionsResponse{ResponseHeader: k.header(), Results: codes,
			DiagnosticInfos: []*ua.DiagnosticInfo{}})
	}
}

func (k *call) transferSubscriptions(req *ua.TransferSubscriptionsRequest) {
	if !k.checkCount(len(req.SubscriptionIDs)) {
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
	case s.client.User != k.client.User: // also of a subscription without a session
		r.StatusCode = ua.StatusBadUserAccessDenied
		return r
	case s.client.Encrypted && !k.client.Encrypted || s.client.Signed &&
		!k.client.Signed: // its values were given over a better protected channel
		r.StatusCode = ua.StatusBadSecurityModeInsufficient
		return r
	case s.session != k.client.Session &&
		len(k.subscriptionsOf(k.client.Session)) >= k.cfg.Limits.SubscriptionsPerSession:
		r.StatusCode = ua.StatusBadTooManySubscriptions
		return r
	}
	s.tally.transfers++
	s.tally.transfersToSame++ // it is refused to any other user
	if old := s.session; old != k.client.Session {
		s.mu.Lock()
		s.session, s.client = k.client.Session, *k.client
		s.account.setParent(&k.session(s.session, k.client.Address).account)
		s.mu.Unlock()
		k.queueStatusChange(old, statusChange{s.id, next(s.sequence), ua.StatusGoodSubscriptionTransferred})
		k.failPublishRequests(old)
	}
	s.lifetimeCounter = 0
	if initial {
		s.resendValues(k.Engine)
	}
	for _, m := range s.sent {
		r.AvailableSequenceNumbers = append(r.AvailableSequenceNumbers, m.sequence)
	}
	return r
}

// resendValues queues the value of every item that reports (OPC 10000-5 §9.2). Until those are sent
// it does nothing again: a request may name a subscription of 100 000 items ten thousand times. The
// engine's lock is held.
func (s *subscription) resendValues(e *Engine) {
	if s.resent {
		return
	}
	s.resent = true
	s.mu.Lock()
	items := slices.Collect(maps.Values(s.items))
	s.mu.Unlock()
	for _, it := range items {
		it.offerInitialValue(e, it.readValue(e), true)
	}
}
