package subscription

import (
	"context"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
)

// Client is who asks.
type Client struct {
	Session           uint32 // number of the session, never 0
	User              string // tells users apart; the same one may take subscriptions over
	Encrypted, Signed bool   // the channel
	// Address is where the client is; all its sessions together do not take what others
	// need. The zero Addr has no such bound.
	Address netip.Addr
}

// Nodes is what the engine needs of its server.
type Nodes interface {
	// AppendAttribute appends a whole DataValue, with the status that says why there is none.
	AppendAttribute(dst []byte, c *Client, id rawvalue.NodeID, a ua.AttributeID) []byte
	// EURange returns the value of the variable's EURange property.
	EURange(id rawvalue.NodeID) rawvalue.Variant
	// Shared returns a variable's DataValue as Changed was told of it, nil where there is
	// none or the client may not have it. It is never changed.
	Shared(c *Client, id rawvalue.NodeID) []byte
	// Pushed tells whether changes come through Changed; others are sampled.
	Pushed(id rawvalue.NodeID, a ua.AttributeID) bool
}

const (
	shards         = 64
	tick           = 10 * time.Millisecond // resolution of all intervals
	conditionBytes = 32 << 20
)

// Engine holds the subscriptions of a server. Changed, Event, Forget and Reset have one
// caller at a time, everything else any number.
//
// Locks are taken in this order: mu, the address space's, a subscription's, an index's.
type Engine struct {
	cfg  Config
	seed maphash.Seed
	base time.Time
	now  atomic.Int64 // of the last Advance, ns since base: the clock may be set meanwhile

	mu       sync.Mutex
	subs     map[uint32]*subscription
	sessions map[uint32]*session
	homes    map[netip.Addr]*home
	lastSub  uint32
	sampled  agenda // items whose changes nobody pushes

	watch [shards]index // items that Changed feeds
	heed  index         // items that Event feeds

	lookAt      time.Time
	diagnostics atomic.Pointer[Diagnostics]

	conditionsMu sync.Mutex
	conditions   *event.Conditions

	total account
	crowd crowd

	alive            atomic.Int64 // of subs
	items            atomic.Int64
	lastItem         atomic.Uint32
	dropped, refused atomic.Uint64
	made             atomic.Uint64 // subscriptions
}

// New returns an engine without subscriptions.
func New(cfg Config) *Engine {
	cfg = cfg.withDefaults()
	e := &Engine{
		cfg: cfg, seed: maphash.MakeSeed(), base: cfg.Now(), subs: map[uint32]*subscription{}, sessions: map[uint32]*session{}, homes: map[netip.Addr]*home{},
		conditions: event.NewConditions(cfg.Limits.Conditions, conditionBytes), total: account{most: cfg.Limits.Held},
	}
	return e
}

// Limits returns what clients may take, with the defaults filled in.
func (e *Engine) Limits() Limits { return e.cfg.Limits }

func (e *Engine) shard(id rawvalue.NodeID) *index {
	return &e.watch[maphash.Comparable(e.seed, id)%shards]
}

// Run lets time pass until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			e.Advance(e.cfg.Now())
		}
	}
}

// Advance does what is due at a time: sampling, publishing, expiry.
func (e *Engine) Advance(now time.Time) {
	e.now.Store(int64(now.Sub(e.base)))
	e.mu.Lock()
	defer e.mu.Unlock()
	for t := e.sampled.next(now); t != nil; t = e.sampled.next(now) {
		t.it.sample(e)
		e.sampled.again(t, now.Add(t.it.sampling))
	}
	for _, se := range e.sessions {
		e.giveUp(se, now)
	}
	var due []*subscription
	for _, s := range e.subs {
		s.settle(e)
		if !now.Before(s.due) {
			due = append(due, s)
		}
	}
	slices.SortFunc(due, before)
	for _, s := range due {
		e.cycle(s, now)
	}
	e.look(now)
}

// Changed tells of a variable's newest DataValue, which must not change afterwards.
func (e *Engine) Changed(id rawvalue.NodeID, dataValue []byte) {
	items := e.shard(id).of(id)
	if len(items) == 0 {
		return
	}
	dv, err := rawvalue.SkimDataValue(dataValue, rawvalue.Limits{})
	if err != nil {
		return
	}
	now := e.now.Load()
	for _, it := range items {
		it.sub.mu.Lock()
		it.offer(e, dv, now)
		it.sub.mu.Unlock()
	}
}

// Event tells of an event, and notes the state of its condition.
func (e *Engine) Event(ev *event.Event) {
	e.conditionsMu.Lock()
	e.conditions.Put(ev)
	e.conditionsMu.Unlock()
	e.cfg.Space.View(func(v addrspace.View) {
		for _, n := range ev.Notifiers {
			for _, it := range e.heed.of(n) {
				it.sub.mu.Lock()
				it.notice(e, ev, v, false)
				it.sub.mu.Unlock()
			}
		}
	})
}

