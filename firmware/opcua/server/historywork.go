package server

import (
	"encoding/binary"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// Our own choices for the work of one HistoryRead.
const (
	maxHistoryValues = 10_000    // of one node in one response; announced as MaxReturnDataValues
	maxHistoryEvents = 1_000     // the same for events
	maxHistoryBytes  = 2 << 20   // of all results of a response, after which continuation points are given
	maxExamined      = 200_000   // events, whether they pass the filter or not
	maxSamples       = 1_000_000 // values that aggregates are computed of
	maxHistoryTime   = 2 * time.Second
	checkTimeEvery   = 128 // entries between looks at the clock
)

// historyWork is what is left of the work of a request, for the nodes that are left.
type historyWork struct {
	now      func() time.Time
	deadline time.Time
	nodes    int
	bytes    int
	examined int  // events or samples
	begun    bool // a node was read: others may wait for the next request
}

func (s *Server) newHistoryWork(kind historyKind, nodes, limit int) historyWork {
	w := historyWork{now: s.cfg.Now, deadline: s.cfg.Now().Add(maxHistoryTime), nodes: nodes,
		bytes: min(maxHistoryBytes, limit/2), examined: maxSamples}
	if kind == readEvents {
		w.examined = maxExamined
	}
	return w
}

// share returns what the next node may use.
func (w *historyWork) share() historyWork {
	s := *w
	s.bytes, s.examined = w.bytes/w.nodes, w.examined/w.nodes
	return s
}

// use takes from what is left what a node has used.
func (w *historyWork) use(e *historyEntries) {
	w.nodes--
	w.bytes -= len(e.body)
	w.examined -= e.examined
	w.begun = true
}

// historyEntries collects the entries of one node: the elements of the array in HistoryData or
// HistoryEvent.
type historyEntries struct {
	work     historyWork
	part     rawvalue.Range
	stamps   ua.TimestampsToReturn
	body     []byte
	variant  []byte // of an index range
	count    uint32
	examined int
}

// begin prepares for the next node.
func (e *historyEntries) begin(work historyWork, part rawvalue.Range, stamps ua.TimestampsToReturn) {
	*e = historyEntries{work: work, part: part, stamps: stamps, body: e.body[:0], variant: e.variant[:0]}
}

// spent reports whether the node has to wait for the next request, because those before it have
// used what one may use.
func (e *historyEntries) spent() bool {
	return e.work.begun && (e.work.bytes <= 0 || e.work.examined <= 0 || e.late())
}

func (e *historyEntries) late() bool { return e.work.now().After(e.work.deadline) }

// hasRoom reports whether another entry may follow.
func (e *historyEntries) hasRoom(most uint32) bool {
	return e.count < most && len(e.body) < e.work.bytes && (e.count%checkTimeEvery != 0 || !e.late())
}

// addValue appends a value as the client asked for it, and reports whether there is room for
// another one. An entry without a source timestamp has the time at which it is kept; its server
// timestamp is that time too, because no other one crossed the link.
func (e *historyEntries) addValue(at int64, dataValue []byte) bool {
	dv, err := rawvalue.SkimDataValue(dataValue, rawvalue.Limits{})
	if err != nil { // damaged on disk
		dv, _ = rawvalue.SkimDataValue(rawvalue.AppendStatus(nil, ua.StatusBadDataLost, rawvalue.Answer{}),
			rawvalue.Limits{})
	}
	answer := rawvalue.Answer{Timestamps: e.stamps, ServerTime: at}
	if !dv.Has(ua.DataValueSourceTimestamp) {
		mask := [1]byte{dv.Raw[0] | ua.DataValueSourceTimestamp}
		dv.Raw, dv.SourceTime = mask[:], at
	}
	e.count++
	if e.part.Whole() || dv.Value.IsNull() {
		e.body = dv.Append(e.body, answer)
		return e.hasRoom(maxHistoryValues)
	}
	if e.variant, err = e.part.Append(e.variant[:0], dv.Value); err == nil {
		e.body = dv.AppendWith(e.body, answer, e.variant)
	} else {
		bare := rawvalue.DataValue{Raw: []byte{ua.DataValueStatusCode | ua.DataValueSourceTimestamp},
			Status: ua.StatusBadIndexRangeNoData, SourceTime: dv.SourceTime}
		e.body = bare.AppendWith(e.body, answer, nil)
	}
	return e.hasRoom(maxHistoryValues)
}

// examine reports whether another event may be examined, and counts it.
func (e *historyEntries) examine() bool {
	if e.examined > 0 && (e.examined >= e.work.examined || !e.hasRoom(maxHistoryEvents) ||
		e.examined%checkTimeEvery == 0 && e.late()) {
		return false
	}
	e.examined++
	return true
}

// addEvent appends a HistoryEventFieldList.
func (e *historyEntries) addEvent(f *event.Filter, ev *event.Event, v addrspace.View) {
	e.count++
	e.body = binary.LittleEndian.AppendUint32(e.body, uint32(f.Len()))
	e.body = f.AppendFields(e.body, ev, v)
}

// appendResult appends a HistoryReadResult with the entries and a continuation point, nil if
// there is none.
func (e *historyEntries) appendResult(b []byte, kind historyKind, point []byte) []byte {
	code, object, rest := ua.StatusOK, uint32(id.HistoryData_Encoding_DefaultBinary), []byte(nil)
	switch kind {
	case readEvents:
		object = id.HistoryEvent_Encoding_DefaultBinary
	case readModified:
		object, rest = id.HistoryModifiedData_Encoding_DefaultBinary, []byte{0, 0, 0, 0} // no ModificationInfos
	}
	if e.count == 0 && point == nil {
		code = ua.StatusGoodNoData
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(code))
	if point == nil {
		b = append(b, 0xff, 0xff, 0xff, 0xff)
	} else {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(point))), point...)
	}
	b = append(uabinary.AppendTypeID(b, object), 1) // a binary body
	b = binary.LittleEndian.AppendUint32(b, uint32(4+len(e.body)+len(rest)))
	b = binary.LittleEndian.AppendUint32(b, e.count)
	return append(append(b, e.body...), rest...)
}
