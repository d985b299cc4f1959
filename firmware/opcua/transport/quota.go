package transport

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// guarantee is what each connection may hold whatever the others do: one that
// fills the shared memory and stays does not silence the rest.
const guarantee = 32 << 10

// budget is memory that many connections share, beyond what each is guaranteed.
type budget struct {
	limit  int64
	shared atomic.Int64
	held   atomic.Int64 // all of it, guaranteed parts included
}

func (b *budget) take(n int64) bool {
	if b.shared.Add(n) > b.limit {
		b.shared.Add(-n)
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

func beyond(used int64) int64 { return max(0, used-guarantee) }

func (a *account) take(n int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || !a.from.take(beyond(a.used+n)-beyond(a.used)) {
		return false
	}
	a.used += n
	a.from.held.Add(n)
	return true
}

func (a *account) give(n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.release(min(n, a.used))
}

func (a *account) release(n int64) {
	a.from.shared.Add(beyond(a.used-n) - beyond(a.used))
	a.from.held.Add(-n)
	a.used -= n
}

func (a *account) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.release(a.used)
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
