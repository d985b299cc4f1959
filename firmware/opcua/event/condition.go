package event

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"iter"
	"slices"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

type branch struct{ condition, branch rawvalue.NodeID }

type retained struct {
	ev   *Event
	size int
	age  uint64
}

// SameState reports whether two events carry the same state of one branch of a condition.
// ConditionId and BranchId say which branch it is. The EventId alone does not identify its
// states apart: a source may leave it empty, keep it constant or use it again. So each field
// that both tables name is compared, but for ReceiveTime, which a source may change when
// it replays a condition (OPC 10000-9 §5.5.7).
func (ev *Event) SameState(other *Event) bool {
	if ev.Condition != other.Condition || ev.Branch != other.Branch {
		return false
	}
	receiveTime := receiveTime().key()
	for key := range ev.Table.index {
		if _, both := other.Table.index[key]; both && key != receiveTime &&
			!bytes.Equal(ev.rawField(key), other.rawField(key)) {
			return false
		}
	}
	return true
}

// StateHash returns a hash of what SameState compares, for events of one table.
func (ev *Event) StateHash(seed maphash.Seed) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	var number [8]byte
	for i, raw := range ev.Values {
		if len(raw) > 0 && raw[0] != 0 && !slices.Contains(ev.Table.receiveTime, i) {
			binary.LittleEndian.PutUint32(number[:], uint32(i))
			binary.LittleEndian.PutUint32(number[4:], uint32(len(raw)))
			_, _ = h.Write(number[:]) // never fails
			_, _ = h.Write(raw)
		}
	}
	return h.Sum64()
}

// Ended returns an event that ends a retained condition whose last event is not known: Retain
// is false, EventId and Time are the stamp's, the Quality of the other fields is
// Uncertain_LastUsableValue (OPC 10000-9 §5.5.2).
func (ev *Event) Ended(s Stamp) *Event {
	le := binary.LittleEndian
	s.Time = max(s.Time, ev.Time)
	now := le.AppendUint64([]byte{byte(ua.TypeIDDateTime)}, uint64(s.Time))
	ended := *ev
	ended.ID, ended.Time, ended.Retain = s.ID[:], s.Time, false
	ended.Values = slices.Clone(ev.Values)
	for name, raw := range map[string][]byte{
		"EventId": appendString([]byte{byte(ua.TypeIDByteString)}, s.ID[:]),
		"Time":    now, "ReceiveTime": now,
		"Retain":  {byte(ua.TypeIDBoolean), 0},
		"Quality": le.AppendUint32([]byte{byte(ua.TypeIDStatusCode)}, uint32(ua.StatusUncertainLastUsableValue)),
	} {
		for _, i := range ev.Table.index[standardField(name).key()] {
			if old := ended.Values[i]; len(old) > 0 && old[0] != 0 {
				ended.Values[i] = raw
			}
		}
	}
	return &ended
}

func receiveTime() Operand { return standardField("ReceiveTime") }

// Conditions holds the newest event of each retained branch of a condition. When it is full
// the oldest is discarded and counted.
type Conditions struct {
	held               map[branch]retained
	maxCount, maxBytes int // limits
	size               int
	age, discarded     uint64
}

// NewConditions bounds the number of events, and their bytes as encoded.
func NewConditions(count, bytes int) *Conditions {
	return &Conditions{held: map[branch]retained{}, maxCount: count, maxBytes: bytes}
}

// Put records the state of the event's condition, if it has one.
func (c *Conditions) Put(ev *Event) {
	if ev.Condition == (rawvalue.NodeID{}) {
		return
	}
	key := branch{ev.Condition, ev.Branch}
	c.remove(key)
	if !ev.Retain {
		return
	}
	c.age++
	size := len(ev.Append(nil))
	c.held[key] = retained{ev, size, c.age}
	for c.size += size; len(c.held) > c.maxCount || c.size > c.maxBytes; c.discarded++ {
		c.remove(c.oldest())
	}
}

func (c *Conditions) remove(key branch) {
	c.size -= c.held[key].size
	delete(c.held, key)
}

func (c *Conditions) oldest() (key branch) {
	age := c.age + 1
	for k, r := range c.held {
		if r.age < age {
			key, age = k, r.age
		}
	}
	return key
}

// Clear removes all events.
func (c *Conditions) Clear() {
	clear(c.held)
	c.size = 0
}

// Len returns how many events are retained.
func (c *Conditions) Len() int { return len(c.held) }

// Holds reports whether an event is retained and has not been replaced.
func (c *Conditions) Holds(ev *Event) bool { return c.held[branch{ev.Condition, ev.Branch}].ev == ev }

// Discarded returns how many events were discarded because it was full.
func (c *Conditions) Discarded() uint64 { return c.discarded }

// All yields the retained events, the oldest first. Put may be called meanwhile.
func (c *Conditions) All() iter.Seq[*Event] {
	all := make([]retained, 0, len(c.held))
	for _, r := range c.held {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b retained) int { return int(int64(a.age - b.age)) })
	return func(yield func(*Event) bool) {
		for _, r := range all {
			if !yield(r.ev) {
				return
			}
		}
	}
}

// Refresh yields what a ConditionRefresh sends: a RefreshStartEvent, the
// retained events, a RefreshEndEvent.
func (c *Conditions) Refresh(start, end Stamp) iter.Seq[*Event] {
	return func(yield func(*Event) bool) {
		if !yield(RefreshStart(start)) {
			return
		}
		for ev := range c.All() {
			if !yield(ev) {
				return
			}
		}
		yield(RefreshEnd(end))
	}
}
