package subscription

import (
	"bytes"
	"slices"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
)

// item is a monitored item. What is in the first block never changes, the rest is
// guarded by its subscription's lock.
type item struct {
	sub       *subscription
	id        uint32
	attribute ua.AttributeID
	node      rawvalue.NodeID
	part      *rawvalue.Range // nil: all of the value
	turn      *turn           // of what is sampled
	pushed    bool
	events    bool

	discardOldest bool
	ready         bool // it stands in its subscription's list
	triggered     bool
	gone          bool
	handle        uint32
	mode          ua.MonitoringMode
	timestamps    ua.TimestampsToReturn
	size          int
	sampling      time.Duration // 0: every change
	filter        rawvalue.Filter
	choice        *choice // of events

	queue  []entry
	last   rawvalue.Trace // of what was queued
	taken  int64          // when it was, see Engine.now
	newest []byte         // that came too soon after it
	links  []*item        // reported when this one is
}

// choice says which events an item reports, and what of them.
type choice struct {
	filter   *event.Filter
	overflow []byte // what is told of events that are lost
	weight   int64  // bytes
}

// itemCost is what an item holds, bytes: itself, its places in the maps that find it and
// its value while that waits.
const itemCost = 432

// bytes is what a choice holds; of values there is none.
func (c *choice) bytes() int64 {
	if c == nil {
		return 0
	}
	return c.weight
}

// cost is what an item holds beside its values, bytes.
func (it *item) cost() int64 { return int64(itemCost+linkCost*len(it.links)) + it.choice.bytes() }

// offer takes a new value if the filter wants it. Values that come faster than the
// item samples are kept for their time: the newest counts.
func (it *item) offer(e *Engine, dv rawvalue.DataValue, now int64) {
	if it.gone || it.mode == ua.MonitoringModeDisabled || it.events {
		return
	}
	if it.sampling > 0 && it.last.Known() && now-it.taken < int64(it.sampling) {
		if it.newest == nil {
			it.sub.tardy = append(it.sub.tardy, it)
			it.sub.waits.Store(true)
		}
		it.newest = dv.Raw
		return
	}
	it.newest = nil
	if part, ok := it.cut(dv); ok && (!it.last.Known() || it.filter.Changed(&it.last, part)) {
		it.push(e, part, now)
	}
}

// cut applies the index range. What cannot be cut becomes the status that says why. The
// result is good until the next cut of the subscription.
func (it *item) cut(dv rawvalue.DataValue) (rawvalue.DataValue, bool) {
	if it.part == nil || dv.Value.IsNull() {
		return dv, true
	}
	answer := rawvalue.Answer{Timestamps: ua.TimestampsToReturnBoth}
	s := it.sub
	var err error
	if s.part, err = it.part.Append(s.part[:0], dv.Value); err != nil {
		s.cut = rawvalue.AppendStatus(s.cut[:0], ua.StatusBadIndexRangeNoData, answer)
	} else {
		s.cut = dv.AppendWith(s.cut[:0], answer, s.part)
	}
	out, err := rawvalue.SkimDataValue(s.cut, rawvalue.Limits{})
	return out, err == nil
}

func (it *item) push(e *Engine, dv rawvalue.DataValue, now int64) {
	if it.part != nil {
		dv, _ = rawvalue.SkimDataValue(bytes.Clone(dv.Raw), rawvalue.Limits{}) // it was skimmed by cut
	}
	it.remember(e, it.filter.Trace(dv))
	it.taken = now
	it.enqueue(e, entry{raw: dv.Raw})
}

// remember takes a trace for the last one. A value for which there is no room is not
// kept: the next change is reported then, however small.
func (it *item) remember(e *Engine, t rawvalue.Trace) {
	if old := it.last.Value(); len(old) > spared {
		e.letGo(it.sub, old)
	}
	if now := t.Value(); len(now) > spared && !e.hold(it.sub, now, false) {
		t.Forget()
	}
	it.last = t
}

