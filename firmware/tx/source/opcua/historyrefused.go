package opcua

import (
	"context"
	"errors"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/uabinary"
)

// failed handles a request that failed as a whole.
func (r *historyReader) failed(ctx context.Context, items []*historyItem, err error) {
	if ctx.Err() != nil || r.session.Err() != nil {
		return
	}
	code := ua.StatusBadUnexpectedError
	var refusal *client.Error
	if errors.As(err, &refusal) {
		code = refusal.Code
	}
	r.log.Debug("history not read", "error", err, "nodes", len(items))
	h := r.history
	switch {
	case code == ua.StatusBadTimeout:
		r.rest = slowHistoryRest
		r.readLess(items, code)
	case mayReadLess(code):
		r.release(r.open())
		r.readLess(items, code)
	default:
		h.refuseAll(code)
		r.stats.HistoryRefused.Add(uint64(len(items)))
	}
}

// mayReadLess reports whether less may be read where this was the answer.
func mayReadLess(code ua.StatusCode) bool {
	switch code {
	case ua.StatusBadTimeout, ua.StatusBadTooManyOperations, ua.StatusBadRequestTooLarge,
		ua.StatusBadResponseTooLarge, ua.StatusBadTCPMessageTooLarge, ua.StatusBadEncodingLimitsExceeded,
		ua.StatusBadDecodingError, ua.StatusBadEncodingError, ua.StatusBadInternalError,
		ua.StatusBadUnexpectedError, ua.StatusBadNoContinuationPoints, ua.StatusBadContinuationPointInvalid,
		ua.StatusBadResourceUnavailable, ua.StatusBadOutOfMemory, ua.StatusBadTooManyPublishRequests:
		return true
	}
	return false
}

// readLess has fewer nodes in the next request, or of one node a shorter part.
func (r *historyReader) readLess(items []*historyItem, code ua.StatusCode) {
	if n := len(r.items); n > 1 {
		r.history.fewer(n)
		return
	}
	for _, it := range items {
		r.shorten(it, code)
	}
}

// shorten halves what is read of an interval at once, or gives the interval up.
func (r *historyReader) shorten(it *historyItem, code ua.StatusCode) {
	g := it.gap
	it.ended = true
	g.Span = (g.End() - g.Next) / 2
	if g.Failures++; g.Failures > maxHistoryFailures || g.Span == 0 {
		r.giveUp(it, code)
	}
}

// refusedNode handles a status in the place of a node's history.
func (r *historyReader) refusedNode(it *historyItem, code ua.StatusCode) {
	it.point = nil
	if !mayReadLess(code) {
		r.giveUp(it, code)
		return
	}
	it.ended = true
	if len(r.items) > 1 {
		r.history.fewer(len(r.items))
		return
	}
	r.shorten(it, code)
}

// giveUp ends an interval of which no more can be read, and leaves its node alone for
// a while.
func (r *historyReader) giveUp(it *historyItem, code ua.StatusCode) {
	it.over = true
	r.history.refuse(it.gap.Handle, code)
	r.stats.HistoryRefused.Add(1)
	r.stats.HistoryGivenUp.Add(1)
	r.log.Warn("the history of what was missed cannot be read", "error", code, "node", it.node.UA(),
		"from", uabinary.Time(it.gap.Next), "to", uabinary.Time(it.gap.To))
}
