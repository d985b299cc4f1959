package users

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Our own bounds on attempts that wait. RFC 9106 makes one guess cost the server as much
// as the guesser, so it is the server's time that is shared out.
const (
	maxWait         = 15 * time.Second // for a turn
	maxWaiting      = 64               // attempts, of all addresses
	maxWaitingOfOne = 32               // attempts with one name from one address
	reservedWaiting = 16               // attempts beyond maxWaiting, from trusted addresses
	maxTrusted      = 256              // addresses
)

// scheduler decides which password is compared next: one at a time, the addresses in
// turn, and every second one from a trusted address, one that a user has logged in from,
// if such an attempt waits. An attempt without budget waits until it has one, in order of
// arrival, so that a right password has its turn however many wrong ones come from the
// same address. When the queue is full, the address with most attempts in it loses its
// newest. Safe for concurrent use.
type scheduler struct {
	mu          sync.Mutex
	budgets     budgets
	trusted     map[netip.Addr]time.Time // when a user last logged in from there
	lastTurn    map[netip.Addr]uint64    // the number of the turn that an address had last
	turn        uint64
	waiting     []*attempt // in order of arrival
	busy        bool       // a password is being compared
	lastTrusted bool       // the last turn was a trusted address's
	wake        *time.Timer
}

// origin is what a budget is for: a name, "" for all unknown ones, from an address.
type origin struct {
	name string
	from netip.Addr
}

type attempt struct {
	origin
	trusted bool
	granted chan bool
}

func newScheduler() *scheduler {
	return &scheduler{budgets: budgets{}, trusted: map[netip.Addr]time.Time{}, lastTurn: map[netip.Addr]uint64{}}
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

// acquire waits for a turn, which release ends. It returns false when the attempt gets
// none.
func (s *scheduler) acquire(o origin) bool {
	s.mu.Lock()
	_, trusted := s.trusted[o.from]
	a := &attempt{o, trusted, make(chan bool, 1)}
	if !s.admit(a) {
		s.mu.Unlock()
		return false
	}
	s.waiting = append(s.waiting, a)
	s.grantNext(time.Now())
	s.mu.Unlock()
	timeout := time.NewTimer(maxWait)
	defer timeout.Stop()
	select {
	case granted := <-a.granted:
		return granted
	case <-timeout.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, a); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
		return false
	}
	return <-a.granted // decided just now
}

// release ends a turn.
func (s *scheduler) release(o origin, right bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if right {
		s.trust(o.from, now)
	}
	s.busy = false
	s.grantNext(now)
}

// admit reports whether there is room to wait, and makes room where it may.
func (s *scheduler) admit(a *attempt) bool {
	same := 0
	byAddress := map[netip.Addr]int{a.from: 1}
	for _, w := range s.waiting {
		byAddress[w.from]++
		if w.origin == a.origin {
			same++
		}
	}
	switch {
	case same >= maxWaitingOfOne:
		return false
	case len(s.waiting) < maxWaiting, a.trusted && len(s.waiting) < maxWaiting+reservedWaiting:
		return true
	}
	greediest := a.from
	for from, n := range byAddress {
		if n > byAddress[greediest] {
			greediest = from
		}
	}
	if greediest == a.from {
		return false
	}
	for i, w := range slices.Backward(s.waiting) {
		if w.from == greediest {
			w.granted <- false
			s.waiting = slices.Delete(s.waiting, i, i+1)
			break
		}
	}
	return true
}

// grantNext gives the turn to the first attempt in order that has a budget. Where none
// has, it runs again as soon as one does.
func (s *scheduler) grantNext(now time.Time) {
	if s.busy {
		return
	}
	best, soonest := -1, time.Duration(-1)
	for i, w := range s.waiting {
		b := s.budgets.get(w.origin, now)
		if b.left < 1 {
			if wait := b.untilNext(); soonest < 0 || wait < soonest {
				soonest = wait
			}
			continue
		}
		if best < 0 || s.precedes(w, s.waiting[best]) {
			best = i
		}
	}
	if best < 0 {
		s.wakeAfter(soonest)
		return
	}
	w := s.waiting[best]
	s.waiting = slices.Delete(s.waiting, best, best+1)
	s.budgets[w.origin].left--
	s.busy, s.lastTrusted = true, w.trusted
	s.turn++
	if len(s.lastTurn) >= maxBudgets {
		clear(s.lastTurn) // it only orders the addresses
	}
	s.lastTurn[w.from] = s.turn
	w.granted <- true
}

// wakeAfter has grantNext run later; never, for a negative time.
func (s *scheduler) wakeAfter(d time.Duration) {
	if d < 0 {
		return
	}
	if s.wake != nil {
		s.wake.Stop()
	}
	s.wake = time.AfterFunc(d+time.Millisecond, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.grantNext(time.Now())
	})
}

// precedes reports whether a has its turn before b, which arrived earlier.
func (s *scheduler) precedes(a, b *attempt) bool {
	if a.trusted != b.trusted {
		return a.trusted != s.lastTrusted
	}
	return s.lastTurn[a.from] < s.lastTurn[b.from]
}

// trust records that a user has logged in from an address.
func (s *scheduler) trust(from netip.Addr, now time.Time) {
	if _, known := s.trusted[from]; !known && len(s.trusted) >= maxTrusted {
		var oldest netip.Addr
		since := now
		for a, at := range s.trusted {
			if !at.After(since) {
				oldest, since = a, at
			}
		}
		delete(s.trusted, oldest)
	}
	s.trusted[from] = now
}
