package task

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff spaces the retries of one loop: from First, doubling up to Last, each
// wait shortened at random by up to half, because peers restart under all their
// clients at once. Not safe for concurrent use.
type Backoff struct {
	First, Last time.Duration // positive, First at most Last

	next time.Duration
}

// Next returns how long to wait before the next retry.
func (b *Backoff) Next() time.Duration {
	wait := max(b.next, b.First)
	b.next = min(2*wait, b.Last)
	return wait/2 + rand.N(wait/2+1)
}

// Reset makes the next wait as short as the first one.
func (b *Backoff) Reset() { b.next = 0 }

// Wait waits before the next retry, and returns ctx's error when it ends first.
func (b *Backoff) Wait(ctx context.Context) error {
	t := time.NewTimer(b.Next())
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
