package opcua

import (
	"hash/crc32"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"
)

// arrivals records which variables have had a value since the program started, and
// what the newest one was. It is safe for concurrent use.
type arrivals struct {
	mu       sync.Mutex
	state    []byte    // by handle
	newest   []stamp   // by handle
	waiting  int       // how many are expected
	last     time.Time // when an expected one arrived, or was first expected
	refusals map[uint32]*refusal
}

// stamp identifies the payload that was Put last, with its source timestamp, which is
// not in the payload.
type stamp struct {
	at  int64 // ns since 1970, 0: none
	sum uint32
}

const (
	expected = 1
	arrived  = 2
	touched  = 4 // a value arrived since untouch
	bad      = 8 // the newest value has a Bad status
)

// refusal is a value that the link does not carry.
type refusal struct {
	bytes  int
	now    bool          // the newest value is one
	absent ua.StatusCode // the status for the node's block, if not even a status could be sent as the value
	placed ua.StatusCode // the status in the block
	logged bool
}

// reset clears the record, for another generation.
func (a *arrivals) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state, a.newest, a.waiting, a.refusals = nil, nil, 0, nil
}

// forgetArrivals makes every value count as not arrived, for another session.
func (a *arrivals) forgetArrivals() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.state)
	a.waiting = 0
}

// expect adds variables whose value has to arrive.
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

// mark records that a value arrived and was handed over as this payload.
func (a *arrivals) mark(handle uint32, isBad bool, payload []byte, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.came(handle, isBad)
	a.newest[handle] = stamped(payload, at)
	if r := a.refusals[handle]; r != nil {
		r.now, r.absent = false, 0
	}
}

// refuse records that a value arrived that the link does not carry. payload is what was
// handed over in its place; if nothing could be, absent says why.
func (a *arrivals) refuse(handle uint32, bytes int, payload []byte, at time.Time, absent ua.StatusCode) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.came(handle, true)
	a.newest[handle] = stamped(payload, at)
	if a.refusals == nil {
		a.refusals = map[uint32]*refusal{}
	}
	r := a.refusals[handle]
	if r == nil {
		r = &refusal{}
		a.refusals[handle] = r
	}
	r.bytes, r.now, r.absent = bytes, true, absent
}

// forget ends the record of a variable that is gone.
func (a *arrivals) forget(handle uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.came(handle, false)
	delete(a.refusals, handle)
}

// came records an arrival. It is called with mu held.
func (a *arrivals) came(handle uint32, isBad bool) {
	a.grow(handle)
	if a.state[handle]&expected != 0 {
		a.waiting--
		a.last = time.Now()
	}
	a.state[handle] = arrived | touched
	if isBad {
		a.state[handle] |= bad
	}
}

func stamped(payload []byte, at time.Time) (s stamp) {
	if !at.IsZero() {
		s.at = at.UnixNano()
	}
	s.sum = crc32.ChecksumIEEE(payload)
	return s
}

// timeOf returns the source timestamp of a payload, if it is the newest one of its
// variable.
func (a *arrivals) timeOf(handle uint32, payload []byte) (at time.Time, newest bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if int(handle) >= len(a.newest) || a.newest[handle].sum != crc32.ChecksumIEEE(payload) {
		return time.Time{}, false
	}
	if ns := a.newest[handle].at; ns != 0 {
		at = time.Unix(0, ns)
	}
	return at, true
}

// isBad reports whether the newest value of a variable has a Bad status of the server's.
func (a *arrivals) isBad(handle uint32) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.refusals[handle]
	return int(handle) < len(a.state) && a.state[handle]&bad != 0 && (r == nil || !r.now)
}

// isRefused reports whether the link does not carry the newest value of a variable.
func (a *arrivals) isRefused(handle uint32) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.refusals[handle]
	return r != nil && r.now
}

// untouch makes touchedSince report only values that arrive from now on.
func (a *arrivals) untouch(items []item) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, it := range items {
		a.grow(it.handle)
		a.state[it.handle] &^= touched
	}
}

// touchedSince reports whether a value arrived since untouch.
func (a *arrivals) touchedSince(handle uint32) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return int(handle) < len(a.state) && a.state[handle]&touched != 0
}

// missing returns the variables without a value, and for how long none has arrived.
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
		a.state, a.newest = append(a.state, 0), append(a.newest, stamp{})
	}
}
