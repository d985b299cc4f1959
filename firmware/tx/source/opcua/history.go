package opcua

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/tx/source/opcua/absence"
)

// What a server is asked of its history, at most: one request at a time, beside those for
// live values; historyNodes nodes in it, with historyValues values of each; and after it
// nothing for historyRest times as long as it took, so that history takes a fifth of the
// time of a server that does one thing after the other.
const (
	historyNodes    = 10
	historyValues   = 200
	historyRest     = 4
	minHistoryRest  = 50 * time.Millisecond
	slowHistoryRest = time.Minute      // after a request without an answer
	historyTurn     = 30 * time.Second // then other intervals have their turn
	markEvery       = 10 * time.Second // the mark is stored
)

// A node whose history was refused is not asked for again for refusedFor, and twice that
// after each further refusal, up to refusedLonger. Its intervals are given up.
const (
	refusedFor    = 10 * time.Minute
	refusedLonger = 24 * time.Hour
)

// history is what the source has missed, and the server's history may have. It outlasts
// sessions.
type history struct {
	book    *absence.Book
	slots   *store.Slots
	scope   uint64
	marked  time.Time
	nodes   int  // in one request, where fewer than historyNodes are taken
	good    int  // turns without a refusal since nodes changed
	mending bool // the log has said that history is read

	mu       sync.Mutex
	refusals map[uint32]*historyRefusal // by handle
	whole    *historyRefusal            // of the server
	events   *historyRefusal

	recent *recentEvents
	lost   atomic.Uint64 // events that the server lost, and its history may have
}

// historyRefusal is why a history is not read, for now.
type historyRefusal struct {
	code  ua.StatusCode
	wait  time.Duration
	until time.Time
}

func (r *historyRefusal) stands(now time.Time) bool { return r != nil && now.Before(r.until) }

// again returns the refusal that follows one, which may be nil.
func (r *historyRefusal) again(code ua.StatusCode, now time.Time) *historyRefusal {
	wait := refusedFor
	if r != nil {
		wait = min(2*r.wait, refusedLonger)
	}
	return &historyRefusal{code, wait, now.Add(wait)}
}

func newHistory(interval time.Duration, path string, scope uint64) (*history, error) {
	slots, err := store.OpenSlots(path, absence.MaxRecord)
	return &history{book: absence.New(interval), slots: slots, scope: scope, nodes: historyNodes,
		refusals: map[uint32]*historyRefusal{}, recent: newRecentEvents()}, err
}

// takeOverMark renames the mark of a release that named it as it names the cache of another channel:
// that file is left alone.
func takeOverMark(old, path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	slots, err := store.OpenSlots(old, absence.MaxRecord)
	if err != nil {
		return err
	}
	if _, err := slots.Read(); errors.Is(err, fs.ErrNotExist) || errors.Is(err, store.ErrCorrupt) {
		return nil
	} else if err != nil {
		return err
	}
	return store.Rename(old, path)
}

// restore begins with the mark of the run before.
func (h *history) restore(generation uint32) error {
	record, err := h.slots.Read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = h.book.Restore(record, h.scope, generation)
	}
	return err
}

// store stores the mark, if it is time.
func (h *history) store(generation uint32, readable map[uint32]bool) error {
	record := h.book.Append(h.scope, generation, readable)
	if record == nil {
		return nil
	}
	if err := h.slots.Write(record); err != nil {
		return err
	}
	return h.slots.Sync()
}

// refused reports whether the history of a node is not asked for now.
func (h *history) refused(handle uint32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	return h.whole.stands(now) || h.refusals[handle].stands(now)
}

// fewer has half as many nodes in the next request.
func (h *history) fewer(n int) { h.nodes, h.good = max(1, n/2), 0 }

// eventsRefused reports whether the history of events is not asked for now.
func (h *history) eventsRefused() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.events.stands(time.Now())
}

// refuse records a refusal of a node's history.
func (h *history) refuse(handle uint32, code ua.StatusCode) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refusals[handle] = h.refusals[handle].again(code, time.Now())
}

// refuseAll records that the server refuses every request.
func (h *history) refuseAll(code ua.StatusCode) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.whole = h.whole.again(code, time.Now())
}

// accepted ends what was refused.
func (h *history) accepted(handle uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.refusals, handle)
	h.whole = nil
}

