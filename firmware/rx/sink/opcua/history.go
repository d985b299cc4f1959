package opcua

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
	"heliograph/firmware/rx/sink"
)

// Store keeps what a mirror was given. AddValue and AddEvent do not block, and keep no reference
// to what they are given. Progress returns how many of these calls there were, and how many of them,
// the first ones, a power cut does not cost. Values and Events yield what lies between two times, both included: the
// oldest first, or the newest first if from is after to. Safe for concurrent use.
type Store interface {
	AddValue(node []byte, at time.Time, value []byte) error
	AddEvent(at time.Time, payload []byte) error
	HasRoom() bool // for late records
	Progress() (given, durable uint64)
	Values(node []byte, from, to time.Time, f func(at time.Time, value []byte) bool) error
	Events(from, to time.Time, f func(at time.Time, payload []byte) bool) error
}

// History is what HistoryRead at a mirror serves: values and events as the source gave them, and
// an entry Bad_DataLost where an outage begins that is not healed.
//
// A node is kept under a name that outlives generations, a value as its DataValue, an event
// as its record. What it takes to read an event later is kept under names of its own, at least an
// hour longer than the event:
//
//	node      kind(1) namespace(8) number(4) or text        namespace: start of SHA-256 of its URI
//	table     0xfe 'T' id(8)       its encoding             kind: of package rawvalue
//	space     0xfe 'G' generation(4)  payload of the space key
//
// Adding is for one goroutine, reading for any number.
type History struct {
	store   Store
	outages func() []sink.Outage
	now     func() time.Time

	space      atomic.Pointer[historySpace]
	unreadable atomic.Uint64
	noted      map[string]time.Time // until when something is kept that events need; for the adding goroutine

	mu       sync.Mutex
	tables   tables
	merged   []sink.Outage
	mergedAt time.Time
}

// historySpace is the generation in force.
type historySpace struct {
	header payload.SpaceHeader
	names  [][]byte // of its namespaces
	mu     sync.Mutex
	fits   map[uint32]bool // other generations: whether their NodeIds mean the same nodes
}

// Our own choices.
const (
	noteEvery     = time.Hour
	maxNoted      = 256 // names of what events need
	outagesMaxAge = time.Second

	notesPrefix = 0xfe // not a rawvalue.Kind
)

// NewHistory returns the history in a store. outages returns when records of the channel are
// missing.
func NewHistory(s Store, outages func() []sink.Outage) *History {
	return &History{store: s, outages: outages, now: time.Now, noted: map[string]time.Time{},
		tables: newTables()}
}

// setSpace sets the generation in force.
func (h *History) setSpace(p payload.SpaceHeader) {
	s := &historySpace{header: p, fits: map[uint32]bool{p.Generation: true}}
	for _, uri := range p.Namespaces {
		sum := sha256.Sum256([]byte(uri))
		s.names = append(s.names, sum[:8])
	}
	h.space.Store(s)
}

// name returns the name of a node, nil in a namespace that is not known.
func (h *History) name(n rawvalue.NodeID) []byte {
	s := h.space.Load()
	if s == nil || int(n.Namespace) >= len(s.names) {
		return nil
	}
	b := append([]byte{byte(n.Kind)}, s.names[n.Namespace]...)
	if n.Kind == rawvalue.Numeric {
		return binary.BigEndian.AppendUint32(b, n.Number)
	}
	return append(b, n.Text...)
}

var errUndated = errors.New("a late value or event without a time")

// addValue keeps a DataValue. One without a source timestamp is kept at the time it came, to this machine
// or, a late one, to the transmitter; an older transmitter does not say when.
func (h *History) addValue(name, dataValue []byte, came time.Time) error {
	if name == nil {
		return nil
	}
	ticks := int64(0)
	if dv, err := rawvalue.SkimDataValue(dataValue, rawvalue.Limits{}); err == nil {
		ticks = dv.SourceTime
	}
	at, err := timeOf(ticks, came)
	if err != nil {
		return err
	}
	return h.store.AddValue(name, at, dataValue)
}

// timeOf returns the source's time, or when it has none that at which its value or event came.
func timeOf(ticks int64, came time.Time) (at time.Time, err error) {
	switch {
	case ticks > 0:
		return uabinary.Time(ticks), nil
	case came.IsZero():
		return came, errUndated
	}
	return came, nil
}

