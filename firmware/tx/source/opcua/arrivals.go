package opcua

import (
	"sync"
	"time"
)

// arrivals keeps account of which variables have had a value since the program
// started. It is safe for concurrent use.
type arrivals struct {
	mu      sync.Mutex
	state   []byte // by handle
	waiting int
	last    time.Time // an expected one arrived, or was expected
}

const (
	expected = 1
	arrived  = 2
	touched  = 4 // a value came since untouch
)

// reset forgets all, for another generation.
func (a *arrivals) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state, a.waiting = nil, 0
}

// expect adds variables whose value is to come.
func (a *arrivals) expect(items []item) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, it := range items {
		a.grow(it.handle)
		if a.state[it.handle]&(expected|arrived) == 0 {
			a.state[it.handle] |= expected
			a.waiting++
		}
	}
	a.last = time.Now()
}

// mark notes that a value came.
func (a *arrivals) mark(handle uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.grow(handle)
	if a.state[handle]&expected != 0 {
		a.waiting--
		a.last = time.Now()
	}
	a.state[handle] = arrived | touched
}

// untouch begins to look for values that come.
func (a *arrivals) untouch(items []item) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, it := range items {
		a.grow(it.handle)
		a.state[it.handle] &^= touched
	}
}

// touchedSince tells whether a value came since untouch.
func (a *arrivals) touchedSince(handle uint32) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return int(handle) < len(a.state) && a.state[handle]&touched != 0
}

// missing returns what is still waited for, and for how long nothing came.
func (a *arrivals) missing(most int) (handles []uint32, since time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == 0 {
		return nil, 0
	}
	for h, s := range a.state {
		if s&expected != 0 && len(handles) < most {
			handles = append(handles, uint32(h))
		}
	}
	return handles, time.Since(a.last)
}

func (a *arrivals) grow(handle uint32) {
	for int(handle) >= len(a.state) {
		a.state = append(a.state, 0)
	}
}
