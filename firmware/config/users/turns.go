package users

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Our own bounds on guessing. RFC 9106 makes one guess cost the server as much as the
// guesser, so what is shared out is the server's time.
const (
	tries      = 5                      // that a name has from one address at once
	refill     = 500 * time.Millisecond // until it has one more
	maxWait    = 15 * time.Second       // for a turn
	maxWaiting = 64                     // tries that wait, of all
	maxOfOne   = 32                     // that wait with one name from one address
	reserve    = 16                     // that wait beyond maxWaiting, from good addresses
	maxBudgets = 4096
	maxGood    = 256
)

// turns decides which password is compared next: one at a time, the addresses in
// turn, and every second one from an address that somebody has logged in from, if
// one waits. A try for which there is no budget waits for it, in the order in which
// tries came, so that a right password has its turn however many wrong ones come from
// the same address. When all places are taken the address with most of them loses
// its newest. Safe for concurrent use.
type turns struct {
	mu      sync.Mutex
	budgets map[spender]*budget
	good    map[netip.Addr]time.Time // when somebody logged in from there
	served  map[netip.Addr]uint64    // the number of the turn that an address had last
	turn    uint64
	waiting []*try // in the order they came
	busy    bool
	favour  bool // the last turn was a good address's
	wake    *time.Timer
}

// spender is who pays for a try: a name, "" for all unknown ones, at an address.
type spender struct {
	name string
	from netip.Addr
}

// budget is a bucket of tries that refills with time.
type budget struct {
	left float64
	last time.Time
}

type try struct {
	spender
	good    bool
	granted chan bool
}

func newTurns() *turns {
	return &turns{budgets: map[spender]*budget{}, good: map[netip.Addr]time.Time{}, served: map[netip.Addr]uint64{}}
}

// network is the part of an address that one client has to itself: all of an IPv4
// address, 64 bits of an IPv6 one.
func network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64) // never fails for 64
		return p.Addr()
	}
	return a
}

// wait returns true when it is the try's turn, which done ends, and false when it
// has none.
func (t *turns) wait(s spender) bool {
	t.mu.Lock()
	_, good := t.good[s.from]
	one := &try{s, good, make(chan bool, 1)}
	if !t.admit(one) {
		t.mu.Unlock()
		return false
	}
	t.waiting = append(t.waiting, one)
	t.next(time.Now())
	t.mu.Unlock()
	late := time.NewTimer(maxWait)
	defer late.Stop()
	select {
	case granted := <-one.granted:
		return granted
	case <-late.C:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.waiting, one); i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
		return false
	}
	return <-one.granted // decided just now
}

// admit says whether there is a place to wait, and makes one.
func (t *turns) admit(one *try) bool {
	same := 0
	at := map[netip.Addr]int{one.from: 1}
	for _, w := range t.waiting {
		at[w.from]++
		if w.spender == one.spender {
			same++
		}
	}
	switch {
	case same >= maxOfOne:
		return false
	case len(t.waiting) < maxWaiting, one.good && len(t.waiting) < maxWaiting+reserve:
		return true
	}
	greediest := one.from
	for from, n := range at {
		if n > at[greediest] {
			greediest = from
		}
	}
	if greediest == one.from {
		return false
	}
	for i, w := range slices.Backward(t.waiting) {
		if w.from == greediest {
			w.granted <- false
			t.waiting = slices.Delete(t.waiting, i, i+1)
			break
		}
	}
	return true
}

// next gives the turn to one of those that wait and can pay, or comes back when the
// first of them can.
func (t *turns) next(now time.Time) {
	if t.busy {
		return
	}
	best, soonest := -1, time.Duration(-1)
	for i, w := range t.waiting {
		b := t.budget(w.spender, now)
		if b.left < 1 {
			if need := time.Duration((1 - b.left) * float64(refill)); soonest < 0 || need < soonest {
				soonest = need
			}
			continue
		}
		if best < 0 || t.before(w, t.waiting[best]) {
			best = i
		}
	}
	if best < 0 {
		if soonest >= 0 {
			if t.wake != nil {
				t.wake.Stop()
			}
			t.wake = time.AfterFunc(soonest+time.Millisecond, func() {
				t.mu.Lock()
				defer t.mu.Unlock()
				t.next(time.Now())
			})
		}
		return
	}
	w := t.waiting[best]
	t.waiting = slices.Delete(t.waiting, best, best+1)
	t.budgets[w.spender].left--
	t.busy, t.favour = true, w.good
	t.turn++
	if len(t.served) >= maxBudgets {
		clear(t.served) // an order alone
	}
	t.served[w.from] = t.turn
	w.granted <- true
}

// before says whether a has its turn before b, which came earlier.
func (t *turns) before(a, b *try) bool {
	if a.good != b.good {
		return a.good != t.favour
	}
	return t.served[a.from] < t.served[b.from]
}

// budget returns what a spender has now.
func (t *turns) budget(s spender, now time.Time) *budget {
	b := t.budgets[s]
	if b == nil {
		if len(t.budgets) >= maxBudgets {
			t.forget(now)
		}
		b = &budget{left: tries, last: now}
		t.budgets[s] = b
	}
	b.left = min(tries, b.left+float64(now.Sub(b.last))/float64(refill))
	b.last = now
	return b
}

// forget drops the budgets that are full again, or else the one that was used
// longest ago.
func (t *turns) forget(now time.Time) {
	var oldest spender
	var since time.Time
	for s, b := range t.budgets {
		if now.Sub(b.last) >= tries*refill {
			delete(t.budgets, s)
		} else if since.IsZero() || b.last.Before(since) {
			oldest, since = s, b.last
		}
	}
	if len(t.budgets) >= maxBudgets {
		delete(t.budgets, oldest)
	}
}

// done ends a turn.
func (t *turns) done(s spender, right bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if right {
		t.welcome(s.from, now)
	}
	t.busy = false
	t.next(now)
}

// welcome notes a good address.
func (t *turns) welcome(from netip.Addr, now time.Time) {
	if _, known := t.good[from]; !known && len(t.good) >= maxGood {
		var oldest netip.Addr
		since := now
		for a, at := range t.good {
			if !at.After(since) {
				oldest, since = a, at
			}
		}
		delete(t.good, oldest)
	}
	t.good[from] = now
}
