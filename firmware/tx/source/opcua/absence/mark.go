package absence

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"
)

// marks are the times up to which a run has passed on everything; the zero value is no
// earlier run.
type marks struct {
	all   int64
	early map[uint32]int64
}

func (m marks) of(handle uint32) int64 {
	if at, ok := m.early[handle]; ok {
		return at
	}
	return m.all
}

func (m marks) earliest() int64 {
	first := m.all
	for _, at := range m.early {
		first = min(first, at)
	}
	return first
}

const (
	version  = 1
	header   = 1 + 8 + 4 + 8 + 8
	perEarly = 4 + 8

	// MaxRecord is the length of the longest record, in bytes.
	MaxRecord = header + maxEarly*perEarly
)

var errRecord = errors.New("absence: record is damaged")

// Probe returns what a record is to call when it has left, with which everything before it
// has left too; nil while another is on its way. The record is put next: if it is refused,
// NoProbe is called.
func (b *Book) Probe(now time.Time) func(error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.probing {
		return nil
	}
	b.probing, b.probe = true, b.ours(now)
	return b.hasLeft
}

// NoProbe cancels the last Probe.
func (b *Book) NoProbe() { b.probed(errRecord) }

func (b *Book) probed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.left = b.probe
	}
	b.probing = false
}

// Append appends the record of what is known to have left, for nodes whose history can be
// read: others need no mark. It returns nil while nothing is known.
func (b *Book) Append(scope uint64, generation uint32, readable map[uint32]bool) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left == 0 {
		return nil
	}
	all, events := b.marks(readable), b.events.mark(b.left)
	if len(all) == 0 && events == 0 {
		return nil
	}
	r := binary.BigEndian.AppendUint64([]byte{version}, scope)
	r = binary.BigEndian.AppendUint32(r, generation)
	r = binary.BigEndian.AppendUint64(r, uint64(events))
	if len(all) == 0 {
		return binary.BigEndian.AppendUint64(r, 0)
	}
	// The mark of most nodes; those before it have their own, as far as there is room.
	middle := all[len(all)/2].at - int64(alike/tick)
	own, _ := slices.BinarySearchFunc(all, middle, func(m mark, at int64) int { return cmp.Compare(m.at, at) })
	own = min(own, maxEarly)
	b.newest = all[0].at
	r = binary.BigEndian.AppendUint64(r, uint64(all[own].at))
	for _, m := range all[:own] {
		r = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(r, m.handle), uint64(m.at))
	}
	return r
}

// mark is the time up to which a node's values have left.
type mark struct {
	handle uint32
	at     int64
}

// marks returns those of nodes of which something is known, the earliest first.
func (b *Book) marks(readable map[uint32]bool) (all []mark) {
	pending := map[uint32]int64{}
	for _, list := range [][]*Gap{b.gaps, b.reading} {
		for _, g := range list {
			if at, ok := pending[g.Handle]; !ok || g.From < at {
				pending[g.Handle] = g.From
			}
		}
	}
	slack := int64((jitter + b.interval) / tick)
	newest := mark{}
	for h := range b.nodes {
		n := &b.nodes[h]
		if !readable[uint32(h)] {
			continue
		}
		at, waits := pending[uint32(h)]
		if !n.present {
			if from := b.since(uint32(h)); from > 0 && (!waits || from < at) {
				at, waits = from, true
			}
		}
		switch {
		case waits:
		case n.timed:
			at = b.left + n.delay - slack
		default:
			if n.last > newest.at {
				newest = mark{uint32(h), n.last}
			}
			continue
		}
		all = append(all, mark{uint32(h), at})
	}
	if len(all) == 0 && newest.at > 0 { // nothing has changed in this run
		all = append(all, newest)
	}
	slices.SortFunc(all, func(a, b mark) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.handle, b.handle))
	})
	return all
}

// Restore begins with the record of the run before. One of another scope is ignored: it is
// not known what that run passed on of these nodes. Handles of another generation are of
// other nodes, so all begin at the earliest mark.
func (b *Book) Restore(record []byte, scope uint64, generation uint32) error {
	if len(record) < header || (len(record)-header)%perEarly != 0 || len(record) > MaxRecord {
		return errRecord
	}
	if record[0] != version || binary.BigEndian.Uint64(record[1:]) != scope {
		return nil
	}
	events := int64(binary.BigEndian.Uint64(record[13:]))
	m := marks{all: int64(binary.BigEndian.Uint64(record[21:])), early: map[uint32]int64{}}
	for r := record[header:]; len(r) > 0; r = r[perEarly:] {
		m.early[binary.BigEndian.Uint32(r)] = int64(binary.BigEndian.Uint64(r[4:]))
	}
	first := m.earliest()
	if first < 0 || first == 0 && len(m.early) > 0 || m.all == math.MaxInt64 || events < 0 {
		return errRecord
	}
	if binary.BigEndian.Uint32(record[9:]) != generation {
		m = marks{all: first}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.restored, b.newest = m, first
	b.events.from = events
	return nil
}
