package opcua

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source"
	"heliograph/firmware/tx/source/opcua/absence"
)

const (
	eventQueue = 1000 // events that the server keeps between two publishings
	maxMerging = 10_000
	maxHeld    = 8 << 20 // bytes of events that are held back
	maxAlike   = 64      // of them with one EventId
	urgent     = 667     // the severities that OPC 10000-9 calls high begin here
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
	setTrouble func(topic, string)
	space      *addrspace.Space
	all        bool // there are no patterns: an event of any source crosses
	log        *slog.Logger
	changed    chan struct{} // the server reported a change of its address space, or may have
	crawlTook  atomic.Int64  // how long this session's last crawl took, in ns
	refresh    chan struct{} // conditions have to be refreshed
	again      *time.Timer   // signals that later

	gone       chan struct{}        // the subscription has ended
	sub        *client.Subscription // of watch
	table      *event.Table
	sent       *sentTables
	maxClauses *int // select clauses that the server takes in a filter, over all sessions

	layout  *layout
	handler *eventHandler // of sub

	withHistory []rawvalue.NodeID // notifiers; see historyNotifiers
	book        *absence.Book
	recent      *recentEvents
	lost        *atomic.Uint64 // of history

	refused map[rawvalue.NodeID]ua.StatusCode // notifiers that the server does not report
	left    int                               // fields that are not asked for

	mu         sync.Mutex
	notifiers  []rawvalue.NodeID                   // by handle
	merging    map[string]heldEvent                // by EventId
	order      []string                            // of merging, the oldest first
	held       int                                 // bytes of merging
	known      map[string]condition                // by key, those that are retained
	seed       maphash.Seed                        // of known
	refreshing map[rawvalue.NodeID]map[string]bool // by notifier: keys that a refresh has brought so far
	brought    int                                 // keys in all of refreshing
	refreshes  map[rawvalue.NodeID]int             // how many have ended, by notifier
	asked      time.Time                           // when the server was asked for the last one
	awaited    map[rawvalue.NodeID]bool            // notifiers that have not ended that one
	spoiled    bool                                // events of that one were lost
	rest       time.Duration                       // from it to the next, at least
	changes    bool                                // changed is signalled after afterLoss
}

func newEvents(s *Source, m *model, session *client.Session) *events {
	return &events{
		port: s.port, generation: m.Generation, interval: s.cfg.PublishingInterval, session: session,
		stats: &s.stats, setTrouble: s.setTrouble, space: m.space, all: s.patterns.None(),
		log: s.log, changed: make(chan struct{}, 1), gone: make(chan struct{}, 1), sent: &s.sent,
		maxClauses: &s.clauses, refresh: make(chan struct{}, 1), merging: map[string]heldEvent{},
		known: s.known, seed: s.seed, book: s.history.book, recent: s.history.recent, lost: &s.history.lost,
	}
}

func (e *events) change() { signal(e.changed) }

// afterLoss is from when events are lost to the browse for the model change that may be among
// them, or ten times as long as a browse takes: a server that loses them continually is
// browsed once in that time.
const afterLoss = time.Minute

// changeLater has the address space browsed afterLoss from now.
func (e *events) changeLater() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.changes {
		return
	}
	e.changes = true
	time.AfterFunc(max(afterLoss, 10*time.Duration(e.crawlTook.Load())), func() {
		e.mu.Lock()
		e.changes = false
		e.mu.Unlock()
		e.change()
	})
}

// watch subscribes to the notifiers that the model has, with all fields of the
// event types that it has.
func (e *events) watch(ctx context.Context) error {
	operands, notifiers := e.survey()
	if len(operands) == 0 {
		return nil // the types were not found yet
	}
	byImportance(operands)
	if most := e.session.Limits().SelectClauses; most > 0 {
		*e.maxClauses = min(*e.maxClauses, most)
	}
	table, err := event.NewTable(operands)
	if err != nil {
		return err
	}
	if e.table == nil || e.table.ID() != table.ID() {
		if err := e.beginAgain(ctx, table, e.table != nil); err != nil {
			return err
		}
	}
	for {
		followed := len(e.notifiers) > 0
		fewer, err := e.add(ctx, notifiers)
		if err != nil {
			return err
		}
		if !fewer {
			break
		}
		e.log.Info("spreading event fields over more items", "clauses", *e.maxClauses)
		if err := e.beginAgain(ctx, table, followed); err != nil {
			return err
		}
	}
	e.withHistory = e.historyNotifiers()
	signal(e.refresh)
	return nil
}

// survey returns the fields of all event types, and the nodes that report events.
func (e *events) survey() (operands []event.Operand, notifiers []rawvalue.NodeID) {
	e.space.View(func(v addrspace.View) {
		operands, e.left = event.SelectAll(v)
		var buf []byte
		for ref := range v.Nodes() {
			buf, _ = v.AppendAttribute(buf[:0], ref, ua.AttributeIDEventNotifier)
			dv, err := rawvalue.SkimDataValue(buf, rawvalue.Limits{})
			if err == nil && dv.Value.Type() == ua.TypeIDByte && !dv.Value.IsArray() &&
				dv.Value.Raw[1]&1 != 0 {
				notifiers = append(notifiers, v.ID(ref))
			}
		}
	})
	slices.SortFunc(notifiers, func(a, b rawvalue.NodeID) int {
		return slices.Compare(a.AppendTo(nil),
			b.AppendTo(nil))
	})
	return operands, notifiers
}

