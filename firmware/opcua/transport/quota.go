package transport

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// budget is memory that many connections share.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

// account is one connection's share of a budget. Once closed it holds nothing and
// takes nothing, whatever its users still do.
type account struct {
	from   *budget
	mu     sync.Mutex
	used   int64
	closed bool
}

func (a *account) take(n int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || !a.from.take(n) {
		return false
	}
	a.used += n
	return true
}

func (a *account) give(n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n = min(n, a.used)
	a.used -= n
	a.from.used.Add(-n)
}

func (a *account) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.from.used.Add(-a.used)
	a.used = 0
}

// gate counts connections per client address and in total.
type gate struct {
	total, perAddress int
	mu                sync.Mutex
	byAddress         map[netip.Addr]int
	conns             []*Conn // oldest first
}

// admit counts one more connection. Where the total is reached, the oldest
// connection without a session is returned for closing, and its place taken; an
// address that holds its share is refused first, so one client evicts only its own.
func (g *gate) admit(c *Conn, from netip.Addr) (evicted *Conn, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := network(from)
	if g.byAddress[key] >= g.perAddress {
		return nil, false
	}
	if len(g.conns) >= g.total {
		for _, old := range g.conns {
			if !old.inUse.Load() {
				evicted = old
				break
			}
		}
		if evicted == nil {
			return nil, false
		}
		g.remove(evicted)
	}
	g.byAddress[key]++
	g.conns = append(g.conns, c)
	return evicted, true
}

func (g *gate) leave(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(c)
}

func (g *gate) remove(c *Conn) {
	for i, other := range g.conns {
		if other != c {
			continue
		}
		g.conns = append(g.conns[:i], g.conns[i+1:]...)
		key := network(c.RemoteIP())
		if g.byAddress[key]--; g.byAddress[key] == 0 {
			delete(g.byAddress, key)
		}
		return
	}
}

func (g *gate) all() []*Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*Conn(nil), g.conns...)
}

// network is what one client can hold many addresses of: a /64 of IPv6.
func network(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
