package server

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"slices"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/historyread"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// historyKind is what a HistoryRead reads.
type historyKind uint8

const (
	readRaw historyKind = iota
	readModified
	readAtTime
	readProcessed
	readEvents
	readUnsupported
)

// historyRequest is a HistoryRead that is being answered.
type historyRequest struct {
	*query
	kind    historyKind
	number  uint64 // of the session's
	fresh   historyState
	stamps  ua.TimestampsToReturn
	invalid ua.StatusCode // of each operation: something is wrong with the details
	filter  *event.Filter
	times   []int64 // of ReadAtTimeDetails
	simple  bool
	process *ua.ReadProcessedDetails
	work    historyWork
	scratch historyEntries
}

// historyRead answers HistoryRead (OPC 10000-4 §5.11.3).
func (q *query) historyRead(req *ua.HistoryReadRequest) {
	if q.server.cfg.Historian == nil {
		q.refuseHistoryRead(req)
		return
	}
	h := historyRequest{query: q, stamps: req.TimestampsToReturn}
	if code := h.check(req); code != ua.StatusOK {
		q.fault(code)
		return
	}
	a := q.newResponse(id.HistoryReadResponse_Encoding_DefaultBinary)
	h.number = q.session.history.begin()
	h.work = q.server.newHistoryWork(h.kind, len(req.NodesToRead), a.limit)
	a.buf = binary.LittleEndian.AppendUint32(a.buf, uint32(len(req.NodesToRead)))
	for i, r := range req.NodesToRead {
		if req.ReleaseContinuationPoints {
			a.buf = h.appendReleased(a.buf, r)
		} else {
			a.buf = h.appendResult(a.buf, i, r)
		}
		if !a.flush() {
			return
		}
	}
	a.end()
}

// check checks what concerns the request as a whole, and reads its details.
func (h *historyRequest) check(req *ua.HistoryReadRequest) ua.StatusCode {
	switch n := len(req.NodesToRead); {
	case n == 0:
		return ua.StatusBadNothingToDo
	case n > h.server.cfg.Limits.HistoryNodes:
		return ua.StatusBadTooManyOperations
	case req.HistoryReadDetails == nil || req.HistoryReadDetails.Value == nil:
		return ua.StatusBadHistoryOperationInvalid
	case req.TimestampsToReturn > ua.TimestampsToReturnNeither:
		return ua.StatusBadTimestampsToReturnInvalid
	}
	raw := historyDetails(h.body)
	h.body = nil
	c := rawvalue.NewCursor(raw, rawvalue.Limits{})
	h.fresh.details = maphash.Bytes(h.server.values.seed, append(slices.Clip(raw), byte(req.TimestampsToReturn)))
	switch d := req.HistoryReadDetails.Value.(type) {
	case *ua.ReadRawModifiedDetails:
		h.checkRaw(d, &c)
	case *ua.ReadAtTimeDetails:
		h.readTimes(d, &c)
	case *ua.ReadProcessedDetails:
		if len(d.AggregateType) != len(req.NodesToRead) {
			return ua.StatusBadAggregateListMismatch
		}
		h.checkProcessed(d, &c)
	case *ua.ReadEventDetails:
		h.checkEvents(d, &c)
		return ua.StatusOK // events have no other timestamps than their fields
	default:
		h.kind = readUnsupported
	}
	h.fresh.kind = h.kind
	if req.TimestampsToReturn == ua.TimestampsToReturnNeither {
		return ua.StatusBadTimestampsToReturnInvalid
	}
	return ua.StatusOK
}

// historyDetails returns the body of the HistoryReadDetails in an encoded request: the library
// does not read all DateTimes as they are.
func historyDetails(request []byte) []byte {
	c := rawvalue.NewCursor(request, rawvalue.Limits{})
	c.NodeID()
	c.NodeID() // RequestHeader: token, timestamp, handle, diagnostics, audit entry, timeout, additional header
	c.Skip(8 + 4 + 4)
	c.Bytes()
	c.Skip(4)
	c.ExtensionObject()
	return c.ExtensionObject().Body
}

