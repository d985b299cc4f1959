package opcua

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source/opcua/absence"
)

// Our own bounds of what one interval is tried.
const (
	maxHistoryFailures = 12  // half as much is read after each
	maxEmptyHistory    = 100 // answers in a row that continue and have no value
	growAfterTurns     = 20  // with fewer nodes, before there are more again
)

// historyReader reads some intervals, that begin together, for one turn. It runs beside its
// connection.
type historyReader struct {
	*connection
	items []*historyItem
	rest  time.Duration // that the server gets
	lates []lateValue   // of one answer
}

// historyItem is an interval that is read.
type historyItem struct {
	gap      *absence.Gap
	node     rawvalue.NodeID
	point    []byte
	at       int64 // of the newest value that was read, in this turn or before
	count    int   // values of that time
	seen     int64 // time of the newest value that was returned, which may be before at
	last     []byte
	lastAt   int64
	empty    int
	ended    bool // nothing more in this turn
	over     bool // nothing more at all
	answered bool
}

// run reads for one turn, gives the intervals back, and returns for how long the server is
// left alone.
func (r *historyReader) run(ctx context.Context) time.Duration {
	defer func() {
		for _, it := range r.items {
			r.history.book.Done(it.gap, it.over)
		}
	}()
	r.rest = minHistoryRest
	first := r.items[0].gap.Next
	last := first
	for _, it := range r.items {
		it.at = it.gap.Next
		first, last = min(first, it.gap.Next), max(last, it.gap.End())
	}
	began := time.Now()
	for open := r.items; len(open) > 0 && ctx.Err() == nil; open = r.open() {
		if time.Since(began) > historyTurn {
			r.release(open)
			break
		}
		asked := time.Now()
		err := r.ask(ctx, client.HistoryRange{From: first, To: last, Most: historyValues}, open)
		r.rest = max(minHistoryRest, historyRest*time.Since(asked))
		asked = time.Now()
		if err != nil {
			r.failed(ctx, open, err)
			return r.rest
		}
		if err := r.handOver(ctx); err != nil {
			r.release(r.open())
			break
		}
		for _, it := range open {
			r.advance(it, last)
		}
		if len(r.open()) > 0 && !sleep(ctx, r.rest-time.Since(asked)) {
			break
		}
	}
	if ctx.Err() == nil {
		if n := len(r.items); n > 1 && slices.ContainsFunc(r.items, (*historyItem).behind) {
			r.history.fewer(n)
		}
		r.readMore()
	}
	return r.rest
}

// behind reports whether a turn has returned only values that are older than the interval:
// the request began earlier, where another node's does. Read alone, it begins where it is to.
func (it *historyItem) behind() bool {
	return !it.over && it.seen > 0 && it.count == 0 && (it.ended || it.point != nil)
}

// readMore has more nodes in a request again, after turns in which nothing was refused.
func (r *historyReader) readMore() {
	h := r.history
	if h.good++; h.good >= growAfterTurns {
		h.nodes, h.good = min(2*h.nodes, historyNodes), 0
	}
}

// open returns the items that go on at a continuation point.
func (r *historyReader) open() (list []*historyItem) {
	for _, it := range r.items {
		if it.point != nil && !it.ended && !it.over {
			list = append(list, it)
		}
	}
	return list
}

func requested(items []*historyItem) []client.HistoryItem {
	list := make([]client.HistoryItem, len(items))
	for i, it := range items {
		list[i] = client.HistoryItem{Node: it.node, Point: it.point}
	}
	return list
}

// release gives continuation points back. Where nothing was read since, the interval goes
// on by time.
func (r *historyReader) release(items []*historyItem) {
	if len(items) == 0 || r.session.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	r.session.ReleaseHistory(ctx, requested(items))
}

// ask sends one request and collects what is to cross.
func (r *historyReader) ask(ctx context.Context, part client.HistoryRange, items []*historyItem) error {
	r.lates = r.lates[:0]
	for _, it := range items {
		it.answered = false
	}
	return r.session.ReadHistory(ctx, part, requested(items), func(i int, p client.HistoryPart) {
		it := items[i]
		it.point, it.answered = p.Point, true
		if isBad(p.Status) && p.Status != ua.StatusBadNoData {
			r.refusedNode(it, p.Status)
			return
		}
		r.history.accepted(it.gap.Handle)
		at, count, seen := it.at, it.count, it.seen
		for _, dv := range p.Values {
			r.collect(it, dv)
		}
		moved := it.at != at || it.count != count
		if it.empty++; moved || it.seen > seen {
			it.empty = 0
		}
		if it.empty > maxEmptyHistory {
			it.ended = true
			r.giveUp(it, ua.StatusBadContinuationPointInvalid)
		}
		// Some servers return no point where there is more. What begins where the request
		// does, and does not move on, has no more.
		if it.point == nil && len(p.Values) >= historyValues && (moved || part.From < it.gap.Next) {
			it.ended = true
		}
	})
}

// collect adds a value to those that are to cross, unless it has crossed before.
func (r *historyReader) collect(it *historyItem, dv rawvalue.DataValue) {
	at := dv.SourceTime
	if !dv.Has(ua.DataValueSourceTimestamp) || dv.Status == ua.StatusBadNoData ||
		dv.Status == ua.StatusBadBoundNotFound {
		return
	}
	it.seen = max(it.seen, at)
	switch {
	case at < it.at:
		return
	case at > it.at:
		it.at, it.count = at, 0
	}
	it.count++
	if it.gap.Skip > 0 && at == it.gap.Next && it.count <= it.gap.Skip {
		return // it was read in another turn
	}
	if it.gap.WasSent(at) {
		return
	}
	dv.Status = withoutHistorian(dv.Status)
	u := r.values.update(it.gap.Handle, dv)
	if it.lastAt == at && bytes.Equal(it.last, u.Payload) {
		return // the same value twice
	}
	it.last, it.lastAt = u.Payload, at
	u.Late = true
	dv.Value = rawvalue.Variant{}
	dv.Raw = []byte{dv.Raw[0]}
	r.lates = append(r.lates, lateValue{it, u, dv, it.count})
}

// withoutHistorian removes the bits that say how a historian came by a value (OPC 10000-4
// §7.39.1), which a live value does not have.
func withoutHistorian(code ua.StatusCode) ua.StatusCode {
	const bits = 0x1f
	if code&infoDataValue == 0 {
		return code
	}
	code &^= bits
	if code&(infoLimits|infoOverflow) == 0 {
		code &^= infoDataValue
	}
	return code
}

// advance moves an interval on behind what has left.
func (r *historyReader) advance(it *historyItem, until int64) {
	g := it.gap
	if it.over || !it.answered {
		return
	}
	switch {
	case it.point == nil && !it.ended: // all of it was read
		g.Next, g.Skip, g.Failures = min(until, g.To), 0, 0
		if g.Span > 0 {
			g.Span *= 2
		}
	case it.ended && it.at == g.Next && it.count >= historyValues && it.count == g.Skip:
		g.Next, g.Skip = it.at+1, 0 // more values of one time than a request returns
	default:
		it.passed(it.at, it.count)
	}
}

// passed moves an interval on behind a value that has left, the one of its time with this
// number.
func (it *historyItem) passed(at int64, count int) {
	if g := it.gap; at > g.Next || at == g.Next && count > g.Skip {
		g.Next, g.Skip, g.Failures = at, count, 0
	}
}

// sleep waits, and reports whether the context still stands.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
