package client

import (
	"context"
	"slices"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// historyTimeout is for the answer to a HistoryRead, which a server may have to fetch from
// a disk. It says nothing of what other services take, nor do they of it.
const historyTimeout = 20 * time.Second

// spareValues are what a server may return beyond what it was asked for: bounding values.
const spareValues = 2

// HistoryRange is the part of a history that is read: From on, until before To, both
// DateTimes of package uabinary, with at most Most values or events of each node in one
// answer.
type HistoryRange struct {
	From, To int64
	Most     int
}

// HistoryItem is a node, and the continuation point where its history goes on; nil is its
// beginning.
type HistoryItem struct {
	Node  rawvalue.NodeID
	Point []byte
}

// HistoryPart is a part of a node's history. Values, or Events with the fields that the
// filter selects, are valid until the function returns that it is given to; Point is nil
// at the end, and may be kept.
type HistoryPart struct {
	Status ua.StatusCode
	Point  []byte
	Values []rawvalue.DataValue
	Events [][][]byte
}

// ReadHistory reads the raw values of nodes (OPC 10000-11 §6.5.3) with one request, without
// values at the bounds, and calls f with each node's part, in order. Nodes that go on at a
// continuation point must not be mixed with others. The caller keeps Limits; after an
// error, no point that was given is known to be valid.
func (s *Session) ReadHistory(ctx context.Context, r HistoryRange, items []HistoryItem,
	f func(i int, p HistoryPart)) error {
	body := appendBool(nil, false) // not what was modified
	body = appendInt64(appendInt64(body, r.From), r.To)
	body = appendBool(appendUint32(body, uint32(r.Most)), false)
	details := extension(id.ReadRawModifiedDetails_Encoding_DefaultBinary, body)
	return s.readHistory(ctx, details, items, func(c *rawvalue.Cursor, p *HistoryPart) error {
		e := c.ExtensionObject()
		in, ok, err := historyData(e, id.HistoryData_Encoding_DefaultBinary)
		if ok && err == nil {
			p.Values = in.DataValues(p.Values[:0], r.Most+spareValues)
			err = in.Err()
		}
		return err
	}, f)
}

// ReadEventHistory reads the events of notifiers (OPC 10000-11 §6.5.2) in the same way,
// with the fields that a filter of Events selects.
func (s *Session) ReadEventHistory(ctx context.Context, r HistoryRange, filter Filter, items []HistoryItem,
	f func(i int, p HistoryPart)) error {
	body := appendInt64(appendInt64(appendUint32(nil, uint32(r.Most)), r.From), r.To)
	_, fields, err := bodyOf(filter)
	if err != nil {
		return err
	}
	details := extension(id.ReadEventDetails_Encoding_DefaultBinary, append(body, fields...))
	return s.readHistory(ctx, details, items, func(c *rawvalue.Cursor, p *HistoryPart) error {
		e := c.ExtensionObject()
		in, ok, err := historyData(e, id.HistoryEvent_Encoding_DefaultBinary)
		if !ok || err != nil {
			return err
		}
		n := max(0, in.Length(4))
		if n > r.Most+spareValues {
			return tooMuchHistory()
		}
		for range n {
			fields := max(0, in.Length(1))
			if fields > filter.fields {
				return tooMuchHistory()
			}
			list := make([][]byte, 0, fields)
			for range fields {
				list = append(list, in.Variant().Raw)
			}
			p.Events = append(p.Events, list)
		}
		return in.Err()
	}, f)
}

func tooMuchHistory() error {
	return &Error{Service: historyRead().name, Code: ua.StatusBadEncodingLimitsExceeded,
		Reason: "the server returned more than it was asked for"}
}

// bodyOf returns the body of a filter, without the length of its ExtensionObject.
func bodyOf(f Filter) (kind rawvalue.NodeID, body []byte, err error) {
	c := rawvalue.NewCursor(f.raw, rawvalue.Limits{})
	e := c.ExtensionObject()
	if err = c.Err(); err == nil {
		kind, err = rawvalue.ParseNodeID(e.TypeID)
	}
	return kind, e.Body, err
}

// historyData returns what an ExtensionObject of an encoding holds; there may be none.
func historyData(e rawvalue.ExtensionObject, encoding uint32) (c rawvalue.Cursor, ok bool, err error) {
	if len(e.Body) == 0 {
		return c, false, nil
	}
	kind, err := rawvalue.ParseNodeID(e.TypeID)
	if err == nil && kind != (rawvalue.NodeID{Number: encoding}) {
		err = &Error{Service: historyRead().name, Code: ua.StatusBadDecodingError,
			Reason: "the history is of another type than was asked for"}
	}
	return rawvalue.NewCursor(e.Body, rawvalue.Limits{}), err == nil, err
}

// readHistory sends one request, and has content read the history of each result.
func (s *Session) readHistory(ctx context.Context, details []byte, items []HistoryItem,
	content func(*rawvalue.Cursor, *HistoryPart) error, f func(i int, p HistoryPart)) error {
	a, err := s.requestHistory(ctx, details, items, false)
	if err != nil {
		return err
	}
	name := historyRead().name
	const smallest = 4 + 4 + 3 // bytes of a HistoryReadResult
	if n := a.Length(smallest); a.Err() == nil && n != len(items) {
		return wrongCount(name, n, len(items))
	}
	var p HistoryPart
	for i := range items {
		p.Status, p.Point, p.Values, p.Events = ua.StatusCode(a.Uint32()), nil, p.Values[:0], p.Events[:0]
		point := a.Bytes()
		err := content(&a.Cursor, &p)
		if err == nil {
			err = a.Err()
		}
		switch {
		case err != nil:
			return malformedAnswer(name, err)
		case len(point) > maxContinuation:
			return &Error{Service: name, Code: ua.StatusBadEncodingLimitsExceeded,
				Reason: "a continuation point is longer than 64 KiB"}
		case len(point) > 0:
			p.Point = slices.Clone(point)
		}
		f(i, p)
	}
	s.ch.Recycle(a.body)
	return nil
}

// ReleaseHistory releases continuation points of raw values. Errors do not matter: the
// server frees the points with the session.
func (s *Session) ReleaseHistory(ctx context.Context, items []HistoryItem) {
	details := extension(id.ReadRawModifiedDetails_Encoding_DefaultBinary, make([]byte, 1+8+8+4+1))
	_, _ = s.requestHistory(ctx, details, items, true)
}

func (s *Session) requestHistory(ctx context.Context, details []byte, items []HistoryItem, release bool) (answer,
	error) {
	return s.do(ctx, historyRead(), historyTimeout, func(b []byte) []byte {
		b = append(b, details...)
		b = appendUint32(b, uint32(ua.TimestampsToReturnSource))
		b = appendUint32(appendBool(b, release), uint32(len(items)))
		for _, it := range items {
			b = it.Node.AppendTo(b)
			b = appendUint32(b, nullLength) // all of each value
			b = appendUint32(append(b, 0, 0), nullLength)
			b = appendBytes(b, it.Point)
		}
		return b
	})
}

func appendInt64(b []byte, v int64) []byte {
	for shift := 0; shift < 64; shift += 8 {
		b = append(b, byte(v>>shift))
	}
	return b
}