// trouble says what is not read, "" for nothing.
func (h *history) trouble(nodes []rawvalue.NodeID) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if h.whole.stands(now) {
		return fmt.Sprintf("the server's history is not read: %v", h.whole.code)
	}
	count, first := 0, uint32(0)
	for handle, r := range h.refusals {
		if r.stands(now) && int(handle) < len(nodes) {
			if count++; count == 1 || handle < first {
				first = handle
			}
		}
	}
	var all []string
	if count > 0 {
		all = append(all, fmt.Sprintf("the history of %d nodes is not read, among them %v: %v", count,
			nodes[first].UA(), h.refusals[first].code))
	}
	if h.events.stands(now) {
		all = append(all, fmt.Sprintf("the history of events is not read: %v", h.events.code))
	}
	return strings.Join(all, "; ")
}

// readableHistory returns the variables of which the server has a history that we may
// read.
func readableHistory(m *model) map[uint32]bool {
	const historyRead = 0x04 // OPC 10000-3 §8.57
	readable := map[uint32]bool{}
	m.space.View(func(view addrspace.View) {
		var buf []byte
		bits := func(ref addrspace.Ref, a ua.AttributeID, without byte) byte {
			raw, ok := view.AppendAttribute(buf[:0], ref, a)
			buf = raw
			dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
			if !ok || err != nil || isBad(dv.Status) || len(dv.Value.Raw) != 2 {
				return without
			}
			return dv.Value.Raw[1]
		}
		for h, live := range m.live {
			ref, ok := view.Lookup(m.nodes[h])
			if !live || !ok || view.Class(ref) != ua.NodeClassVariable {
				continue
			}
			access := bits(ref, ua.AttributeIDAccessLevel, 0)
			if access&bits(ref, ua.AttributeIDUserAccessLevel, access)&historyRead == 0 {
				continue
			}
			if bits(ref, ua.AttributeIDHistorizing, 0) == 0 {
				configuration := addrspace.Filter{Type: rawvalue.NodeID{Number: id.HasHistoricalConfiguration},
					Subtypes: true}
				if found, _ := view.Browse(nil, ref, configuration, 0, 1); len(found) == 0 {
					continue
				}
			}
			readable[uint32(h)] = true
		}
	})
	return readable
}

// tickHistory stores the mark, and has history read that was missed: once the initial
// snapshot is complete, every item stands, and nothing else is to be read.
func (c *connection) tickHistory(ctx context.Context) error {
	h := c.history
	if c.fresh || c.crawl != nil || c.catchingUp || !c.isComplete() || len(c.values.unread) > 0 {
		return nil
	}
	if c.events.recorded() && time.Since(c.clockRead) >= markEvery {
		c.clockRead = time.Now()
		if err := c.readClock(ctx); err != nil {
			return err
		}
	}
	h.book.Present()
	c.storeMark(false)
	c.stats.HistoryGivenUp.Add(uint64(h.book.GivenUp()))
	c.stats.HistoryGivenUp.Add(uint64(h.book.Drop(h.refused)))
	c.notice(historyNotice, h.trouble(c.model.nodes))
	if c.reading || len(c.values.uncertain) > 0 || time.Now().Before(c.historyRest) {
		return nil
	}
	if r := c.eventReader(); r != nil {
		c.reading = true
		go func() { c.historyRead <- r.run(ctx) }()
		return nil
	}
	gaps := h.book.Next(c.nodesPerHistoryRead())
	if len(gaps) == 0 {
		if h.mending {
			h.mending = false
			c.log.Info("history read", "records", c.stats.HistoryRecords.Load(),
				"given up", c.stats.HistoryGivenUp.Load())
		}
		return nil
	}
	if !h.mending {
		h.mending = true
		c.log.Info("reading history of what was missed", "intervals", len(gaps)+h.book.Waiting())
	}
	r := &historyReader{connection: c}
	for _, g := range gaps {
		r.items = append(r.items, &historyItem{gap: g, node: c.model.nodes[g.Handle]})
	}
	c.reading = true
	go func() { c.historyRead <- r.run(ctx) }()
	return nil
}

// storeMark stores the mark, if it is time or the session ends. What has not had a value
// since this run began is not missed by the next one alone, so that before the initial
// snapshot is complete the mark of the run before stays.
func (c *connection) storeMark(end bool) {
	h := c.history
	if c.model == nil || !c.isComplete() || !end && time.Since(h.marked) < markEvery {
		return
	}
	h.marked = time.Now()
	if err := h.store(c.model.Generation, c.readable); err != nil {
		c.log.Error("writing until when values were passed on; a restart may read history again", "error", err)
	}
}

// nodesPerHistoryRead honours the server's limits.
func (c *connection) nodesPerHistoryRead() int {
	n := c.history.nodes
	for _, limit := range []int{c.session.Limits().NodesPerHistoryRead, c.session.Limits().HistoryContinuationPoints} {
		if limit > 0 {
			n = min(n, limit)
		}
	}
	return n
}

// isComplete reports whether the initial snapshot is complete.
func (c *connection) isComplete() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.complete
}
