package subscription

import (
	"sync"
	"sync/atomic"
)

// account counts the bytes that clients make the engine hold: a subscription's are of
// its session's, and those are of all sessions'.
type account struct {
	of   *account
	most int64 // 0: what of allows
	sure int64 // so much it may hold whatever of allows
	held atomic.Int64
}

// take counts n more bytes, unless that is too much here or above.
func (a *account) take(n int64) bool {
	if a == nil {
		return true
	}
	held := a.held.Add(n)
	switch {
	case n > 0 && a.most > 0 && held > a.most:
	case a.of.take(n):
		return true
	case held <= a.sure:
		a.of.force(n)
		return true
	}
	a.held.Add(-n)
	return false
}

// force counts n bytes, fewer if n is negative, whatever the bounds.
func (a *account) force(n int64) {
	for ; a != nil; a = a.of {
		a.held.Add(n)
	}
}

// move makes an account part of another one.
func (a *account) move(to *account) {
	n := a.held.Load()
	a.of.force(-n)
	a.of = to
	to.force(n)
}

// Our own choices, bytes.
const (
	entryCost = 32   // of an entry beside its value
	large     = 1024 // a value of this size is counted once, however many hold it
	spared    = 64   // the only value of a queue, up to this size, finds room whatever is held
)

// hold counts a value that a subscription holds, unless there is no room for it and it
// need not be. The subscription's lock is held.
func (e *Engine) hold(s *subscription, raw []byte, must bool) bool {
	size := int64(entryCost + len(raw))
	if len(raw) >= large {
		size = entryCost
	}
	switch {
	case must:
		s.account.force(size)
	case !s.account.take(size):
		return false
	}
	if len(raw) < large || e.crowd.join(&e.total, raw, must) {
		return true
	}
	s.account.force(-size)
	return false
}

// letGo ends what hold began.
func (e *Engine) letGo(s *subscription, raw []byte) {
	if len(raw) < large {
		s.account.force(-int64(entryCost + len(raw)))
		return
	}
	s.account.force(-entryCost)
	e.crowd.leave(&e.total, raw)
}

// crowd counts the large values that are held, each once: it is known by where it is in
// memory, and does not move while somebody holds it.
type crowd struct {
	mu    sync.Mutex
	users map[*byte]int
}

func (c *crowd) join(a *account, raw []byte, must bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users == nil {
		c.users = map[*byte]int{}
	}
	if c.users[&raw[0]] == 0 {
		if must {
			a.force(int64(len(raw)))
		} else if !a.take(int64(len(raw))) {
			return false
		}
	}
	c.users[&raw[0]]++
	return true
}

func (c *crowd) leave(a *account, raw []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users[&raw[0]]--; c.users[&raw[0]] == 0 {
		delete(c.users, &raw[0])
		a.force(-int64(len(raw)))
	}
}
