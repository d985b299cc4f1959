package send

import "time"

// Pacer keeps the line rate: what the medium would take to transmit is not
// available until that time has passed. What a late caller missed is made up
// for, up to a bound, so that a busy machine does not overrun the receiver.
type Pacer struct {
	rate  float64 // bytes per second
	catch time.Duration
	free  time.Time // when the line has sent what it was given, were it never late
	busy  time.Time // when it has sent it, given when it was
}

// NewPacer returns a pacer of a line that takes rate bytes per second. catch
// bounds what is made up for.
func NewPacer(rate float64, catch time.Duration) *Pacer { return &Pacer{rate: rate, catch: catch} }

// Budget returns how many bytes may be given to the line now so that it is
// busy for at most ahead beyond now. Not positive: nothing yet.
func (p *Pacer) Budget(now time.Time, ahead time.Duration) int {
	if earliest := now.Add(-p.catch); p.free.Before(earliest) {
		p.free = earliest
	}
	return int(now.Add(ahead).Sub(p.free).Seconds() * p.rate)
}

// Idle reports whether the line has sent all that it was given. What a late caller
// missed is not made up for.
func (p *Pacer) Idle(now time.Time) bool { return !p.busy.After(now) }

// IdleAt returns when the line will be idle.
func (p *Pacer) IdleAt() time.Time { return p.busy }

// Spend accounts for bytes given to the line now.
func (p *Pacer) Spend(now time.Time, bytes int) {
	took := p.takes(bytes)
	p.free = p.free.Add(took)
	if p.busy.Before(now) {
		p.busy = now
	}
	p.busy = p.busy.Add(took)
}

// takes returns how long the line takes for bytes.
func (p *Pacer) takes(bytes int) time.Duration {
	return time.Duration(float64(bytes) / p.rate * float64(time.Second))
}

// Free returns when Budget will be positive without anything ahead.
func (p *Pacer) Free() time.Time { return p.free }