// beginAgain is begin where a subscription may have followed notifiers: what the server has for it, and
// what is raised until the items of the next one are made, is lost.
func (e *events) beginAgain(ctx context.Context, table *event.Table, followed bool) error {
	if followed && !e.book.MissEvents(time.Now()) {
		e.port.Missed(1, lostEvents)
	}
	return e.begin(ctx, table)
}

// begin starts again with another table.
func (e *events) begin(ctx context.Context, table *event.Table) error {
	if e.sub != nil {
		if err := e.sub.Delete(ctx); err != nil {
			return err
		}
	}
	e.end()
	e.sub, e.table = nil, nil
	if !e.send(table) {
		e.setTrouble(noEvents, "the link does not carry the list of their fields")
		return nil
	}
	e.layout = newLayout(table, *e.maxClauses)
	e.refused = map[rawvalue.NodeID]ua.StatusCode{}
	e.mu.Lock()
	e.notifiers, e.awaited, e.asked = nil, nil, time.Time{}
	e.refreshing, e.brought = nil, 0
	e.mu.Unlock()
	e.handler = &eventHandler{events: e, table: table, layout: e.layout}
	sub, err := e.session.Subscribe(ctx, subscription(e.interval), e.handler)
	if err != nil {
		if !answered(err) || ctx.Err() != nil {
			return err
		}
		e.setTrouble(noEvents, "the server gives no subscription for them: "+err.Error())
		return nil
	}
	e.sub, e.table = sub, table
	return nil
}

// end hands over all that is joined and held back. What timers and the handler of the
// subscription do from then on changes nothing: another session uses known, another
// subscription the notifiers.
func (e *events) end() {
	if e.handler != nil {
		e.handler.handOverAll()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.flush()
}

// add monitors the notifiers that are new. It returns fewer if the server takes fewer
// select clauses in a filter than were asked for.
func (e *events) add(ctx context.Context, notifiers []rawvalue.NodeID) (fewer bool, err error) {
	if e.sub == nil {
		return false, nil
	}
	var items []client.Item
	e.mu.Lock()
	for _, n := range notifiers {
		if !slices.Contains(e.notifiers, n) {
			items = append(items, e.layout.items(n, len(e.notifiers))...)
			e.notifiers = append(e.notifiers, n)
		}
	}
	e.mu.Unlock()
	refusals := map[rawvalue.NodeID]ua.StatusCode{}
	filter := false
	var absent []uint32
	err = e.sub.Monitor(ctx, items, func(i int, status ua.StatusCode, _ client.Revised) {
		if isBad(status) {
			refusals[items[i].Node] = status
			absent = append(absent, items[i].Handle)
			filter = filter || refusesFilter(status)
		}
	})
	var refusal *client.Error
	if errors.As(err, &refusal) && refusesFilter(refusal.Code) {
		filter, err = true, nil
	}
	if err != nil {
		return false, err
	}
	if now := min(*e.maxClauses, len(e.table.Operands())); filter && now > fewestClauses {
		*e.maxClauses = max(fewestClauses, now/2)
		return true, nil
	}
	e.mu.Lock()
	for _, handle := range absent { // events are complete without their parts
		e.layout.absent[handle] = true
	}
	e.mu.Unlock()
	e.reportRefusedNotifiers(refusals, filter)
	return false, nil
}

// refusesFilter reports whether a status may be about the number of select clauses.
func refusesFilter(code ua.StatusCode) bool {
	switch code {
	case ua.StatusBadEventFilterInvalid, ua.StatusBadMonitoredItemFilterInvalid,
		ua.StatusBadMonitoredItemFilterUnsupported, ua.StatusBadContentFilterInvalid,
		ua.StatusBadFilterNotAllowed, ua.StatusBadEncodingLimitsExceeded, ua.StatusBadRequestTooLarge:
		return true
	}
	return false
}

// reportRefusedNotifiers reports notifiers whose events do not cross.
func (e *events) reportRefusedNotifiers(refusals map[rawvalue.NodeID]ua.StatusCode, filter bool) {
	for node, code := range refusals {
		e.refused[node] = code
	}
	switch {
	case len(e.refused) > 0:
		list := slices.SortedFunc(maps.Keys(e.refused),
			func(a, b rawvalue.NodeID) int { return slices.Compare(a.AppendTo(nil), b.AppendTo(nil)) })
		e.setTrouble(noEvents,
			fmt.Sprintf("the server does not report those of %d nodes, or not with all fields, among "+
				"them %v: %v", len(list), list[0].UA(), e.refused[list[0]]))
	case filter:
		e.setTrouble(noEvents, "the server refuses every filter for them")
	case e.left > 0:
		e.setTrouble(noEvents, fmt.Sprintf("%d fields of event types are left out, there are too many", e.left))
	default:
		e.setTrouble(noEvents, "")
	}
}
