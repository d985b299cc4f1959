package client

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// Our own choices.
const (
	reorderWait  = 100 * time.Millisecond // responses can overtake one another
	maxParked    = 16                     // messages that arrived before their predecessors
	maxRepublish = 100                    // messages of one gap that are asked for again
	queued       = 4                      // messages that wait for the handler
	busySilence  = time.Minute            // without a keep-alive, while the server is slow with other requests
)

// SubscriptionConfig is what is asked of the server; Revised says what it granted.
type SubscriptionConfig struct {
	Interval  time.Duration // of publishing
	KeepAlive uint32        // intervals after which an idle subscription sends a keep-alive
	// intervals without a Publish after which the server ends it, at least 3 × KeepAlive
	Lifetime         uint32
	MaxNotifications uint32 // in one message, 0 for no limit
	Priority         uint8
}

func (c SubscriptionConfig) keepAlivePeriod() time.Duration {
	const most = time.Hour
	if c.Interval > most || time.Duration(c.KeepAlive) > most/max(1, c.Interval) {
		return most
	}
	return c.Interval * time.Duration(c.KeepAlive)
}

// Handler receives what a subscription brings, from one goroutine, in the order of the
// server's sequence numbers. What it is given is valid until it returns. While it runs,
// nothing more is taken from the server.
type Handler interface {
	// Data is a value of the item with this handle.
	Data(handle uint32, dv rawvalue.DataValue)
	// Events is an event of the item: a Variant, as its bytes, per select clause.
	Events(handle uint32, fields [][]byte)
	// Status is the subscription's status as the server reports it; after Bad_Timeout,
	// Bad_SubscriptionIdInvalid and Good_SubscriptionTransferred it is gone.
	Status(code ua.StatusCode)
	// Lost reports that so many messages are lost, with all that was in them.
	Lost(messages int)
	// Fault reports that an item's value or event could not be decoded, nor so many
	// behind it, of any items.
	Fault(handle uint32, behind int, err error)
}

// Subscription is a subscription of a Session.
type Subscription struct {
	s       *Session
	id      uint32
	h       Handler
	revised SubscriptionConfig
	in      chan message
	gone    chan struct{} // closed by forget

	mu    sync.RWMutex
	items map[uint32]*item // by client handle

	// Of the goroutine that delivers.
	expected uint32
	parked   []message
	alive    time.Time
	fields   [][]byte
}

// item is a monitored item; id is 0 until the server has given one.
type item struct {
	id     uint32
	fields int // select clauses
}

// Subscribe makes a subscription.
func (s *Session) Subscribe(ctx context.Context, cfg SubscriptionConfig, h Handler) (*Subscription, error) {
	resp, err := s.call(ctx, createSubscription(), &ua.CreateSubscriptionRequest{
		RequestedPublishingInterval: float64(cfg.Interval) / float64(time.Millisecond),
		RequestedLifetimeCount:      max(cfg.Lifetime, 3*cfg.KeepAlive),
		RequestedMaxKeepAliveCount:  cfg.KeepAlive, MaxNotificationsPerPublish: cfg.MaxNotifications,
		PublishingEnabled: true, Priority: cfg.Priority,
	})
	if err != nil {
		return nil, err
	}
	made := resp.(*ua.CreateSubscriptionResponse)
	ms := made.RevisedPublishingInterval
	if math.IsNaN(ms) || ms < 0 || ms > float64(24*time.Hour/time.Millisecond) ||
		made.RevisedMaxKeepAliveCount == 0 {
		return nil, &Error{Service: "CreateSubscription", Code: ua.StatusBadDecodingError,
			Reason: "the revised intervals are out of range"}
	}
	cfg.Interval = max(time.Millisecond, time.Duration(ms*float64(time.Millisecond)))
	cfg.KeepAlive, cfg.Lifetime = made.RevisedMaxKeepAliveCount, made.RevisedLifetimeCount
	sub := &Subscription{
		s: s, id: made.SubscriptionID, h: h, revised: cfg, in: make(chan message, queued),
		gone:  make(chan struct{}),
		items: map[uint32]*item{}, expected: 1, alive: time.Now(),
	}
	if !s.publisher.add(s, sub) {
		return nil, &Error{Service: "CreateSubscription", Code: ua.StatusBadSubscriptionIDInvalid,
			Reason: "the server gave the same subscription twice"}
	}
	s.work.Go(sub.deliverAll)
	s.publishMore()
	return sub, nil
}

// ID is the server's number for it.
func (sub *Subscription) ID() uint32 { return sub.id }

// Revised returns what the server granted.
func (sub *Subscription) Revised() SubscriptionConfig { return sub.revised }

// Done is closed when the subscription is gone: deleted, or ended by the server.
func (sub *Subscription) Done() <-chan struct{} { return sub.gone }

