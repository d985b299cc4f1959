package send

import "time"

// Pacer keeps the line rate: what the medium would take to transmit is not
// available until that time has passed. What a late caller missed is made up
// for, up to a bound, so that a busy machine does not overrun the receiver.
type Pacer struct {
	rate  float64 // bytes per second
	catch time.Duration
	free  time.Time // when the line has sent what it was given
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

// Spend accounts for bytes given to the line.
func (p *Pacer) Spend(bytes int) {
	p.free = p.free.Add(time.Duration(float64(bytes) / p.rate * float64(time.Second)))
}

// Free returns when the line will have sent all it was given.
func (p *Pacer) Free() time.Time { return p.free }
