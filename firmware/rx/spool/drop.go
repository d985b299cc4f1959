package spool

// OnDrop sets a func that is called with the number of records that are dropped, for
// those since Open at once. It is called under the queue's lock and must not call back.
func (q *Queue) OnDrop(f func(n uint64)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.onDrop = f
	if n := q.dropped + q.damaged; n > 0 {
		f(n)
	}
}

// countDropped counts n dropped records; with the lock.
func (q *Queue) countDropped(n uint64) {
	q.dropped += n
	if q.onDrop != nil {
		q.onDrop(n)
	}
}

// countDamaged counts n records that a damaged file had; with the lock.
func (q *Queue) countDamaged(n int) {
	q.damaged += uint64(n)
	if n > 0 && q.onDrop != nil {
		q.onDrop(uint64(n))
	}
}

// boundTail drops what the disk is too slow or too full for; with the lock.
func (q *Queue) boundTail() {
	for q.tail.len() > 1 && q.tail.cost+q.batch.cost > memoryBytes {
		q.remove(q.tail.pop())
		q.countDropped(1)
	}
}

// dropOldest makes room; what is handed out or being written stays. It reports whether
// it dropped anything; with the lock.
func (q *Queue) dropOldest() bool {
	if q.mem.len() > 0 {
		q.remove(q.mem.pop())
		q.countDropped(1)
		return true
	}
	for _, s := range q.segs {
		if s.unread > 0 {
			q.countDropped(uint64(q.removeUnread(s)))
			q.reap()
			return true
		}
	}
	if q.tail.len() > 0 {
		q.remove(q.tail.pop())
		q.countDropped(1)
		return true
	}
	return false
}

// removeUnread takes out of the account what is unread in a segment, and returns how many
// records that is; with the lock.
func (q *Queue) removeUnread(s *segment) (n int) {
	n = s.unread
	q.records -= s.unread
	q.bytes -= s.unreadCost()
	s.unread, s.offset = 0, s.size
	return n
}

// remove takes a record out of the account; with the lock.
func (q *Queue) remove(e entry) {
	q.bytes -= e.cost()
	q.records--
}

// unread reports whether a segment has records that were not read; with the lock.
func (q *Queue) unread() bool {
	for _, s := range q.segs {
		if s.unread > 0 {
			return true
		}
	}
	return false
}
