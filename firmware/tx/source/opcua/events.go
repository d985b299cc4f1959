package opcua

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	payload "heliograph/firmware/payload/opcua"
	"heliograph/firmware/tx/source"
)

const (
	eventQueue = 1000 // events that the server keeps between two publishings
	maxMerging = 10_000
	urgent     = 667 // the severities that OPC 10000-9 calls high begin here
)

// events follows the events of a server over one session: one subscription with
// an item for each notifier. An event that several notifiers report crosses once,
// with all of them.
type events struct {
	port       source.Port
	generation uint32
	interval   time.Duration
	session    *client.Session
	stats      *sourceStats
	tell       func(topic, string)
	space      *addrspace.Space
	all        bool // there are no patterns: an event of any source crosses
	log        *slog.Logger
	changed    chan struct{} // the server says that its address space has changed
	refresh    chan struct{} // the server wants its conditions to be asked for again

	sub   *client.Subscription // of watch
	table *event.Table
	count uint32 // tables handed over

	mu         sync.Mutex
	notifiers  []rawvalue.NodeID       // by handle
	merging    map[string]*event.Event // by EventId
	order      []string                // of merging, the oldest first
	known      map[string]string       // EventId by key, of the conditions that are retained
	refreshing map[string]bool         // keys that a refresh has brought so far; nil: none runs
	faults     int
}

func newEvents(s *Source, m *model, session *client.Session) *events {
	return &events{
		port: s.port, generation: m.Generation, interval: s.cfg.PublishingInterval, session: session, stats: &s.stats, tell: s.tell, space: m.space, all: s.patterns.None(),
		log: s.log, changed: make(chan struct{}, 1), refresh: make(chan struct{}, 1), merging: map[string]*event.Event{}, known: s.known,
	}
}

func (e *events) change() { signal(e.changed) }

// watch subscribes to the notifiers that the model has, with all fields of the
// event types that it has.
func (e *events) watch(ctx context.Context) error {
	operands, notifiers := e.survey()
	if len(operands) == 0 {
		return nil // the types did not come yet
	}
	if most := e.session.Limits().SelectClauses; most > 0 {
		operands = operands[:min(most, len(operands))]
	}
	table, err := event.NewTable(operands)
	if err != nil {
		return err
	}
	if e.table == nil || e.table.ID() != table.ID() {
		if err := e.begin(ctx, table); err != nil {
			return err
		}
	}
	if err := e.add(ctx, notifiers); err != nil {
		return err
	}
	signal(e.refresh)
	return nil
}

// survey returns the fields of all event types, and the nodes that report events.
func (e *events) survey() (operands []event.Operand, notifiers []rawvalue.NodeID) {
	e.space.View(func(v addrspace.View) {
		var more int
		if operands, more = event.SelectAll(v); more > 0 {
			e.log.Warn("the server has more event fields than cross", "left out", more)
		}
		var buf []byte
		for ref := range v.Nodes() {
			buf, _ = v.AppendAttribute(buf[:0], ref, ua.AttributeIDEventNotifier)
			dv, err := rawvalue.SkimDataValue(buf, rawvalue.Limits{})
			if err == nil && dv.Value.Type() == ua.TypeIDByte && !dv.Value.IsArray() && dv.Value.Raw[1]&1 != 0 {
				notifiers = append(notifiers, v.ID(ref))
			}
		}
	})
	slices.SortFunc(notifiers, func(a, b rawvalue.NodeID) int { return slices.Compare(a.AppendTo(nil), b.AppendTo(nil)) })
	return operands, notifiers
}

// begin starts over with another table.
func (e *events) begin(ctx context.Context, table *event.Table) error {
	if e.sub != nil {
		if err := e.sub.Delete(ctx); err != nil {
			return err
		}
	}
	key := payload.Key{Kind: payload.Table, Generation: e.generation, Number: e.count}.Append(nil)
	if err := e.port.Put(source.Update{Key: key, Payload: table.Append(nil)}); err != nil {
		return err
	}
	e.count++
	e.mu.Lock()
	e.notifiers = nil
	e.mu.Unlock()
	sub, err := e.session.Subscribe(ctx, subscription(e.interval), &listener{events: e, table: table})
	if err != nil {
		if !answered(err) || ctx.Err() != nil {
			return err
		}
		e.tell(noEvents, "the server gives no subscription for them: "+err.Error())
		return nil
	}
	e.sub, e.table = sub, table
	return nil
}

// add monitors the notifiers that are new.
func (e *events) add(ctx context.Context, notifiers []rawvalue.NodeID) error {
	if e.sub == nil {
		return nil
	}
	var clauses []client.SelectClause
	for _, o := range e.table.Operands() {
		clauses = append(clauses, client.SelectClause{Type: o.Type, Path: o.Path, Attribute: o.Attribute})
	}
	var items []client.Item
	e.mu.Lock()
	for _, n := range notifiers {
		if !slices.Contains(e.notifiers, n) {
			items = append(items, client.Item{
				Node: n, Attribute: ua.AttributeIDEventNotifier, Handle: uint32(len(e.notifiers)), Queue: eventQueue, DiscardOldest: true, Filter: client.Events(clauses),
			})
			e.notifiers = append(e.notifiers, n)
		}
	}
	e.mu.Unlock()
	return e.sub.Monitor(ctx, items, func(i int, status ua.StatusCode, _ client.Revised) {
		if status != ua.StatusOK {
			e.log.Warn("the server does not report the events of a node", "node", items[i].Node, "status", status)
		}
	})
}

// refreshAll asks for the state of all conditions.
func (e *events) refreshAll(ctx context.Context) error {
	if e.sub == nil {
		return nil
	}
	switch err := e.session.ConditionRefresh(ctx, e.sub); {
	case errors.Is(err, ua.StatusBadTimeout): // it has more time with the next try
		time.AfterFunc(patience, func() { signal(e.refresh) })
	case err != nil:
		e.log.Info("the server has no conditions to refresh", "error", err) // many have none
	}
	return ctx.Err()
}