// dateTime reads a DateTime that may be missing.
func dateTime(c *rawvalue.Cursor) int64 { return max(c.Int64(), 0) }

func (h *historyRequest) checkRaw(d *ua.ReadRawModifiedDetails, c *rawvalue.Cursor) {
	c.Skip(1)
	raw := &h.fresh.raw
	raw.Start, raw.End = dateTime(c), dateTime(c)
	raw.Limit, raw.Bounds = d.NumValuesPerNode, d.ReturnBounds
	if d.IsReadModified {
		h.kind = readModified
	}
	switch {
	case !raw.Valid():
		h.invalid = ua.StatusBadHistoryOperationInvalid
	case d.IsReadModified && d.ReturnBounds:
		h.invalid = ua.StatusBadInvalidArgument
	}
}

// appendReleased releases a continuation point. No data is returned (OPC 10000-11 §6.3).
func (h *historyRequest) appendReleased(b []byte, r *ua.HistoryReadValueID) []byte {
	node, err := rawvalue.FromUA(r.NodeID)
	if err != nil {
		return appendHistoryCode(b, ua.StatusBadNodeIDInvalid)
	}
	if _, ok := h.claim(r.ContinuationPoint, node); !ok {
		return appendHistoryCode(b, ua.StatusBadContinuationPointInvalid)
	}
	return appendHistoryCode(b, ua.StatusOK)
}

// claim removes and returns a continuation point of a node.
func (h *historyRequest) claim(point []byte, node rawvalue.NodeID) (at historyPoint, ok bool) {
	return h.session.history.claim(point, func(at historyPoint) bool { return at.node == h.hash(node) })
}

// hash returns what stands for a NodeId in a continuation point.
func (h *historyRequest) hash(node rawvalue.NodeID) uint64 {
	return maphash.Comparable(h.server.values.seed, node)
}

// appendHistoryCode appends a HistoryReadResult without data.
func appendHistoryCode(b []byte, code ua.StatusCode) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(code))
	return append(b, 0xff, 0xff, 0xff, 0xff, 0, 0, 0) // no continuation point, a null ExtensionObject
}

// appendResult appends the result of the i-th node.
func (h *historyRequest) appendResult(b []byte, i int, r *ua.HistoryReadValueID) []byte {
	node, part, code := h.checkOperation(r)
	if code != ua.StatusOK {
		return appendHistoryCode(b, code)
	}
	state, code := h.begin(i, node, r.ContinuationPoint)
	if code != ua.StatusOK {
		return appendHistoryCode(b, code)
	}
	e := &h.scratch
	e.begin(h.work.share(), part, h.stamps)
	more := h.kind != readModified // there are none
	var err error
	if more && !e.spent() {
		more, err = h.read(node, &state, e)
	}
	h.work.use(e)
	if err != nil {
		return appendHistoryCode(b, h.codeOf(err))
	}
	var point []byte
	if more {
		at := historyPoint{historyState: state, node: h.hash(node)}
		if point = h.session.history.hold(at, h.number, h.server.cfg.Limits.HistoryPoints); point == nil {
			return appendHistoryCode(b, ua.StatusBadNoContinuationPoints)
		}
	}
	return e.appendResult(b, h.kind, point)
}

// begin returns where the reading of the i-th node begins, or goes on. With a continuation point the
// parameters of the first request count; where they are too many to be kept, the request must have
// the same ones (OPC 10000-11 §6.3).
func (h *historyRequest) begin(i int, node rawvalue.NodeID, continuation []byte) (historyState, ua.StatusCode) {
	if len(continuation) > 0 {
		point, ok := h.claim(continuation, node)
		again := h.kind == readAtTime || h.kind == readEvents
		if !ok || point.kind != h.kind || again && point.details != h.fresh.details {
			return historyState{}, ua.StatusBadContinuationPointInvalid
		}
		return point.historyState, ua.StatusOK
	}
	if h.invalid != ua.StatusOK || h.kind != readProcessed {
		return h.fresh, h.invalid
	}
	return h.beginProcessed(h.process.AggregateType[i], node)
}

