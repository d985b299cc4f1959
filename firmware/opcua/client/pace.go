package client

import (
	"maps"
	"sync"
	"time"
)

// Our own choices.
const (
	maxTimeout       = 80 * time.Second       // for an answer, however slow the server was before
	fewestOperations = 25                     // operations that a request may have, however slow they are
	slowResponse     = 250 * time.Millisecond // a response that takes longer shows that the server is busy
)

// Pace is what is known of the time that a server needs and of the operations that it
// takes in one request. Successive sessions with one server share it, so that what one
// has learned by a time-out the next need not learn again. The zero value has learned nothing.
// It is safe for concurrent use.
type Pace struct {
	batches batches

	mu    sync.Mutex
	all   time.Duration            // at least, for services of which there is no answer yet
	known map[string]time.Duration // by service
	last  map[string]time.Duration // that each service took
	reads time.Duration            // that the last Read has taken
}

// batches are how many operations go into one request.
type batches struct{ read, browse, monitor batch }

// timeout is how long to wait for an answer.
func (p *Pace) timeout(service string, usual time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.timeoutLocked(service, usual)
}

func (p *Pace) timeoutLocked(service string, usual time.Duration) time.Duration {
	if d, ok := p.known[service]; ok {
		return max(usual, d)
	}
	return max(usual, p.all)
}

// timedOut doubles the time for every service: a server that is slow with one is likely
// to be slow with the next, and each time-out costs a session.
func (p *Pace) timedOut(after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = max(p.all, min(2*after, maxTimeout))
	for s := range maps.Keys(p.known) {
		p.known[s] = max(p.known[s], p.all)
	}
}

// took reduces the time for a service to what it needs, in steps. A server that does one
// thing after the other keeps each service waiting for the slowest of the others.
func (p *Pace) took(service string, usual, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known, p.last = map[string]time.Duration{}, map[string]time.Duration{}
	}
	p.last[service] = d
	slowest := d
	for _, o := range p.last {
		slowest = max(slowest, o)
	}
	if service == read().name {
		p.reads = d
	}
	p.known[service] = min(maxTimeout, max(usual, 3*d, slowest*3/2, p.timeoutLocked(service, usual)*3/4))
}

// slowReads reports whether the server takes long for every Read.
func (p *Pace) slowReads() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reads > 4*slowResponse
}

// How a batch that was cut grows again: a server that was busy, or was replaced, takes
// more, and one that is as it was costs a refusal each time. So a larger batch is tried
// after growBatches that were full and quick, and no sooner than growAfter; twice that
// after each time that it did not do, up to growRarely.
const (
	growBatches = 10
	growAfter   = 10 * time.Minute
	growRarely  = 24 * time.Hour
)

// batch is how many operations go into one request; it learns from refusals, time-outs
// and successes. It is safe for concurrent use.
type batch struct {
	mu      sync.Mutex
	n       int           // 0: nothing is known
	most    int           // that n may be, for the server's limit or ours
	grown   bool          // n has grown since a refusal
	good    int           // full and quick batches since n changed
	changed time.Time     // when n changed, or was refused
	wait    time.Duration // from then until it grows
}

// limit sets what is allowed: most for us, announced by the server, 0 for no limit.
func (b *batch) limit(most, announced int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.most = most; announced > 0 {
		b.most = min(most, announced)
	}
	if b.n = min(b.n, b.most); b.n == 0 {
		b.n = b.most
	}
}

func (b *batch) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

// refused notes that n operations were too many.
func (b *batch) refused(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.good, b.changed = 0, time.Now()
	if b.n <= max(1, n/2) { // as another request has learned
		return
	}
	b.n = max(1, n/2)
	if b.wait = max(b.wait, growAfter); b.grown {
		b.wait = min(2*b.wait, growRarely)
	}
	b.grown = false
}

// slow notes that n operations took too long. Where they were few, their number is
// not the reason.
func (b *batch) slow(n int) {
	if n > 2*fewestOperations {
		b.refused(n)
	}
}

// done notes that n operations took that long, of a usual time-out. A quick batch is one
// of which twice as many would still be far from it.
func (b *batch) done(n int, took, usual time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.n >= b.most || n < b.n || took > usual/8 {
		return
	}
	if b.good++; b.good >= growBatches && time.Since(b.changed) >= b.wait {
		b.n = min(2*b.n, b.most)
		b.grown, b.good, b.changed = true, 0, time.Now()
	}
}
