package servertest

import (
	"bytes"
	"slices"
	"sync"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// History is what a server has recorded of its nodes, and how it answers HistoryRead for
// raw values. The zero value has recorded nothing and refuses nothing. Its switches are
// for before it is served, or for within Change.
type History struct {
	// Values are DataValues with a source timestamp, of each node in the order of time.
	Values map[rawvalue.NodeID][][]byte
	// Events are what notifiers have reported, in the order of time.
	Events map[rawvalue.NodeID][]Event
	// Refuse answers for a node, RefuseAll for every request.
	Refuse    map[rawvalue.NodeID]ua.StatusCode
	RefuseAll ua.StatusCode
	// PerCall is how many values of a node an answer has at most, 0: as many as asked for.
	PerCall int
	// Nodes is how many nodes a request may have, 0: any number.
	Nodes int
	// Points is how many continuation points there are, 0: any number, −1: none.
	Points int
	// Cut ends an answer at what was asked for, without a continuation point.
	Cut bool
	// End includes values of the time at which a range ends.
	End bool
	// Endless continues for ever, without a value.
	Endless bool

	mu       sync.Mutex
	open     map[string]historyPoint
	made     int
	released int
	read     int // values
}

// Event is an event with its fields by the last name of their paths, Variants.
type Event struct {
	At     int64 // a DateTime
	Fields map[string][]byte
}

// historyPoint is where a node's history goes on.
type historyPoint struct {
	node rawvalue.NodeID
	from int64
	skip int // values of the time from
}

// Change changes switches and values while the history is served.
func (h *History) Change(f func(*History)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h)
}

// Record appends a value.
func (h *History) Record(node rawvalue.NodeID, dataValue []byte) {
	h.Change(func(h *History) {
		if h.Values == nil {
			h.Values = map[rawvalue.NodeID][][]byte{}
		}
		h.Values[node] = append(h.Values[node], dataValue)
	})
}

// Open returns how many continuation points stand, and how many were released.
func (h *History) Open() (open, released int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.open), h.released
}

// Read returns how many values were returned.
func (h *History) Read() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.read
}

// ServeHistory answers HistoryRead.
func (s *Server) ServeHistory(h *History) {
	s.On(id.HistoryReadRequest_Encoding_DefaultBinary, h.serve)
}

func (h *History) serve(r Request) ([]byte, ua.StatusCode) {
	h.mu.Lock()
	defer h.mu.Unlock()
	details := r.ExtensionObject()
	r.Skip(4)
	release := r.Byte() != 0
	n := r.Length(1)
	kind, _ := rawvalue.ParseNodeID(details.TypeID)
	switch {
	case h.RefuseAll != 0:
		return nil, h.RefuseAll
	case h.Nodes > 0 && n > h.Nodes:
		return nil, ua.StatusBadTooManyOperations
	}
	d := rawvalue.NewCursor(details.Body, rawvalue.Limits{})
	switch kind {
	case rawvalue.NodeID{Number: id.ReadRawModifiedDetails_Encoding_DefaultBinary}:
	case rawvalue.NodeID{Number: id.ReadEventDetails_Encoding_DefaultBinary}:
		return h.serveEvents(&d, r, n), 0
	default:
		return nil, ua.StatusBadHistoryOperationUnsupported
	}
	d.Skip(1)
	from, to, most := d.Int64(), d.Int64(), int(d.Uint32())
	b := AppendUint32(nil, uint32(n))
	for range n {
		node, _ := rawvalue.ParseNodeID(r.NodeID())
		r.Bytes()
		r.QualifiedName()
		b = append(b, h.answer(historyPoint{node: node, from: from}, to, most, string(r.Cursor.Bytes()), release)...)
	}
	return AppendUint32(b, Null), 0
}