// settle takes over the newest value once its time has come, and tells whether there
// is none left.
func (it *item) settle(e *Engine, now int64) bool {
	if it.newest != nil && now-it.taken >= int64(it.sampling) {
		dv, _ := rawvalue.SkimDataValue(it.newest, rawvalue.Limits{}) // it was skimmed when it came
		it.offer(e, dv, now)
	}
	return it.newest == nil
}

// sample reads what nobody pushes. The engine's lock is held.
func (it *item) sample(e *Engine) {
	dv, err := rawvalue.SkimDataValue(it.read(e), rawvalue.Limits{})
	if err != nil {
		return
	}
	it.sub.mu.Lock()
	defer it.sub.mu.Unlock()
	if it.gone || it.mode == ua.MonitoringModeDisabled {
		return
	}
	if part, ok := it.cut(dv); ok && (!it.last.Known() || it.filter.Changed(&it.last, part)) {
		it.push(e, part, e.now.Load())
	}
}

// read reads what the item monitors. No lock may be held but the engine's: the server
// looks into its address space, and whoever does that may wait for a lock of ours.
func (it *item) read(e *Engine) []byte {
	if it.events {
		return nil
	}
	if it.pushed {
		if raw := e.cfg.Nodes.Shared(&it.sub.client, it.node); raw != nil {
			return raw
		}
	}
	return e.cfg.Nodes.AppendAttribute(nil, &it.sub.client, it.node, it.attribute)
}

// begin takes over the value that an item begins with, if no change has come first, or,
// to send it again, if none waits.
func (it *item) begin(e *Engine, raw []byte, again bool) {
	dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	if err != nil || it.events {
		return
	}
	it.sub.mu.Lock()
	defer it.sub.mu.Unlock()
	switch {
	case it.gone || it.mode == ua.MonitoringModeDisabled:
		return
	case !again && it.last.Known(), again && (it.mode != ua.MonitoringModeReporting || !it.last.Known() || len(it.queue) > 0):
		return
	}
	if part, ok := it.cut(dv); ok {
		it.push(e, part, e.now.Load())
	}
}

// notice takes an event if the filter wants it, or anyway.
func (it *item) notice(e *Engine, ev *event.Event, v addrspace.View, anyway bool) {
	if it.gone || it.mode == ua.MonitoringModeDisabled || it.choice == nil {
		return
	}
	if anyway || it.choice.filter.Match(ev, v) {
		it.enqueue(e, entry{raw: it.choice.filter.AppendFields(nil, ev, v), fields: uint32(it.choice.filter.Len())})
	}
}

// leave takes items out of everything that feeds them. The engine's lock is held.
func (e *Engine) leave(items []*item) {
	nodes := map[*index]map[rawvalue.NodeID]bool{}
	linked := map[*subscription]bool{}
	for _, it := range items {
		s := it.sub
		s.mu.Lock()
		it.gone = true
		if it.mode == ua.MonitoringModeDisabled {
			s.tally.itemsDisabled--
		}
		it.clear(e)
		delete(s.items, it.id)
		s.account.force(-it.cost())
		linked[s] = s.linked
		s.mu.Unlock()
		e.items.Add(-1)
		if it.events {
			s.events--
		}
		x := e.feeds(it)
		if x == nil {
			e.sampled.remove(it.turn)
			continue
		}
		if nodes[x] == nil {
			nodes[x] = map[rawvalue.NodeID]bool{}
		}
		nodes[x][it.node] = true
	}
	for x, list := range nodes {
		for node := range list {
			x.sweep(node)
		}
	}
	for s, some := range linked {
		if some {
			s.unlinkGone()
		}
	}
}

// feeds returns the index that an item is found in, nil if it is sampled.
func (e *Engine) feeds(it *item) *index {
	switch {
	case it.events:
		return &e.heed
	case it.pushed:
		return e.shard(it.node)
	}
	return nil
}

// hears tells whether an event is reported at the item's node.
func (it *item) hears(ev *event.Event) bool { return slices.Contains(ev.Notifiers, it.node) }
