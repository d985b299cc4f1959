package send

// queue is what waits in one channel: a list in the order of arrival, in which
// a state value is replaced where it stands when a newer one comes. Urgent records leave
// before the others, and what waits of their keys with them: the receiver takes the record of a
// key with the highest number as its newest, so the records of one key keep their order.
//
// An event that has a Left is held: its source keeps it until it has left, waits
// for room before it puts another, and so it is never dropped. The other events
// are loose: when there are too many, the oldest is dropped, or becomes a plain
// state value if it is its key's newest record; an urgent one only when no other is
// left. Beside held events there is room for few loose ones that are not urgent, which
// therefore delay them by little.
type queue struct {
	urgent, normal list // of one key, what is urgent is older than what is normal
	heldEvents     int
	heldBytes      int
	bytes          int
	held           int // records that have a Left
	free           *item
}

type item struct {
	Record
	key          *key // of Record.Key
	mark         bool // no record: what waited when the initial snapshot was complete is before it
	prev, next   *item
	older, newer *item // of the same key
}

// loose reports whether the item is an event that may be dropped.
func (it *item) loose() bool { return it.log() && it.Left == nil }

func (it *item) held() bool { return it.log() && it.Left != nil }

// state reports whether the item is a new value and nothing else.
func (it *item) state() bool { return it.Key != nil && !it.log() && !it.Delete }

// list is items in the order in which they leave, and counts the loose ones.
type list struct {
	head, tail *item
	loose      *item // the oldest loose item is here or behind it; nil: none waits
	n, bytes   int   // of loose items
}

func (l *list) push(it *item) {
	it.prev, it.next = l.tail, nil
	if l.tail != nil {
		l.tail.next = it
	} else {
		l.head = it
	}
	l.tail = it
	if it.loose() {
		l.count(it, 1)
	}
	if l.loose == nil {
		l.loose = it
	}
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
	if it.loose() {
		l.count(it, -1)
	}
	if l.loose == it {
		l.loose = it.next
	}
}

// count adds n loose items of the size of one, or takes them away.
func (l *list) count(it *item, n int) { l.n, l.bytes = l.n+n, l.bytes+n*it.size() }

// oldestLoose returns the oldest loose item, or nil. It passes each item that is not loose
// once: none becomes so.
func (l *list) oldestLoose() *item {
	for l.loose != nil && !l.loose.loose() {
		l.loose = l.loose.next
	}
	return l.loose
}

// add adds a record of a key, which is nil for a record without one. conflated
// reports that it replaced a value that was not sent.
func (q *queue) add(r *Record, k *key) (conflated bool) {
	if k != nil {
		if r.Urgent {
			q.hasten(k)
		}
		if old := k.newest; old != nil && !old.Event && !r.Event {
			r.Left = both(old.Left, r.Left)
			q.bytes += r.size() - old.size()
			q.held += holds(r) - holds(&old.Record)
			urgent := old.Urgent
			old.Record, old.Urgent = *r, urgent
			return true
		}
	}
	it := q.newItem(r)
	if it.key = k; k != nil {
		if it.older = k.newest; it.older != nil {
			it.older.newer = it
		}
		k.newest = it
		k.waiting++
	}
	q.bytes += r.size()
	if it.held() {
		q.heldEvents++
		q.heldBytes += r.size()
	}
	q.of(it).push(it)
	return false
}

// hasten makes urgent what waits of a key, since an urgent record comes behind it. Each record
// is moved once at most.
func (q *queue) hasten(k *key) {
	it := k.newest
	if it == nil || it.Urgent {
		return
	}
	for it.older != nil && !it.older.Urgent {
		it = it.older
	}
	for ; it != nil; it = it.newer {
		q.normal.remove(it)
		it.Urgent = true
		q.urgent.push(it)
	}
}

// of returns the list that an item waits in.
func (q *queue) of(it *item) *list {
	if it.Urgent {
		return &q.urgent
	}
	return &q.normal
}

// droppable returns how many loose events wait, and their bytes.
func (q *queue) droppable() (n, bytes int) {
	return q.urgent.n + q.normal.n, q.urgent.bytes + q.normal.bytes
}

// full reports whether a loose event has to make room. beside is how many bytes of
// them, urgent ones apart, may wait beside held events.
func (q *queue) full(beside int) bool {
	n, bytes := q.droppable()
	delays := q.heldEvents > 0 && q.normal.bytes > beside && q.normal.n > 1
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
	l := &q.normal
	if l.n == 0 {
		l = &q.urgent
	}
	it := l.oldestLoose()
	if it.key != nil && it.key.newest == it && !it.deletesNothing() {
		l.count(it, -1)
		it.Event = false
		return Record{}, nil, false
	}
	l.remove(it)
	r, k = q.release(it)
	return r, k, true
}

// deletesNothing reports whether the item, which has a key, deletes one of which this epoch
// has sent nothing that is not deleted, and nothing else waits. As state it would wait without
// a bound, since each may have another key. A receiver that has the key from an earlier epoch
// removes it as the first round of pages closes that does not list it.
func (it *item) deletesNothing() bool { return it.Delete && it.key.sent == nil && it.key.waiting == 1 }

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

// pop removes the next record. Of what waits of its key it is the oldest.
func (q *queue) pop() (Record, *key) {
	l := &q.urgent
	if l.head == nil {
		l = &q.normal
	}
	it := l.head
	l.remove(it)
	return q.release(it)
}

func (q *queue) release(it *item) (Record, *key) {
	r, k := it.Record, it.key
	q.held -= holds(&r)
	if k != nil {
		k.waiting--
		if k.newest == it {
			k.newest = it.older
		}
		if it.newer != nil {
			it.newer.older = it.older
		}
		if it.older != nil {
			it.older.newer = it.newer
		}
	}
	q.bytes -= r.size()
	if it.held() {
		q.heldEvents--
		q.heldBytes -= r.size()
	}
	*it = item{next: q.free}
	q.free = it
	return r, k
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
