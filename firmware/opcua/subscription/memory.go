package subscription

import (
	"sync"
	"sync/atomic"
)

// account counts the bytes that clients make the engine hold. Accounts form a tree: a
// subscription's is part of its session's, that of its address's, and that of the total.
type account struct {
	parent     *account
	limit      int64 // 0: the parent's
	guaranteed int64 // held even if the parent is full
	held       atomic.Int64
}

// reserve counts n more bytes, unless that exceeds a limit here or in a parent.
func (a *account) reserve(n int64) bool {
	if a == nil {
		return true
	}
	held := a.held.Add(n)
	switch {
	case n > 0 && a.limit > 0 && held > a.limit:
	case a.parent.reserve(n):
		return true
	case held <= a.guaranteed:
		a.parent.add(n)
		return true
	}
	a.held.Add(-n)
	return false
}

// add counts n bytes, which may be negative, regardless of limits.
func (a *account) add(n int64) {
	for ; a != nil; a = a.parent {
		a.held.Add(n)
	}
}

// setParent moves an account, with what it holds, to another parent.
func (a *account) setParent(to *account) {
	n := a.held.Load()
	a.parent.add(-n)
	a.parent = to
	to.add(n)
}

// Our own choices, bytes.
const (
	entryCost      = 32   // of a queue entry beside its value
	sharedSize     = 1024 // a value of this size or more is counted once, however many queues hold it
	guaranteedSize = 64   // the only value of a queue, up to this size, is held even if the limit is reached
)

// holdValue counts a value that a subscription holds. It returns false where there is no
// room, unless must is set. The subscription's lock is held.
func (e *Engine) holdValue(s *subscription, raw []byte, must bool) bool {
	size := int64(entryCost + len(raw))
	if len(raw) >= sharedSize {
		size = entryCost
	}
	switch {
	case must:
		s.account.add(size)
	case !s.account.reserve(size):
		return false
	}
	if len(raw) < sharedSize || e.shared.add(&e.total, raw, must) {
		return true
	}
	s.account.add(-size)
	return false
}

// releaseValue reverses holdValue.
func (e *Engine) releaseValue(s *subscription, raw []byte) {
	if len(raw) < sharedSize {
		s.account.add(-int64(entryCost + len(raw)))
		return
	}
	s.account.add(-entryCost)
	e.shared.remove(&e.total, raw)
}

// sharedBytes counts the large values that are held, each once. Its address identifies a
// value, which does not move while a queue holds it.
type sharedBytes struct {
	mu    sync.Mutex
	users map[*byte]int
}

func (c *sharedBytes) add(a *account, raw []byte, must bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users == nil {
		c.users = map[*byte]int{}
	}
	if c.users[&raw[0]] == 0 {
		if must {
			a.add(int64(len(raw)))
		} else if !a.reserve(int64(len(raw))) {
			return false
		}
	}
	c.users[&raw[0]]++
	return true
}

func (c *sharedBytes) remove(a *account, raw []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users[&raw[0]]--; c.users[&raw[0]] == 0 {
		delete(c.users, &raw[0])
		a.add(-int64(len(raw)))
	}
}
