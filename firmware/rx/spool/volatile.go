package spool

// Volatile returns how many of the records that wait are gone when this process is
// killed or the power cut: those that no segment holds, and those not synced yet.
func (q *Queue) Volatile() (n uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, f := range []*fifo{&q.out, &q.mem} {
		for _, e := range f.all() {
			if !e.onDisk || q.growing != nil && e.index >= q.unsyncedFrom && e.index <= q.growing.last {
				n++
			}
		}
	}
	if q.growing != nil {
		n += uint64(min(q.unsynced, q.growing.unread))
	}
	return n + uint64(q.batch.len()+q.tail.len())
}

// synced notes that all of the growing segment is durable, or that there is none; with the lock.
func (q *Queue) synced() {
	q.unsynced = 0
	if q.growing != nil {
		q.unsyncedFrom = q.growing.last + 1
	}
}

// dropVolatile drops what no segment holds; with the lock, and without a writer.
func (q *Queue) dropVolatile() (n uint64) {
	for _, f := range []*fifo{&q.out, &q.mem, &q.batch, &q.tail} {
		var kept fifo
		for _, e := range f.all() {
			if e.onDisk {
				kept.push(e)
				continue
			}
			q.remove(e)
			n++
		}
		*f = kept
	}
	if n > 0 {
		q.countDropped(n)
	}
	return n
}
