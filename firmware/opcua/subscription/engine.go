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

	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
)

// Client identifies who sends a request.
type Client struct {
	Session           uint32 // number of the session, never 0
	User              string // identity of the user; the same one may transfer subscriptions
	Connection        uint64 // number of the connection that the request came on
	Encrypted, Signed bool   // the channel
	// Address is the client's; all sessions of an address share one limit. The zero Addr has
	// none.
	Address netip.Addr
}

// Nodes is what the engine needs from its server.
type Nodes interface {
	// AppendAttribute appends a complete DataValue, with a status that says why there is no value.
	AppendAttribute(dst []byte, c *Client, id rawvalue.NodeID, a ua.AttributeID) []byte
	// EURange returns the value of the variable's EURange property.
	EURange(id rawvalue.NodeID) rawvalue.Variant
	// Shared returns a variable's DataValue as it was passed to Changed, nil where there is
	// none or the client may not read it. It is never modified.
	Shared(c *Client, id rawvalue.NodeID) []byte
	// Pushed reports whether changes arrive through Changed; other attributes are sampled.
	Pushed(id rawvalue.NodeID, a ua.AttributeID) bool
}

const (
	shards         = 64
	tick           = 10 * time.Millisecond // resolution of all intervals
	conditionBytes = 32 << 20              // of all retained conditions
)

// Engine holds the subscriptions of a server. Changed, Event, Forget and Reset have one
// caller at a time, everything else any number.
//
// Locks are taken in this order: mu, the address space's, a subscription's, an index's.
type Engine struct {
	cfg  Config
	seed maphash.Seed
	base time.Time
	now  atomic.Int64 // of the last Advance, ns since base: the wall clock may be set

	mu        sync.Mutex
	subs      map[uint32]*subscription
	sessions  map[uint32]*session
	addresses map[netip.Addr]*addressShare
	lastSub   uint32
	samples   sampleQueue // items that are sampled

	dataIndex  [shards]index // items by the node whose values they report
	eventIndex index         // items by the node whose events they report
	sampled    index         // items that are sampled, by node
	parts      partBuffers

	diagnosticsDue time.Time
	diagnostics    atomic.Pointer[Diagnostics]

	conditionsMu sync.Mutex
	conditions   *event.Conditions
	refreshDue   time.Duration // when clients are asked to refresh, since base; 0: they need not

	total  account
	shared sharedBytes

	subscriptionCount atomic.Int64 // of subs
	items             atomic.Int64
	lastItem          atomic.Uint32
	dropped, refused  atomic.Uint64
	created           atomic.Uint64 // subscriptions
}

// New returns an Engine without subscriptions.
func New(cfg Config) *Engine {
	cfg = cfg.withDefaults()
	e := &Engine{
		cfg: cfg, seed: maphash.MakeSeed(), base: cfg.Now(), subs: map[uint32]*subscription{},
		sessions: map[uint32]*session{}, addresses: map[netip.Addr]*addressShare{},
		conditions: event.NewConditions(cfg.Limits.Conditions, conditionBytes), total: account{limit: cfg.Limits.Held},
		parts: make(partBuffers, keptParts),
	}
	return e
}

// Limits returns the limits with the defaults filled in.
func (e *Engine) Limits() Limits { return e.cfg.Limits }

func (e *Engine) shard(id rawvalue.NodeID) *index {
	return &e.dataIndex[maphash.Comparable(e.seed, id)%shards]
}

// Run calls Advance until ctx ends.
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

// Advance does what is due at now: sampling, publishing, expiry.
func (e *Engine) Advance(now time.Time) {
	e.now.Store(int64(now.Sub(e.base)))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.readSamples(now)
	for _, se := range e.sessions {
		e.expirePublishRequests(se, now)
	}
	var due []*subscription
	for _, s := range e.subs {
		s.offerLateValues(e)
		e.requestRefreshAfterLoss(s)
		if !now.Before(s.due) {
			due = append(due, s)
		}
	}
	slices.SortFunc(due, before)
	for _, s := range due {
		e.endInterval(s, now)
	}
	e.requestRefresh(now)
	e.updateDiagnostics(now)
}

// Changed reports a variable's newest DataValue, which must not be modified afterwards.
func (e *Engine) Changed(id rawvalue.NodeID, dataValue []byte) {
	items := e.shard(id).items(id)
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
		it.offerValue(e, dv, now)
		it.sub.mu.Unlock()
	}
}

// Reset deletes all subscriptions and conditions: the address space is replaced.
func (e *Engine) Reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.subs {
		e.deleteSubscription(s)
	}
	for n := range e.sessions {
		e.endSession(n)
	}
	e.conditionsMu.Lock()
	e.conditions.Clear()
	e.refreshDue = 0
	e.conditionsMu.Unlock()
}

// Stats are the counters that status and metrics show.
type Stats struct {
	Subscriptions int    `gauge:"subscriptions" help:"Subscriptions now."`
	Items         int64  `gauge:"monitored_items" help:"Monitored items now."`
	Created       uint64 `count:"created_subscriptions" help:"Subscriptions created."`
	Held          int64  `gauge:"held_bytes" help:"Memory that clients' items, queues and messages take now."`
	Dropped       uint64 `count:"dropped_notifications" help:"Values and events that found an item's queue full."`
	Refused       uint64 `count:"refused_subscription_requests" help:"Requests about subscriptions refused as a whole."`
}

// Stats returns the counters. It takes no lock, so that Nodes may call it.
func (e *Engine) Stats() Stats {
	return Stats{Subscriptions: int(e.subscriptionCount.Load()), Created: e.created.Load(), Items: e.items.Load(),
		Held: e.total.held.Load(), Dropped: e.dropped.Load(), Refused: e.refused.Load()}
}
