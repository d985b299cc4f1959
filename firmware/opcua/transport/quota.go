package transport

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// guarantee is what each connection may hold in any case: one that fills the shared memory
// does not block the others.
const guarantee = 32 << 10

// budget is memory that many connections share, beyond what each is guaranteed.
type budget struct {
	limit  int64
	shared atomic.Int64
	held   atomic.Int64 // all of it, guaranteed parts included
}

func (b *budget) reserve(n int64) bool {
	if b.shared.Add(n) > b.limit {
		b.shared.Add(-n)
		return false
	}
	return true
}

// account is one connection's share of a budget. Once closed it holds nothing and grants
// nothing.
type account struct {
	from   *budget
	mu     sync.Mutex
	used   int64
	closed bool
}

func beyond(used int64) int64 { return max(0, used-guarantee) }

func (a *account) reserve(n int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || !a.from.reserve(beyond(a.used+n)-beyond(a.used)) {
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
	conns             []admitted // oldest first
}

type admitted struct {
	*Conn
	network netip.Addr
}

// admit adds a connection. If its address, or all together, have the maximum, it replaces
// the oldest connection without a session, which is returned for closing (OPC 10000-4
// §5.6.2): one of the same address, or of the address that has the most of them.
func (g *gate) admit(c *Conn, from netip.Addr) (evicted *Conn, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := Network(from)
	full := true
	switch {
	case g.byAddress[key] >= g.perAddress:
		evicted = g.oldest(key)
	case len(g.conns) >= g.total:
		evicted = g.oldest(g.greediest())
	default:
		full = false
	}
	if full && evicted == nil {
		return nil, false
	}
	if evicted != nil {
		g.remove(evicted)
	}
	g.byAddress[key]++
	g.conns = append(g.conns, admitted{c, key})
	return evicted, true
}

// oldest returns an address's oldest connection without a session, or nil.
func (g *gate) oldest(key netip.Addr) *Conn {
	for _, c := range g.conns {
		if c.network == key && !c.inUse.Load() {
			return c.Conn
		}
	}
	return nil
}

// greediest returns the address with the most connections without a session.
func (g *gate) greediest() (most netip.Addr) {
	unused := map[netip.Addr]int{}
	for _, c := range g.conns {
		if c.inUse.Load() {
			continue
		}
		if unused[c.network]++; unused[c.network] > unused[most] {
			most = c.network
		}
	}
	return most
}

func (g *gate) leave(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(c)
}

func (g *gate) remove(c *Conn) {
	i := slices.IndexFunc(g.conns, func(a admitted) bool { return a.Conn == c })
	if i < 0 {
		return
	}
	key := g.conns[i].network
	g.conns = slices.Delete(g.conns, i, i+1)
	if g.byAddress[key]--; g.byAddress[key] == 0 {
		delete(g.byAddress, key)
	}
}

func (g *gate) all() []admitted {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.conns)
}

// Network returns the network that one client may have all addresses of: a /64 of IPv6.
func Network(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