// Delete ends the subscription. A handler that is running may go on for that call.
func (sub *Subscription) Delete(ctx context.Context) error {
	sub.s.publisher.forget(sub)
	_, err := sub.s.call(ctx, deleteSubscriptions(),
		&ua.DeleteSubscriptionsRequest{SubscriptionIDs: []uint32{sub.id}})
	return err
}

// item returns what is known of a handle that a notification names, nil if it was
// never asked for or is no more.
func (sub *Subscription) item(handle uint32) *item {
	sub.mu.RLock()
	defer sub.mu.RUnlock()
	return sub.items[handle]
}

// deliverAll delivers messages in order, has missing ones sent again, and ends the session
// when keep-alives do not come.
func (sub *Subscription) deliverAll() {
	bound := sub.revised.keepAlivePeriod()*3/2 + sub.s.pace.timeout(read().name, sub.s.timeout)
	watch := time.NewTimer(bound)
	defer watch.Stop()
	gap := time.NewTimer(reorderWait)
	gap.Stop()
	defer gap.Stop()
	for {
		select {
		case m := <-sub.in:
			was := len(sub.parked)
			sub.accept(m)
			if len(sub.parked) >= maxParked {
				sub.fetchMissing()
			}
			if now := len(sub.parked); now == 0 {
				gap.Stop()
			} else if was == 0 {
				gap.Reset(reorderWait)
			}
		case <-gap.C:
			sub.fetchMissing()
		case <-watch.C:
			silent := time.Since(sub.s.publisher.lastHeld(sub.alive))
			left := bound - silent
			if end := bound + sub.s.timeout; left <= 0 && silent < end { // other clients may delay it
				left = end - silent
			} else if left <= 0 && sub.s.promptFor() < bound { // busy with other requests
				left = max(busySilence, 4*bound) - silent
				left = min(left, max(bound/4, time.Second)) // check again soon
			}
			if left <= 0 {
				sub.s.pace.timedOut(silent)
				sub.s.end(&Error{Service: "subscription", Code: ua.StatusBadTimeout,
					Reason: "neither notification nor keep-alive came for " +
						silent.Round(time.Second).String() + ": connect again"})
				return
			}
			watch.Reset(left)
		case <-sub.gone:
			return
		case <-sub.s.ctx.Done():
			return
		}
	}
}

// accept parks a message and delivers all that are due.
func (sub *Subscription) accept(m message) {
	sub.parked = append(sub.parked, m)
	for i := 0; i < len(sub.parked); {
		m := sub.parked[i]
		ahead := int32(m.sequence - sub.expected)
		if ahead > 0 {
			i++
			continue
		}
		sub.parked = slices.Delete(sub.parked, i, i+1)
		switch {
		case m.keepAlive && ahead >= -1: // some servers name the last one sent, not the next
			sub.alive = time.Now()
		case !m.keepAlive && ahead == 0:
			sub.deliver(m)
			i = 0
		} // else it was here before
	}
}

// fetchMissing has the messages sent again that are missing before those that are parked.
func (sub *Subscription) fetchMissing() {
	for len(sub.parked) > 0 {
		first := slices.MinFunc(sub.parked,
			func(a, b message) int { return int(int32(a.sequence - b.sequence)) })
		if !sub.republishUntil(first.sequence) {
			return
		}
		sub.parked = slices.DeleteFunc(sub.parked, func(m message) bool {
			return m.sequence == first.sequence &&
				m.keepAlive == first.keepAlive
		})
		sub.accept(first)
	}
}

// republishUntil asks for all messages before first again, and reports those that are lost.
// It returns false when the subscription is over.
func (sub *Subscription) republishUntil(first uint32) bool {
	lost := max(0, int(int32(first-sub.expected))-maxRepublish)
	sub.expected += uint32(lost)
	for sub.expected != first {
		m, err := sub.s.republish(sub.id, sub.expected)
		switch {
		case sub.s.ctx.Err() != nil:
			return false
		case err == nil:
			sub.lost(lost)
			lost = 0
			sub.deliver(m)
		case errors.Is(err, ua.StatusBadSubscriptionIDInvalid):
			sub.ended(ua.StatusBadSubscriptionIDInvalid)
			return false
		case errors.Is(err, ua.StatusBadMessageNotAvailable):
			lost++
			sub.expected = after(sub.expected)
		default:
			lost += int(int32(first - sub.expected))
			sub.expected = first
		}
	}
	sub.lost(lost)
	return true
}

func (sub *Subscription) lost(messages int) {
	if messages > 0 {
		sub.h.Lost(messages)
	}
}

// ended reports to the handler that the server has ended the subscription.
func (sub *Subscription) ended(code ua.StatusCode) {
	sub.s.publisher.forget(sub)
	sub.h.Status(code)
}
