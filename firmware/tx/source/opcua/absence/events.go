package absence

import "time"

// Our own choices. The end of a session may be noticed eventSlack later than the last
// notification of an event came; what crossed of that time is read again, and is known by its
// EventId. An interval ends overlap after all events come, and is read settled later, when the
// notifications of its last events have come.
const (
	eventSlack = time.Minute
	overlap    = 2 * time.Second
	settled    = 10 * time.Second
)

// eventBook is what is known of the events of all notifiers, in the time of the server's
// clock.
type eventBook struct {
	offset  int64 // that time less ours, in ticks
	timed   bool
	from    int64 // events since then may have been missed, 0: none
	gap     *Gap  // waits
	reading *Gap
}

// Clock records the time of the server's clock, with which it stamps events.
func (b *Book) Clock(at int64, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events.offset, b.events.timed = at-b.ours(now), true
}

// MissEvents records that events may have been missed until now, or will be. It reports
// whether they wait to be read: not before the server's clock is known.
func (b *Book) MissEvents(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := &b.events; e.timed && e.from == 0 {
		e.from = b.ours(now) + e.offset - int64(eventSlack/tick)
	}
	return b.events.timed
}

// EventsCome records that all events come from now on: what was missed waits to be read.
func (b *Book) EventsCome(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := &b.events
	if !e.timed || e.from == 0 {
		return
	}
	to := b.ours(now) + e.offset + int64(overlap/tick)
	from := e.from
	e.from = 0
	if most := int64(Longest / tick); to-from > most {
		from = to - most
		b.givenUp++
	}
	switch {
	case from >= to:
	case e.gap != nil:
		e.gap.To = max(e.gap.To, to)
	default:
		e.gap = &Gap{From: from, To: to, Next: from}
	}
}

// NextEvents returns the interval of events that is to be read, nil if there is none now. It is
// to be returned by DoneEvents.
func (b *Book) NextEvents(now time.Time) *Gap {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := &b.events
	if e.reading != nil || e.gap == nil || b.ours(now)+e.offset < e.gap.To+int64((settled+b.interval)/tick) {
		return nil
	}
	e.reading, e.gap = e.gap, nil
	return e.reading
}

// DoneEvents returns an interval: what is left of it waits again, unless it is over.
func (b *Book) DoneEvents(over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := &b.events
	g := e.reading
	e.reading = nil
	if g == nil || over || g.Next >= g.To {
		return
	}
	g.From = max(g.From, g.Next-1)
	if e.gap != nil {
		g.To = max(g.To, e.gap.To)
	}
	e.gap = g
}

// mark returns the time up to which all events have left, 0 if that is not known.
func (e *eventBook) mark(left int64) (at int64) {
	if e.timed && left > 0 {
		at = left + e.offset - int64(eventSlack/tick)
	}
	for _, g := range []*Gap{e.gap, e.reading} {
		if g != nil && (at == 0 || g.From < at) {
			at = g.From
		}
	}
	if e.from > 0 && (at == 0 || e.from < at) {
		at = e.from
	}
	return at
}
