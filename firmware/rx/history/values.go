package history

import (
	"container/heap"
	"errors"
	"io/fs"
	"slices"
	"time"
)

// Our own bounds of changes at one time that are put into their order together. Beyond
// them the order of arrival, and that none comes twice, hold within a segment only.
const (
	maxGroup      = 4096
	maxGroupBytes = 4 << 20
)

// Values calls f with the values of a node from one time to the other, both included, until f
// returns false: oldest first, or newest first when from is after to. Values at
// the same time are in the order of their arrival, or in the opposite one. f may
// call the Store; value is valid during the call.
//
// What is in a damaged part of a file is left out and counted in Stats.
func (s *Store) Values(node []byte, from, to time.Time, f func(at time.Time, value []byte) bool) error {
	return s.read(string(ofValues)+string(node), from, to, f)
}

// Events calls f with the events, as Values does with the values of a node.
func (s *Store) Events(from, to time.Time, f func(at time.Time, payload []byte) bool) error {
	return s.read(string(ofEvents), from, to, f)
}

func (s *Store) read(key string, from, to time.Time, f func(at time.Time, value []byte) bool) error {
	m := merge{descending: from.After(to)}
	within := span{ticksOf(from), ticksOf(to)}
	if m.descending {
		within = span{within.last, within.first}
	}
	m.cursors = s.cursors(key, within, m.descending)
	heap.Init(&m)
	group, size := make([]change, 0, 8), 0
	emit := func() bool {
		defer func() { group, size = group[:0], 0 }()
		for _, c := range m.inOrder(group) {
			if !f(timeOf(c.ticks), c.value) {
				return false
			}
		}
		return true
	}
	for {
		c, ok, err := m.next()
		if err != nil {
			return err
		}
		if len(group) > 0 && (!ok || c.ticks != group[0].ticks || len(group) == maxGroup || size > maxGroupBytes) {
			if !emit() {
				return nil
			}
		}
		if !ok {
			return nil
		}
		group, size = append(group, c), size+len(c.value)
	}
}

// cursors returns one for each place that may hold changes of a stream.
func (s *Store) cursors(key string, within span, descending bool) (all []*cursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range s.segments {
		if seg.span.meets(within) {
			all = append(all, &cursor{store: s, segment: seg, bounds: seg.span})
		}
	}
	for _, g := range slices.Concat(s.sealing, []*generation{s.open}) {
		st := g.streams[key]
		if st == nil {
			continue
		}
		r := stored{count: st.coder.count, span: st.span, entries: slices.Clone(st.entries)}
		if r.span.meets(within) {
			all = append(all, &cursor{runs: []stored{r}, bounds: r.span, unsorted: true})
		}
	}
	for i, c := range all {
		c.rank, c.key, c.within, c.descending = i, key, within, descending
	}
	return all
}

// merge is a heap of cursors by time.
type merge struct {
	cursors    []*cursor
	descending bool
}

// next returns the next change in the order of time, and false after the last one.
func (m *merge) next() (c change, ok bool, err error) {
	for len(m.cursors) > 0 {
		top := m.cursors[0]
		if len(top.changes) > 0 {
			c, top.changes = top.changes[0], top.changes[1:]
			if len(top.changes) > 0 {
				top.bounds = span{top.changes[0].ticks, top.changes[0].ticks}
			}
			heap.Fix(m, 0)
			return c, true, nil
		}
		more, err := top.advance()
		if err != nil {
			return change{}, false, err
		}
		if more {
			heap.Fix(m, 0)
		} else {
			heap.Pop(m)
		}
	}
	return change{}, false, nil
}

// inOrder returns changes at one time without the repeated ones.
func (m *merge) inOrder(group []change) []change {
	if len(group) < 2 {
		return group
	}
	if !m.descending {
		return dropRepeated(group)
	}
	slices.Reverse(group)
	kept := dropRepeated(group)
	slices.Reverse(kept)
	return kept
}

