// Package fairshare shares the connections of one listener among the addresses
// that connect: the listener has room for a fixed number, and a new connection
// always gets in. When the table is full, the longest idle connection of the
// address that would then hold most makes room. So an address can only ever push
// out its own connections once it holds more than any other.
//
//	evicted, full := table.Add(conn, address, now)
//	if full {
//		evicted.Close() // its own goroutine then calls Remove, which finds nothing
//	}
//	table.Touch(conn, now) // whenever it moved something
//	table.Remove(conn)
//
// Addresses of one IPv6 /64 are one address: a host has all of them (RFC 4291
// section 2.5.1).
//
// The package refuses to close anything and has no clock; the caller does what
// the table says.
package fairshare

import (
	"net/netip"
	"sync"
	"time"
)

// Table holds the connections of one listener. C identifies a connection, such
// as a net.Conn. Safe for concurrent use.
type Table[C comparable] struct {
	limit int

	mu      sync.Mutex
	open    map[C]entry
	held    map[netip.Prefix]int // connections by address
	evicted uint64
}

type entry struct {
	address netip.Prefix
	moved   time.Time // last
}

// New returns an empty table with room for limit connections, at least one.
func New[C comparable](limit int) *Table[C] {
	return &Table[C]{limit: max(limit, 1), open: map[C]entry{}, held: map[netip.Prefix]int{}}
}

// Add enters a connection from address. When full is set, evicted was taken out
// to make room, and the caller closes it.
func (t *Table[C]) Add(c C, address netip.Addr, now time.Time) (evicted C, full bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(c)
	by := Of(address)
	t.held[by]++ // the newcomer counts when the greediest is looked for
	if full = len(t.open) >= t.limit; full {
		evicted = t.longestIdle()
		t.remove(evicted)
		t.evicted++
	}
	t.open[c] = entry{by, now}
	return evicted, full
}

// longestIdle returns the longest idle connection of the address that holds
// most; among addresses that hold the same, of all of them.
func (t *Table[C]) longestIdle() (found C) {
	most, moved := 0, time.Time{}
	for c, e := range t.open {
		n := t.held[e.address]
		if n > most || n == most && e.moved.Before(moved) {
			found, most, moved = c, n, e.moved
		}
	}
	return found
}

// Touch says that a connection moved something at now. One that is not in the
// table stays out.
func (t *Table[C]) Touch(c C, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.open[c]; ok {
		e.moved = now
		t.open[c] = e
	}
}

// Remove takes out a connection that ended, and reports whether it was there:
// one that was evicted no longer is.
func (t *Table[C]) Remove(c C) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.remove(c)
}

func (t *Table[C]) remove(c C) bool {
	e, ok := t.open[c]
	if !ok {
		return false
	}
	delete(t.open, c)
	if t.held[e.address]--; t.held[e.address] == 0 {
		delete(t.held, e.address)
	}
	return true
}

// Len returns how many connections are open.
func (t *Table[C]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

// Evicted counts the connections that made room.
func (t *Table[C]) Evicted() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.evicted
}

// Of is what counts as one address.
func Of(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // the zero Prefix for the zero Addr, which is a share too
	return p
}
