// Package absence knows what a source of values has missed, as intervals of each node's
// history that can be read.
//
// All times are DateTimes (ticks of 100 ns since 1601) of the clock that stamps a node's
// values, so that neither the clock of this machine nor one at the plant has to be right:
//
//	Came      a live value: the newest time of its node is known to have been passed on
//	Miss      notifications were missed, or a session has ended: what follows that time is
//	          missing, up to the next live value
//	Next      the oldest such intervals, of nodes that can be read together
//	Done      how far one was read
//
// A restart begins with the mark that the run before has stored: the time up to which
// everything is known to have left. Times of this machine's monotonic clock become those
// of a node's by their difference when its values were notified. The record on disk is
//
//	version(1): 1   scope(8)   generation(4)   events(8)   mark(8)   {handle(4) mark(8)}*
//
// big-endian; handles are of nodes whose mark is earlier: their clock is behind the
// others, or an interval of theirs has not been read yet. events is the mark of the events
// of all notifiers, in the server's time, 0 where it is not known; mark is 0 likewise.
//
// The package refuses to know what a history is, and who reads it.
package absence

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"heliograph/firmware/opcua/uabinary"
)

// Our own choices.
const (
	Longest = 24 * time.Hour // of an interval; what is older is given up

	maxGaps  = 200_000 // intervals, and values between them that were passed on
	maxSent  = 1000    // such values in one interval
	maxEarly = 1000    // nodes with a mark of their own on disk

	// Notifications that take longer than those before by more than this, and the
	// publishing interval, may leave a value between two runs.
	jitter = time.Second
	// Nodes whose marks are no further apart share one.
	alike = 10 * time.Second
)

// tick is the unit of a DateTime.
const tick = 100 * time.Nanosecond

// Gap is an interval of a node's history that was missed, without its ends. Its fields
// belong to who got it from Next, until Done.
type Gap struct {
	Handle   uint32
	From, To int64
	// Next is where reading goes on, at From or later; Skip values of that time were read.
	Next int64
	Skip int
	// Span is how much of the interval is read at once, 0 for all of it. Failures is for who
	// reads.
	Span     int64
	Failures int

	sent []int64 // times of values within that were passed on live, ascending
}

// WasSent reports whether a value of this time was passed on live.
func (g *Gap) WasSent(at int64) bool {
	if at <= g.From || at >= g.To {
		return true
	}
	_, sent := slices.BinarySearch(g.sent, at)
	return sent
}

// End is until when to read next.
func (g *Gap) End() int64 {
	if g.Span > 0 {
		return min(g.To, g.Next+g.Span)
	}
	return g.To
}

func (g *Gap) entries() int { return 1 + len(g.sent) }

// node is what is known of a node's values. The zero value is a node without a value in this
// run: its values are missing since the run before, if there was one.
type node struct {
	last    int64 // the time of the newest live value, 0: none
	delay   int64 // that time less ours, in ticks, when values were notified
	timed   bool  // delay is known
	present bool  // nothing was missed since last
	gap     *Gap  // the newest that waits
}

// Book records what came and what was missed. It is safe for concurrent use.
type Book struct {
	interval time.Duration
	start    time.Time

	mu       sync.Mutex
	nodes    []node // by handle
	readable map[uint32]bool
	gaps     []*Gap // that wait
	sorted   bool
	reading  []*Gap // that Next has returned
	entries  int    // of all gaps
	givenUp  int    // intervals, since GivenUp was called
	restored marks  // of the run before
	newest   int64  // mark that was stored last
	events   eventBook

	left    int64 // our time of which all before has left, in ticks since 1601; 0: nothing has
	probing bool
	probe   int64
	hasLeft func(error)
}

// New returns a book without a record. interval is how often values are published.
func New(interval time.Duration) *Book {
	b := &Book{interval: interval, start: time.Now()}
	b.hasLeft = b.probed
	return b
}

// ours is a time of the monotonic clock in ticks.
func (b *Book) ours(now time.Time) int64 {
	return uabinary.Ticks(b.start) + int64(now.Sub(b.start)/tick)
}

func (b *Book) node(handle uint32) *node {
	for int(handle) >= len(b.nodes) {
		b.nodes = append(b.nodes, node{})
	}
	return &b.nodes[handle]
}

// Readable sets which nodes have a history; of others no interval is kept. nil is while that
// is not known. The map is not changed any more.
func (b *Book) Readable(nodes map[uint32]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readable = nodes
	if nodes != nil {
		b.drop(func(g *Gap) bool { return !nodes[g.Handle] })
	}
}

// Came records that a live value of a node was handed over. at is its source timestamp,
// 0 if it has none; notified means that the server sent it because it had changed.
func (b *Book) Came(handle uint32, at int64, now time.Time, notified bool) {
	if at <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.node(handle)
	if !n.present {
		if from := b.since(handle); from > 0 && at > from && (b.readable == nil || b.readable[handle]) {
			b.add(handle, n, from, at)
		}
	} else if notified && at > n.last {
		d := at - b.ours(now)
		if !n.timed || d < n.delay {
			n.delay, n.timed = d, true
		} else {
			n.delay += (d - n.delay) / 8
		}
	}
	n.last, n.present = at, true
}