// addEvent keeps the record of an event, as addValue a value.
func (h *History) addEvent(record []byte, ev *event.Event, came time.Time) error {
	at, err := timeOf(ev.Time, came)
	if err != nil {
		return err
	}
	if s := h.space.Load(); s != nil {
		h.note(spaceName(s.header.Generation), at, func() []byte { return s.header.Append(nil) })
	}
	h.note(tableName(ev.Table.ID()), at, func() []byte { return ev.Table.Append(nil) })
	return h.store.AddEvent(at, record)
}

func spaceName(generation uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{notesPrefix, 'G'}, generation)
}

func tableName(id uint64) []byte { return binary.BigEndian.AppendUint64([]byte{notesPrefix, 'T'}, id) }

// note keeps what an event of a time needs: later than the event, so that it is not
// removed before; of an event of the future, later than now.
func (h *History) note(name []byte, at time.Time, content func() []byte) {
	if now := h.now(); at.After(now) {
		at = now
	}
	if until, ok := h.noted[string(name)]; ok && !until.Before(at) {
		return
	}
	until := at.Truncate(noteEvery).Add(2 * noteEvery)
	if len(h.noted) > maxNoted {
		clear(h.noted)
	}
	h.noted[string(name)] = until
	_ = h.store.AddValue(name, until, content()) // the store counts it
}

// The times of all that is kept.
var (
	beginning = time.Unix(0, -1<<63)
	endOfTime = time.Unix(0, 1<<63-1)
)

// noteOf returns what was kept last under a name, nil if there is nothing.
func (h *History) noteOf(name []byte) (content []byte) {
	_ = h.store.Values(name, endOfTime, beginning, func(_ time.Time, b []byte) bool {
		content = bytes.Clone(b)
		return false
	})
	return content
}

// Values implements server.Historian.
func (h *History) Values(node rawvalue.NodeID, from, to time.Time, f func(time.Time, []byte) bool) error {
	name := h.name(node)
	if name == nil {
		return nil
	}
	lost := h.outagesBetween(from, to)
	more := true
	before := func(at time.Time) { // yields the outages that begin before a value
		for more && len(lost) > 0 && comesFirst(lost[0].From, at, from, to) {
			more = f(lost[0].From, dataLost(lost[0].From))
			lost = lost[1:]
		}
	}
	err := h.store.Values(name, from, to, func(at time.Time, value []byte) bool {
		before(at)
		more = more && f(at, value)
		return more
	})
	for err == nil && more && len(lost) > 0 {
		more = f(lost[0].From, dataLost(lost[0].From))
		lost = lost[1:]
	}
	return err
}

// comesFirst reports whether an outage comes before a value. It begins behind the last value
// that arrived.
func comesFirst(outage, value, from, to time.Time) bool {
	if from.After(to) {
		return !outage.Before(value)
	}
	return outage.Before(value)
}

// dataLost returns the DataValue at the beginning of an outage (OPC 10000-11 §4.3).
func dataLost(at time.Time) []byte {
	mask := []byte{ua.DataValueStatusCode | ua.DataValueSourceTimestamp}
	return rawvalue.DataValue{Raw: mask, Status: ua.StatusBadDataLost, SourceTime: uabinary.Ticks(at)}.
		Append(nil, rawvalue.Answer{})
}

// outagesBetween returns the outages that begin between two times, in their order.
func (h *History) outagesBetween(from, to time.Time) (list []sink.Outage) {
	low, high := from, to
	if from.After(to) {
		low, high = to, from
	}
	for _, o := range h.mergedOutages() {
		if !o.From.Before(low) && !o.From.After(high) {
			list = append(list, o)
		}
	}
	if from.After(to) {
		slices.Reverse(list)
	}
	return list
}

// mergedOutages returns the outages of the channel, those that meet as one.
func (h *History) mergedOutages() []sink.Outage {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := h.now(); now.Sub(h.mergedAt) >= outagesMaxAge || now.Before(h.mergedAt) {
		h.merged, h.mergedAt = merge(h.outages()), now
	}
	return h.merged
}

func merge(list []sink.Outage) (out []sink.Outage) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b sink.Outage) int { return a.From.Compare(b.From) })
	for _, o := range list {
		o.From = uabinary.Time(uabinary.Ticks(o.From))
		if n := len(out); n > 0 && !o.From.After(out[n-1].To) {
			if o.To.After(out[n-1].To) {
				out[n-1].To = o.To
			}
			continue
		}
		out = append(out, o)
	}
	return out
}