// Len implements heap.Interface.
func (m *merge) Len() int { return len(m.cursors) }

// Less implements heap.Interface: of two runs at the same time one that has not been decoded comes first.
func (m *merge) Less(i, j int) bool {
	a, b := m.cursors[i], m.cursors[j]
	if s, t := a.bound(), b.bound(); s != t {
		return s < t != m.descending
	}
	if s, t := len(a.changes) > 0, len(b.changes) > 0; s != t {
		return t
	}
	return a.rank < b.rank != m.descending
}

// Swap implements heap.Interface.
func (m *merge) Swap(i, j int) { m.cursors[i], m.cursors[j] = m.cursors[j], m.cursors[i] }

// Push implements heap.Interface.
func (m *merge) Push(c any) { m.cursors = append(m.cursors, c.(*cursor)) }

// Pop implements heap.Interface.
func (m *merge) Pop() any {
	last := len(m.cursors) - 1
	c := m.cursors[last]
	m.cursors = m.cursors[:last]
	return c
}

// cursor goes over the changes of a stream in one place. It reads when its turn comes.
type cursor struct {
	rank       int // by arrival
	key        string
	within     span
	descending bool

	store    *Store
	segment  *segment // nil: in memory
	opened   bool     // chunks is known
	chunks   []chunk  // in the order of reading, as are runs and changes
	runs     []stored
	unsorted bool
	changes  []change
	bounds   span // of what is to come
}

// bound is the time that nothing to come is before, or after when descending.
func (c *cursor) bound() int64 {
	if c.descending {
		return c.bounds.last
	}
	return c.bounds.first
}

// advance comes nearer to the next change, and returns false after the last one.
func (c *cursor) advance() (more bool, err error) {
	switch {
	case len(c.runs) > 0:
		c.load()
		return true, nil
	case c.segment == nil || c.opened && len(c.chunks) == 0:
		return false, nil
	}
	if err := c.fetch(); err != nil {
		if !errors.Is(err, fs.ErrNotExist) { // retention has removed it
			c.store.damagedChunk(c.segment, err)
		}
		return len(c.chunks) > 0, nil
	}
	return true, nil
}

// load decodes the next run.
func (c *cursor) load() {
	r := c.runs[0]
	c.runs = c.runs[1:]
	c.changes = decode(r.entries, r.count, c.within)
	if c.unsorted {
		slices.SortStableFunc(c.changes, byTime)
	}
	if c.descending {
		slices.Reverse(c.changes)
	}
	switch {
	case len(c.changes) > 0:
		c.bounds = span{c.changes[0].ticks, c.changes[0].ticks}
	case len(c.runs) > 0:
		c.bounds = c.runs[0].span
	}
}

// fetch reads the index, or the next chunk.
func (c *cursor) fetch() error {
	f, _, err := openSegment(segmentPath(c.store.dir, c.segment.number))
	if err != nil {
		c.opened, c.chunks = true, nil
		return err
	}
	defer f.Close()
	if !c.opened {
		c.opened = true
		if c.chunks, err = c.segment.chunks(f, c.key, c.within); err != nil {
			return err
		}
		if c.descending {
			slices.Reverse(c.chunks)
		}
	}
	if len(c.chunks) == 0 {
		return nil
	}
	at := c.chunks[0]
	c.chunks = c.chunks[1:]
	b, err := at.read(f, c.store.packer)
	if err != nil {
		return err
	}
	found, err := runs(b, c.key, c.within)
	if err != nil {
		return err
	}
	if c.descending {
		slices.Reverse(found)
	}
	for _, r := range found {
		r.entries = slices.Clone(r.entries) // so that the chunk goes
		c.runs = append(c.runs, r)
	}
	switch {
	case len(c.runs) > 0:
		c.bounds = c.runs[0].span
	case len(c.chunks) > 0:
		c.bounds = c.chunks[0].span
	}
	return nil
}