// Forget ends a retained condition without an event.
func (e *Engine) Forget(condition, branch rawvalue.NodeID) {
	e.conditionsMu.Lock()
	defer e.conditionsMu.Unlock()
	e.conditions.Put(&event.Event{Condition: condition, Branch: branch})
}

// Reset ends all subscriptions and conditions: another address space begins.
func (e *Engine) Reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.subs {
		e.drop(s)
	}
	for n := range e.sessions {
		e.endSession(n)
	}
	e.conditionsMu.Lock()
	e.conditions.Clear()
	e.conditionsMu.Unlock()
}

// Stats is what an operator wants to know.
type Stats struct {
	Subscriptions int    `gauge:"subscriptions" help:"Subscriptions now."`
	Items         int64  `gauge:"monitored_items" help:"Monitored items now."`
	Made          uint64 `count:"created_subscriptions" help:"Subscriptions created."`
	Held          int64  `gauge:"held_bytes" help:"Memory that clients' items, queues and messages take now."`
	Dropped       uint64 `count:"dropped_notifications" help:"Values and events that found the queue of a client's item full."`
	Refused       uint64 `count:"refused_subscription_requests" help:"Requests about subscriptions refused as a whole."`
}

// Stats returns the counters. It takes no lock: Nodes may ask for them.
func (e *Engine) Stats() Stats {
	return Stats{Subscriptions: int(e.alive.Load()), Made: e.made.Load(), Items: e.items.Load(), Held: e.total.held.Load(), Dropped: e.dropped.Load(), Refused: e.refused.Load()}
}

// call is a request with its way back.
type call struct {
	*Engine
	client  *Client
	handle  uint32
	respond func([]byte)
}

// Serve answers a request. respond is called exactly once, for a Publish much later,
// from any goroutine.
func (e *Engine) Serve(c *Client, req any, respond func(body []byte)) {
	r, ok := req.(ua.Request)
	if !ok || r.Header() == nil {
		respond(channel.Fault(0, ua.StatusBadDecodingError, e.cfg.Now()))
		return
	}
	k := &call{Engine: e, client: c, handle: r.Header().RequestHandle, respond: respond}
	switch req := req.(type) {
	case *ua.CreateSubscriptionRequest:
		k.createSubscription(req)
	case *ua.ModifySubscriptionRequest:
		k.modifySubscription(req)
	case *ua.SetPublishingModeRequest:
		k.setPublishingMode(req)
	case *ua.DeleteSubscriptionsRequest:
		k.deleteSubscriptions(req)
	case *ua.TransferSubscriptionsRequest:
		k.transferSubscriptions(req)
	case *ua.PublishRequest:
		k.publish(req)
	case *ua.RepublishRequest:
		k.republish(req)
	case *ua.CreateMonitoredItemsRequest:
		k.createItems(req)
	case *ua.ModifyMonitoredItemsRequest:
		k.modifyItems(req)
	case *ua.DeleteMonitoredItemsRequest:
		k.deleteItems(req)
	case *ua.SetMonitoringModeRequest:
		k.setMonitoringMode(req)
	case *ua.SetTriggeringRequest:
		k.setTriggering(req)
	default:
		k.fault(ua.StatusBadServiceUnsupported)
	}
}

func (k *call) fault(code ua.StatusCode) {
	k.refused.Add(1)
	k.respond(channel.Fault(k.handle, code, k.cfg.Now()))
}

func (k *call) header() *ua.ResponseHeader {
	return &ua.ResponseHeader{
		Timestamp: k.cfg.Now(), RequestHandle: k.handle, ServiceDiagnostics: &ua.DiagnosticInfo{}, StringTable: []string{},
		AdditionalHeader: ua.NewExtensionObject(nil),
	}
}

func (k *call) reply(resp any) {
	body, err := channel.Encode(resp)
	if err != nil {
		k.cfg.Log.Error("subscription: a response cannot be encoded", "error", err)
		k.fault(ua.StatusBadEncodingError)
		return
	}
	k.respond(body)
}

// own returns a subscription of the caller's session. mu must be held.
func (k *call) own(id uint32) *subscription {
	if s := k.subs[id]; s != nil && s.session == k.client.Session {
		return s
	}
	return nil
}

// on does something with a subscription of the caller's, of which it is a sign of life.
func (k *call) on(id uint32, do func(s *subscription)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.own(id)
	if s == nil {
		k.fault(ua.StatusBadSubscriptionIDInvalid)
		return
	}
	s.unheard = 0
	do(s)
}

// count judges the number of operations in a request.
func (k *call) count(n int) bool {
	switch {
	case n == 0:
		k.fault(ua.StatusBadNothingToDo)
	case n > k.cfg.Limits.Operations:
		k.fault(ua.StatusBadTooManyOperations)
	default:
		return true
	}
	return false
}
