// Package sourcetest is a fake of the link for tests of sources: a Port records
// every update, and leaves at once, later or never, as the test says. It refuses
// to know any protocol.
package sourcetest

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"heliograph/firmware/tx/source"
)

// Port is a source.Holder that records. The zero value is ready: it accepts
// everything, has room, and every record leaves at once. Safe for concurrent use.
type Port struct {
	// Refuse, when set, decides whether Put accepts an update; it is set before
	// the source runs. Refused updates are not recorded.
	Refuse func(source.Update) error

	mu        sync.Mutex
	updates   []source.Update
	keys      []string // live, oldest first
	newest    map[string][]byte
	complete  bool
	conflated uint64
	missed    map[string]uint64
	reports   []Report
	room      chan struct{} // nil: there is room
	held      bool
}

// Report is one call of Port.Report.
type Report struct {
	State  source.State
	Reason string
}

// String returns the state and the reason.
func (r Report) String() string { return r.State.String() + " " + r.Reason }

// Put implements source.Port.
func (p *Port) Put(u source.Update) error {
	if p.Refuse != nil {
		if err := p.Refuse(u); err != nil {
			return err
		}
	}
	p.mu.Lock()
	p.updates = append(p.updates, u)
	if u.Key != nil && !u.Late {
		p.set(u)
	}
	held := p.held
	p.mu.Unlock()
	if u.Left != nil && !held {
		u.Left(nil)
	}
	return nil
}

func (p *Port) set(u source.Update) {
	key := string(u.Key)
	_, known := p.newest[key]
	switch {
	case u.Delete:
		delete(p.newest, key)
		p.keys = slices.DeleteFunc(p.keys, func(k string) bool { return k == key })
		return
	case p.newest == nil:
		p.newest = map[string][]byte{}
	}
	if !known {
		p.keys = append(p.keys, key)
	}
	p.newest[key] = u.Payload
}

// SetComplete implements source.Port.
func (p *Port) SetComplete(complete bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complete = complete
}

// Report implements source.Port.
func (p *Port) Report(s source.State, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reports = append(p.reports, Report{s, reason})
}

// Range implements source.Port.
func (p *Port) Range(f func(key, payload []byte) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.keys {
		if !f([]byte(k), p.newest[k]) {
			return
		}
	}
}

// Conflated implements source.Port.
func (p *Port) Conflated(n uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conflated += n
}

// Room implements source.Holder.
func (p *Port) Room() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.room != nil {
		return p.room
	}
	room := make(chan struct{})
	close(room)
	return room
}

// SetFull removes the room, or restores it.
func (p *Port) SetFull(full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case full && p.room == nil:
		p.room = make(chan struct{})
	case !full && p.room != nil:
		close(p.room)
		p.room = nil
	}
}

// Hold keeps records from leaving, until Unhold. A test may call Left of a held one.
func (p *Port) Hold() { p.setHeld(true) }

// Unhold lets later records leave at once again. Those that were held stay with
// the test.
func (p *Port) Unhold() { p.setHeld(false) }

func (p *Port) setHeld(held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = held
}

// Updates returns everything that was put, in order.
func (p *Port) Updates() []source.Update {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.updates)
}

// Keys returns how many keys are live.
func (p *Port) Keys() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.keys)
}

// Newest returns the newest payload of a live key, nil when there is none.
func (p *Port) Newest(key string) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.newest[key]
}

// Complete returns what SetComplete was called with last.
func (p *Port) Complete() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.complete
}

// Missed implements source.Port.
func (p *Port) Missed(n uint64, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.missed == nil {
		p.missed = map[string]uint64{}
	}
	p.missed[what] += n
}

// MissedTotal returns the sum of the calls of Missed, by what was missed.
func (p *Port) MissedTotal() map[string]uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.missed)
}

// ConflatedTotal returns the sum of the calls of Conflated.
func (p *Port) ConflatedTotal() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conflated
}

// Last returns the newest report; the zero one before the first.
func (p *Port) Last() Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.reports) == 0 {
		return Report{}
	}
	return p.reports[len(p.reports)-1]
}

// Reports returns all reports, a line each.
func (p *Port) Reports() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lines []string
	for _, r := range p.reports {
		lines = append(lines, r.String())
	}
	return strings.Join(lines, "\n")
}

// Discard is a Port that accepts everything and records no update, for
// benchmarks and allocation tests.
type Discard struct{ Port }

// Put implements source.Port.
func (*Discard) Put(u source.Update) error {
	if u.Left != nil {
		u.Left(nil)
	}
	return nil
}
