package client

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Our own choices.
const (
	maxPatience = 80 * time.Second       // for an answer, however slow the server was before
	fewest      = 25                     // operations that a request may have, however slow they are
	sluggish    = 250 * time.Millisecond // an answer that takes longer says that the server is busy
)

// Pace is what is known of the time that a server takes and of the operations that it
// takes at once. Sessions with one server that come one after the other share it: what
// one has learned by a time-out, the next need not learn again. The zero value knows
// nothing. It is safe for concurrent use.
type Pace struct {
	batches batches

	mu    sync.Mutex
	all   time.Duration            // at least, for services of which there is no answer yet
	known map[string]time.Duration // by service
	reads time.Duration            // that the last Read has taken
}

// batches are how many operations go into one request.
type batches struct{ read, browse, monitor batch }

// limit is how long to wait for an answer.
func (p *Pace) limit(service string, usual time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limited(service, usual)
}

func (p *Pace) limited(service string, usual time.Duration) time.Duration {
	if d, ok := p.known[service]; ok {
		return max(usual, d)
	}
	return max(usual, p.all)
}

// timedOut doubles the time for every service: a server that is slow with one will be
// so with the next, and each time-out costs a session.
func (p *Pace) timedOut(after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = max(p.all, min(2*after, maxPatience))
	for s := range maps.Keys(p.known) {
		p.known[s] = max(p.known[s], p.all)
	}
}

// took brings the time for a service back to what it needs, in steps.
func (p *Pace) took(service string, usual, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[string]time.Duration{}
	}
	if service == read().name {
		p.reads = d
	}
	p.known[service] = min(maxPatience, max(usual, 3*d, p.limited(service, usual)*3/4))
}

// slowReads tells whether the server takes long for every Read.
func (p *Pace) slowReads() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reads > 4*sluggish
}

// batch is how many operations go into one request; it learns from refusals and
// time-outs.
type batch struct{ n atomic.Int32 }

// set makes it at most what is allowed.
func (b *batch) set(most, limit int) {
	if limit > 0 {
		most = min(most, limit)
	}
	if n := b.size(); n > 0 {
		most = min(most, n)
	}
	b.n.Store(int32(most))
}

func (b *batch) size() int { return int(b.n.Load()) }

// refused notes that n operations were too many.
func (b *batch) refused(n int) { b.n.Store(int32(min(b.size(), max(1, n/2)))) }

// slow notes that n operations took too long. Where they were few, their number is
// not the reason.
func (b *batch) slow(n int) {
	if n > 2*fewest {
		b.refused(n)
	}
}
