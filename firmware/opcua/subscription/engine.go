package subscription

import (
	"cmp"
	"context"
	"hash/maphash"
	"log/slog"
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

// Limits bounds what clients may take. The zero value of each field means its default.
type Limits struct {
	Subscriptions           int           // in total, 1000
	SubscriptionsPerSession int           // 100
	Items                   int           // in total, 250 000
	ItemsPerSubscription    int           // 100 000
	ItemsPerSession         int           // two fifths of Items
	Operations              int           // in one request, 10 000
	PublishPerSession       int           // requests that wait, 100
	DataQueue               uint32        // values of one item, 100
	EventQueue              uint32        // events of one item, 10 000
	Queued                  int64         // in all queues together, bytes, 64 MiB
	FilterBytes             int64         // that event filters hold, 32 MiB
	MinInterval             time.Duration // of publishing and sampling, 50 ms
	MaxInterval             time.Duration // 1 h
	Notifications           int           // in one message, 10 000
	Retransmission          int           // messages of a subscription, 40
	RetransmissionBytes     int           // 4 MiB
	Conditions              int           // that are retained, 10 000
}

// Config sets up an Engine.
type Config struct {
	Nodes  Nodes
	Space  *addrspace.Space
	Limits Limits
	Now    func() time.Time // with a monotonic reading, as time.Now: the clock may be set meanwhile
	Log    *slog.Logger
}

func (c Config) withDefaults() Config {
	l := &c.Limits
	l.Subscriptions = cmp.Or(l.Subscriptions, 1000)
	l.SubscriptionsPerSession = cmp.Or(l.SubscriptionsPerSession, 100)
	l.Items = cmp.Or(l.Items, 250_000)
	l.ItemsPerSession = cmp.Or(l.ItemsPerSession, max(1, l.Items*2/5))
	l.ItemsPerSubscription = cmp.Or(l.ItemsPerSubscription, 100_000)
	l.RetransmissionBytes = cmp.Or(l.RetransmissionBytes, 4<<20)
	l.Operations = cmp.Or(l.Operations, 10_000)
	l.PublishPerSession = cmp.Or(l.PublishPerSession, 100)
	l.DataQueue = cmp.Or(l.DataQueue, 100)
	l.EventQueue = cmp.Or(l.EventQueue, 10_000)
	l.Queued = cmp.Or(l.Queued, 64<<20)
	l.FilterBytes = cmp.Or(l.FilterBytes, 32<<20)
	l.MinInterval = cmp.Or(l.MinInterval, 50*time.Millisecond)
	l.MaxInterval = cmp.Or(l.MaxInterval, time.Hour)
	l.Notifications = cmp.Or(l.Notifications, 10_000)
	l.Retransmission = cmp.Or(l.Retransmission, 40)
	l.Conditions = cmp.Or(l.Conditions, 10_000)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
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
	lastSub  uint32
	sampled  agenda // items whose changes nobody pushes

	watch [shards]index // items that Changed feeds
	heed  index         // items that Event feeds

	conditionsMu sync.Mutex
	conditions   *event.Conditions

	alive            atomic.Int64 // of subs
	items            atomic.Int64
	queued, filters  atomic.Int64 // bytes
	lastItem         atomic.Uint32
	dropped, refused atomic.Uint64
}

// index finds the items of a node. What a reader of a list sees of it never changes.
type index struct {
	sync.RWMutex
	m map[rawvalue.NodeID][]*item
}

func (x *index) of(id rawvalue.NodeID) []*item {
	x.RLock()
	defer x.RUnlock()
	return x.m[id]
}

func (x *index) add(it *item) {
	x.Lock()
	defer x.Unlock()
	if x.m == nil {
		x.m = map[rawvalue.NodeID][]*item{}
	}
	x.m[it.node] = append(x.m[it.node], it)
}

// sweep takes the items of a node that are gone out.
func (x *index) sweep(id rawvalue.NodeID) {
	x.Lock()
	defer x.Unlock()
	var rest []*item
	for _, it := range x.m[id] {
		if !it.gone { // only changes under the engine's lock, which is held
			rest = append(rest, it)
		}
	}
	if len(rest) == 0 {
		delete(x.m, id)
	} else {
		x.m[id] = rest
	}
}

// New returns an engine without subscriptions.
func New(cfg Config) *Engine {
	cfg = cfg.withDefaults()
	e := &Engine{
		cfg: cfg, seed: maphash.MakeSeed(), base: cfg.Now(), subs: map[uint32]*subscription{}, sessions: map[uint32]*session{},
		conditions: event.NewConditions(cfg.Limits.Conditions, conditionBytes),
	}
	return e
}

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
	for it := e.sampled.next(now); it != nil; it = e.sampled.next(now) {
		it.sample(e)
		e.sampled.again(it, now.Add(it.sampling))
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
	Subscriptions int
	Items         int64
	Queued        int64  // bytes
	Dropped       uint64 // values and events that found a queue full
	Refused       uint64 // requests
}

// Stats returns the counters. It takes no lock: Nodes may ask for them.
func (e *Engine) Stats() Stats {
	return Stats{Subscriptions: int(e.alive.Load()), Items: e.items.Load(), Queued: e.queued.Load(), Dropped: e.dropped.Load(), Refused: e.refused.Load()}
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