// codeOf returns the code of an operation that failed.
func (h *historyRequest) codeOf(err error) ua.StatusCode {
	var code ua.StatusCode
	switch {
	case errors.As(err, &code):
		return code
	case errors.Is(err, historyread.ErrTooMuch): // the client is to split it
		return ua.StatusBadTooManyOperations
	}
	h.server.faults.Add(1)
	h.server.refusalLog.Warn("history not read", "error", err)
	return ua.StatusBadUnexpectedError
}

// checkOperation checks one operation, but for its continuation point.
func (h *historyRequest) checkOperation(r *ua.HistoryReadValueID) (node rawvalue.NodeID, part rawvalue.Range,
	code ua.StatusCode) {
	node, err := rawvalue.FromUA(r.NodeID)
	if err != nil {
		return node, part, ua.StatusBadNodeIDInvalid
	}
	exists := false
	h.server.cfg.Space.View(func(v addrspace.View) { _, exists = v.Lookup(node) })
	if !exists {
		return node, part, ua.StatusBadNodeIDUnknown
	}
	if code = uabinary.CheckDataEncoding(r.DataEncoding, ua.AttributeIDValue); code != ua.StatusOK {
		return node, part, code
	}
	if part, err = rawvalue.ParseRange(r.IndexRange); err != nil {
		return node, part, ua.StatusBadIndexRangeInvalid
	}
	h.server.cfg.Space.View(func(v addrspace.View) {
		ref, ok := v.Lookup(node)
		switch {
		case !ok:
			code = ua.StatusBadNodeIDUnknown
		case h.kind == readEvents:
			code = h.checkNotifier(v, ref)
		default:
			code = h.checkVariable(v, ref)
		}
	})
	if code == ua.StatusOK && h.kind == readUnsupported {
		code = ua.StatusBadHistoryOperationUnsupported
	}
	return node, part, code
}

// checkVariable checks that the history of a variable is kept, and that the client may read it.
func (h *historyRequest) checkVariable(v addrspace.View, ref addrspace.Ref) ua.StatusCode {
	if v.Class(ref) != ua.NodeClassVariable || !hasBits(v, ref, ua.AttributeIDAccessLevel, historyReadBit) {
		return ua.StatusBadHistoryOperationUnsupported
	}
	if code := h.server.checkRestrictions(v, ref, &h.client, false); code != ua.StatusOK {
		return code
	}
	if _, has := v.AppendAttribute(nil, ref, ua.AttributeIDUserAccessLevel); has &&
		!hasBits(v, ref, ua.AttributeIDUserAccessLevel, historyReadBit) {
		return ua.StatusBadUserAccessDenied
	}
	return checkReadable(v, ref)
}

// historyReadBit is HistoryRead in AccessLevel and in EventNotifier (OPC 10000-3 §8.57, §8.59).
const historyReadBit = 0x04

// hasBits reports whether an attribute of type Byte has all of some bits.
func hasBits(v addrspace.View, ref addrspace.Ref, attribute ua.AttributeID, bits byte) bool {
	var buf [64]byte
	raw, ok := v.AppendAttribute(buf[:0], ref, attribute)
	if !ok {
		return false
	}
	dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	return err == nil && dv.Value.Type() == ua.TypeIDByte && !dv.Value.IsArray() && dv.Value.Raw[1]&bits == bits
}

// read reads on from a state.
func (h *historyRequest) read(node rawvalue.NodeID, state *historyState, e *historyEntries) (more bool, err error) {
	each := func(from, to time.Time, f func(time.Time, []byte) bool) error {
		return h.server.cfg.Historian.Values(node, from, to, f)
	}
	switch h.kind {
	case readEvents:
		return h.readEvents(node, state, e)
	case readAtTime:
		return h.readAtTime(node, each, state, e)
	case readProcessed:
		return h.readProcessed(each, state, e)
	}
	return state.raw.Read(each, e.addValue)
}