// answer returns the HistoryReadResult of a node.
func (h *History) answer(at historyPoint, to int64, most int, point string, release bool) []byte {
	if point != "" {
		known, ok := h.open[point]
		delete(h.open, point)
		switch {
		case !ok:
			return historyResult(ua.StatusBadContinuationPointInvalid, nil, nil)
		case release:
			h.released++
			return historyResult(ua.StatusOK, nil, nil)
		}
		at = known
	}
	if code := h.Refuse[at.node]; code != 0 {
		return historyResult(code, nil, nil)
	}
	if h.PerCall > 0 && (most == 0 || h.PerCall < most) {
		most = h.PerCall
	}
	values, next := h.part(at, to, most)
	var more []byte
	if h.Cut {
		next = historyPoint{}
	}
	if h.Endless {
		values, next = nil, at
	}
	if next.from != 0 {
		if h.Points < 0 || h.Points > 0 && len(h.open) >= h.Points {
			return historyResult(ua.StatusBadNoContinuationPoints, nil, nil)
		}
		h.made++
		more = AppendUint32([]byte("point"), uint32(h.made))
		if h.open == nil {
			h.open = map[string]historyPoint{}
		}
		h.open[string(more)] = next
	}
	h.read += len(values)
	return historyResult(ua.StatusOK, more, values)
}

// part returns up to so many values, 0 for all, and where the history goes on.
func (h *History) part(at historyPoint, to int64, most int) (values [][]byte, next historyPoint) {
	skip := at.skip
	for _, v := range h.Values[at.node] {
		t := SourceTime(v)
		if t < at.from || t > to || t == to && !h.End {
			continue
		}
		if t == at.from && skip > 0 {
			skip--
			continue
		}
		if most > 0 && len(values) == most {
			next = historyPoint{node: at.node, from: t}
			for _, last := range slices.Backward(values) {
				if SourceTime(last) != t {
					break
				}
				next.skip++
			}
			if next.from == at.from {
				next.skip += at.skip
			}
			break
		}
		values = append(values, v)
	}
	return values, next
}

// serveEvents answers with as many events of each notifier as are asked for. A continuation
// point is the number of the next one.
func (h *History) serveEvents(d *rawvalue.Cursor, r Request, n int) []byte {
	most := int(d.Uint32())
	from, to := d.Int64(), d.Int64()
	var names []string
	for range d.Length(10) {
		d.NodeID()
		name := ""
		for range d.Length(6) {
			name = string(d.QualifiedName().Name)
		}
		d.Skip(4)
		d.Bytes()
		names = append(names, name)
	}
	b := AppendUint32(nil, uint32(n))
	for range n {
		node, _ := rawvalue.ParseNodeID(r.NodeID())
		r.Bytes()
		r.QualifiedName()
		at := 0
		if point := r.Cursor.Bytes(); len(point) > 0 {
			at = int(point[0])<<8 | int(point[1])
		}
		if code := h.Refuse[node]; code != 0 {
			b = append(b, historyResult(code, nil, nil)...)
			continue
		}
		var events [][]byte
		list := h.Events[node]
		for ; at < len(list) && len(events) < most; at++ {
			if list[at].At < from || list[at].At >= to {
				continue
			}
			e := AppendUint32(nil, uint32(len(names)))
			for _, name := range names {
				if v, ok := list[at].Fields[name]; ok {
					e = append(e, v...)
				} else {
					e = append(e, 0) // null
				}
			}
			events = append(events, e)
		}
		b = AppendUint32(b, 0)
		if at < len(list) {
			b = AppendText(b, string([]byte{byte(at >> 8), byte(at)}))
		} else {
			b = AppendUint32(b, Null)
		}
		h.read += len(events)
		body := append(AppendUint32(nil, uint32(len(events))), bytes.Join(events, nil)...)
		b = append(b, Extension(id.HistoryEvent_Encoding_DefaultBinary, body)...)
	}
	return AppendUint32(b, Null)
}

func historyResult(code ua.StatusCode, point []byte, values [][]byte) []byte {
	b := AppendUint32(nil, uint32(code))
	if point == nil {
		b = AppendUint32(b, Null)
	} else {
		b = AppendText(b, string(point))
	}
	if code>>31 == 1 {
		return append(b, 0, 0, 0) // no history
	}
	body := AppendUint32(nil, uint32(len(values)))
	body = append(body, bytes.Join(values, nil)...)
	return append(b, Extension(id.HistoryData_Encoding_DefaultBinary, body)...)
}

// SourceTime returns the source timestamp of a DataValue, a DateTime.
func SourceTime(dataValue []byte) int64 {
	v, err := rawvalue.SkimDataValue(dataValue, rawvalue.Limits{})
	if err != nil {
		return 0
	}
	return v.SourceTime
}
