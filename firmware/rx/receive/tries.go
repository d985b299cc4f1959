package receive

import "time"

// A hello of a session that is not known costs a derivation of keys before it
// can be told from a forged one, far more than any other frame. So few are tried
// while the present session is alive: there is one transmitter, which cannot have
// started again while frames of its old session arrive.
//
// Once the old session has been silent for alive, every hello is tried. So a
// transmitter that starts again during a flood of forged hellos is known by the
// second of the hellos that it repeats every 250 ms at the latest; without a
// flood by its first. An attacker cannot keep a dead session alive: only frames
// that are authentic and new count.
const (
	// alive is somewhat more than the time between two hellos, which the
	// transmitter sends also when it has nothing else to say.
	alive = 300 * time.Millisecond

	triesPerSecond = 500 // about 2 % of a core of the slowest board
	triesAtOnce    = 32  // more than the hellos that begin a session
)

// tries is a token bucket of derivations. Its zero value is full.
type tries struct {
	spent float64
	last  time.Time
}

// take reports whether one more may be derived at now.
func (t *tries) take(now time.Time) bool {
	t.spent = max(0, t.spent-now.Sub(t.last).Seconds()*triesPerSecond)
	t.last = now
	if t.spent > triesAtOnce-1 {
		return false
	}
	t.spent++
	return true
}
