package users

import "time"

// Our own bounds on guessing.
const (
	maxAttempts = 5                      // that one origin has at once
	refillEvery = 500 * time.Millisecond // until it has one more
	maxBudgets  = 4096
)

// budget is a bucket of attempts that refills with time.
type budget struct {
	left float64
	last time.Time // when left was computed
}

// untilNext returns how long it takes until there is a complete attempt.
func (b *budget) untilNext() time.Duration {
	return time.Duration((1 - b.left) * float64(refillEvery))
}

// budgets holds those of the origins that tried last.
type budgets map[origin]*budget

// get returns what an origin has now.
func (b budgets) get(o origin, now time.Time) *budget {
	one := b[o]
	if one == nil {
		if len(b) >= maxBudgets {
			b.evict(now)
		}
		one = &budget{left: maxAttempts, last: now}
		b[o] = one
	}
	one.left = min(maxAttempts, one.left+float64(now.Sub(one.last))/float64(refillEvery))
	one.last = now
	return one
}

// evict drops the budgets that are full again, or else the one that was used longest
// ago.
func (b budgets) evict(now time.Time) {
	var oldest origin
	var since time.Time
	for o, one := range b {
		if now.Sub(one.last) >= maxAttempts*refillEvery {
			delete(b, o)
		} else if since.IsZero() || one.last.Before(since) {
			oldest, since = o, one.last
		}
	}
	if len(b) >= maxBudgets {
		delete(b, oldest)
	}
}
