package channel

import "time"

// renewLimit bounds how often a client can make a server use its private key.
type renewLimit struct {
	every time.Duration
	free  float64
	last  time.Time
}

func newRenewLimit(shortest time.Duration) *renewLimit {
	return &renewLimit{every: min(renewEvery, shortest/2), free: renewBurst, last: time.Now()}
}

func (l *renewLimit) allow(now time.Time) bool {
	l.free = min(renewBurst, l.free+float64(now.Sub(l.last))/float64(l.every))
	l.last = now
	if l.free < 1 {
		return false
	}
	l.free--
	return true
}