// since is the time up to which a node's values were passed on, 0 if that is not known.
func (b *Book) since(handle uint32) int64 {
	if last := b.nodes[handle].last; last > 0 {
		return last
	}
	return b.restored.of(handle)
}

// add adds an interval, or joins it to the one before, which it follows.
func (b *Book) add(handle uint32, n *node, from, to int64) {
	if most := int64(Longest / tick); to-from > most {
		from = to - most
		b.givenUp++
	}
	if g := n.gap; g != nil && g.To == from && len(g.sent) < maxSent && b.entries < maxGaps {
		g.sent = append(g.sent, from)
		g.To = to
		b.entries++
		return
	}
	if b.entries >= maxGaps {
		b.givenUp++
		return
	}
	n.gap = &Gap{Handle: handle, From: from, To: to, Next: from}
	b.gaps, b.sorted = append(b.gaps, n.gap), false
	b.entries++
}

// Miss records that values of nodes may have been missed since their newest ones. A node
// without one has missed all anyway.
func (b *Book) Miss(handles ...uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range handles {
		if int(h) < len(b.nodes) {
			b.nodes[h].present = false
		}
	}
}

// MissAll records the same of all nodes: a session has ended.
func (b *Book) MissAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.nodes {
		b.nodes[i].present = false
	}
}

// Forget ends the record of a node that is gone.
func (b *Book) Forget(handle uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*b.node(handle) = node{present: true}
	b.drop(func(g *Gap) bool { return g.Handle == handle })
}

// Present records that every node that the run before had has had a value: nodes that
// come from now on are new.
func (b *Book) Present() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.restored = marks{}
}

// Reset begins another generation of handles. What was missed until now is missed by all
// of its nodes.
func (b *Book) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.newest
	if all == 0 {
		all = b.restored.earliest()
	}
	b.restored = marks{all: all}
	b.nodes, b.gaps, b.reading, b.entries, b.readable = nil, nil, nil, 0, nil
}

// Waiting returns how many intervals wait.
func (b *Book) Waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.gaps)
}

// GivenUp returns how many intervals were given up since it was called last: they were
// longer than Longest, of which the newest part remains, or there were too many.
func (b *Book) GivenUp() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, b.givenUp = b.givenUp, 0
	return n
}

// Drop gives up the intervals that wait of nodes for which f returns true, and returns
// their number.
func (b *Book) Drop(f func(handle uint32) bool) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.drop(func(g *Gap) bool { return f(g.Handle) })
}

func (b *Book) drop(f func(*Gap) bool) int {
	before := len(b.gaps)
	b.gaps = slices.DeleteFunc(b.gaps, func(g *Gap) bool {
		if !f(g) {
			return false
		}
		b.entries -= g.entries()
		if n := &b.nodes[g.Handle]; n.gap == g {
			n.gap = nil
		}
		return true
	})
	return before - len(b.gaps)
}

// Next returns the interval that begins first, and up to most−1 of other nodes that can be
// read together with it: they begin at about the same time. Each is to be returned by Done.
func (b *Book) Next(most int) (list []*Gap) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.gaps) == 0 {
		return nil
	}
	if !b.sorted {
		slices.SortFunc(b.gaps, func(a, b *Gap) int {
			return cmp.Or(cmp.Compare(a.Next, b.Next), cmp.Compare(a.Handle, b.Handle))
		})
		b.sorted = true
	}
	first := b.gaps[0]
	near := first.Next + max((first.To-first.Next)/10, int64(alike/tick))
	taken := map[uint32]bool{}
	rest := b.gaps[:0]
	for i, g := range b.gaps {
		if len(list) >= most || g.Next > near {
			rest = append(rest, b.gaps[i:]...)
			break
		}
		if taken[g.Handle] || g.Span != first.Span {
			rest = append(rest, g)
			continue
		}
		taken[g.Handle] = true
		list = append(list, g)
		if n := &b.nodes[g.Handle]; n.gap == g {
			n.gap = nil // what follows is another interval
		}
	}
	clear(b.gaps[len(rest):])
	b.gaps = rest
	b.reading = append(b.reading, list...)
	return list
}

// Done returns an interval: what is left of it, from its Next on, waits again, unless it is
// over.
func (b *Book) Done(g *Gap, over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.Index(b.reading, g)
	if at < 0 { // of another generation
		return
	}
	b.reading = slices.Delete(b.reading, at, at+1)
	if over || g.Next >= g.To {
		b.entries -= g.entries()
		return
	}
	g.From = max(g.From, g.Next-1)
	b.gaps, b.sorted = append(b.gaps, g), false
}
