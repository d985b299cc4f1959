package receive

import "time"

// A hello of an unknown session costs a derivation of keys before it can be
// distinguished from a forged one, far more than any other frame. So few are
// tried while frames of the present session arrive: there is one transmitter,
// which cannot have restarted meanwhile.
//
// Once the old session has been silent for sessionSilence, every hello is tried. So
// a transmitter that restarts during a flood of forged hellos is recognised by the
// second of the hellos that it repeats every 250 ms at the latest; without a
// flood by its first. An attacker cannot prolong a session that has ended: only
// frames that are authentic and new count.
const (
	// sessionSilence is somewhat more than the time between two hellos, which the
	// transmitter sends also when it has nothing else to send.
	sessionSilence = 300 * time.Millisecond

	triesPerSecond = 500 // about 2 % of a core of the slowest board
	triesAtOnce    = 32  // more than the hellos that begin a session
)

// helloLimiter is a token bucket of derivations. Its zero value is full.
type helloLimiter struct {
	spent float64
	last  time.Time
}

// allow reports whether one more may be derived at now.
func (l *helloLimiter) allow(now time.Time) bool {
	l.spent = max(0, l.spent-now.Sub(l.last).Seconds()*triesPerSecond)
	l.last = now
	if l.spent > triesAtOnce-1 {
		return false
	}
	l.spent++
	return true
}
