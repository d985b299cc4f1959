package spool

// fifo is a queue of records in memory; taking from the front does not move the rest.
type fifo struct {
	entries []entry
	head    int
	cost    int64
}

func (f *fifo) len() int { return len(f.entries) - f.head }

func (f *fifo) all() []entry { return f.entries[f.head:] }

func (f *fifo) push(e entry) {
	if f.head > 64 && f.head*2 > len(f.entries) {
		n := copy(f.entries, f.entries[f.head:])
		clear(f.entries[n:])
		f.entries, f.head = f.entries[:n], 0
	}
	f.entries = append(f.entries, e)
	f.cost += e.cost()
}

func (f *fifo) pop() entry {
	e := f.entries[f.head]
	f.entries[f.head] = entry{}
	f.head++
	f.cost -= e.cost()
	if f.head == len(f.entries) {
		f.entries, f.head = f.entries[:0], 0
	}
	return e
}
