package send

// queue is what waits in one channel: a list in the order of arrival, in which
// a state value is replaced where it stands when a newer one comes.
//
// An event that has a Left is held: its source keeps it until it has left, waits
// for room before it puts another, and so it is never dropped. The other events
// are loose: when there are too many, the oldest is dropped, or becomes a plain
// state value if it is its key's newest record; an urgent one only when no other is
// left. Beside held events there is room for few loose ones that are not urgent, which
// therefore delay them by little.
type queue struct {
	urgent, normal list
	alarms, events ring // the loose events of either list, oldest first
	heldEvents     int
	heldBytes      int
	bytes          int
	held           int // records that have a Left
	free           *item
}

type item struct {
	Record
	key        *key // of Record.Key
	mark       bool // no record: what waited when the initial snapshot was complete is before it
	prev, next *item
}

// loose reports whether the item is an event that may be dropped.
func (it *item) loose() bool { return it.log() && it.Left == nil }

func (it *item) held() bool { return it.log() && it.Left != nil }

// state reports whether the item is a new value and nothing else.
func (it *item) state() bool { return it.Key != nil && !it.log() && !it.Delete }

type list struct{ head, tail *item }

func (l *list) push(it *item) {
	it.prev, it.next = l.tail, nil
	if l.tail != nil {
		l.tail.next = it
	} else {
		l.head = it
	}
	l.tail = it
}

func (l *list) remove(it *item) {
	if it.prev != nil {
		it.prev.next = it.next
	} else {
		l.head = it.next
	}
	if it.next != nil {
		it.next.prev = it.prev
	} else {
		l.tail = it.prev
	}
}

// add adds a record of a key, which is nil for a record without one. conflated
// reports that it replaced a value that was not sent.
func (q *queue) add(r *Record, k *key) (conflated bool) {
	if k != nil {
		if old := k.newest; old != nil && !old.Event && !r.Event {
			r.Left = both(old.Left, r.Left)
			if !r.Urgent || old.Urgent {
				q.bytes += r.size() - old.size()
				q.held += holds(r) - holds(&old.Record)
				urgent := old.Urgent
				old.Record, old.Urgent = *r, urgent
				return true
			}
			q.remove(old) // the urgent record overtakes it, so it must not follow
			conflated = true
		}
	}
	it := q.newItem(r)
	if it.key = k; k != nil {
		k.newest = it // what comes now goes behind what waits
		k.waiting++
	}
	q.bytes += r.size()
	if it.held() {
		q.heldEvents++
		q.heldBytes += r.size()
	}
	l, loose := q.of(it)
	l.push(it)
	if it.loose() {
		loose.push(it)
	}
	return conflated
}

// of returns the list that an item waits in, and the loose events of that list.
func (q *queue) of(it *item) (*list, *ring) {
	if it.Urgent {
		return &q.urgent, &q.alarms
	}
	return &q.normal, &q.events
}

// droppable returns how many loose events wait, and their bytes.
func (q *queue) droppable() (n, bytes int) {
	return q.alarms.n + q.events.n, q.alarms.bytes + q.events.bytes
}

// full reports whether a loose event has to make room. beside is how many bytes of
// them, urgent ones apart, may wait beside held events.
func (q *queue) full(beside int) bool {
	n, bytes := q.droppable()
	delays := q.heldEvents > 0 && q.events.bytes > beside && q.events.n > 1
	return n > MaxQueuedEvents || (bytes > MaxQueuedBytes && n > 1) || delays
}

// room reports whether there is room for a held event beside less than most
// bytes of them.
func (q *queue) room(most int) bool { return q.heldEvents < MaxHeldEvents && q.heldBytes < most }

// both calls both: what was skipped has left with what replaced it.
func both(a, b func(error)) func(error) {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(err error) { a(err); b(err) }
}

// dropOldest removes the oldest loose event, urgent ones last, or makes it a plain state
// value if it is its key's newest record.
func (q *queue) dropOldest() (r Record, k *key, removed bool) {
	oldest := &q.events
	if oldest.n == 0 {
		oldest = &q.alarms
	}
	it := oldest.pop()
	if it.key != nil && it.key.newest == it && !it.deletesNothing() {
		it.Event = false
		return Record{}, nil, false
	}
	l, _ := q.of(it)
	l.remove(it)
	r, k, _ = q.release(it)
	return r, k, true
}

// deletesNothing reports whether the item, which has a key, deletes one of which this epoch
// has sent nothing that is not deleted, and nothing else waits. As state it would wait without
// a bound, since each may have another key. A receiver that has the key from an earlier epoch
// removes it as the first round of pages closes that does not list it.
func (it *item) deletesNothing() bool { return it.Delete && it.key.sent == nil && it.key.waiting == 1 }

// remove removes a waiting state value.
func (q *queue) remove(it *item) {
	l, _ := q.of(it)
	l.remove(it)
	q.release(it)
}

// addMark adds a mark behind all that waits.
func (q *queue) addMark() {
	it := q.newItem(&Record{})
	it.mark = true
	q.bytes += it.size()
	q.normal.push(it)
}

// removeMark removes a mark from the front and reports whether there was one.
func (q *queue) removeMark() bool {
	it := q.normal.head
	if it == nil || !it.mark {
		return false
	}
	q.normal.remove(it)
	q.release(it)
	return true
}

func (q *queue) empty() bool { return q.urgent.head == nil && q.normal.head == nil }

// pop removes the next record. newest reports that no newer one of its key waited.
func (q *queue) pop() (r Record, k *key, newest bool) {
	l := &q.urgent
	if l.head == nil {
		l = &q.normal
	}
	it := l.head
	l.remove(it)
	if it.loose() {
		_, loose := q.of(it)
		loose.pop()
	}
	return q.release(it)
}

func (q *queue) release(it *item) (r Record, k *key, newest bool) {
	r, k = it.Record, it.key
	q.held -= holds(&r)
	if k != nil {
		k.waiting--
		if newest = k.newest == it; newest {
			k.newest = nil
		}
	}
	q.bytes -= r.size()
	if it.held() {
		q.heldEvents--
		q.heldBytes -= r.size()
	}
	*it = item{next: q.free}
	q.free = it
	return r, k, newest
}

// holds returns 1 for a record that has a Left.
func holds(r *Record) int {
	if r.Left == nil {
		return 0
	}
	return 1
}

func (q *queue) newItem(r *Record) *item {
	q.held += holds(r)
	it := q.free
	if it == nil {
		return &item{Record: *r}
	}
	q.free = it.next
	it.Record, it.next = *r, nil // the rest is zero
	return it
}

// ring is a queue of items that grows as needed. Their sizes must not change.
type ring struct {
	buf     []*item
	head, n int
	bytes   int
}

func (r *ring) push(it *item) {
	if r.n == len(r.buf) {
		grown := make([]*item, max(64, 2*len(r.buf)))
		for i := range r.n {
			grown[i] = r.buf[(r.head+i)%len(r.buf)]
		}
		r.buf, r.head = grown, 0
	}
	r.buf[(r.head+r.n)%len(r.buf)] = it
	r.n++
	r.bytes += it.size()
}

func (r *ring) pop() *item {
	it := r.buf[r.head]
	r.buf[r.head] = nil
	r.head = (r.head + 1) % len(r.buf)
	r.n--
	r.bytes -= it.size()
	return it
}
