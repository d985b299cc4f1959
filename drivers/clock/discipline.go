package clock

import "time"

// Our own choices.
const (
	// slewable is the offset up to which a clock is slewed: a quarter of an hour.
	slewable = 500 * time.Millisecond
	// insist is how long a larger offset has to be measured before the clock is
	// stepped again: one bad measurement moves nothing.
	insist = time.Minute
)

// Action is what to do with the clock.
type Action int

// The actions.
const (
	Leave Action = iota
	DoSlew
	DoStep
)

// Discipline decides what follows from a measurement: the first steps the
// clock, later ones slew it. It never lets the clock go below a floor. The zero
// value has seen none. Pure; not safe for concurrent use.
type Discipline struct {
	Floor time.Time // a time that has been, such as the last that was kept

	set    bool
	far    bool          // the newest measurements are too far to slew
	farAt  time.Duration // since when
	number uint64        // of the newest measurement that was used
}

// Decide takes a measurement: number rises with each one, offset is to be added
// to wall. now is monotonic.
func (d *Discipline) Decide(now time.Duration, wall time.Time, number uint64, offset time.Duration) Action {
	if number == 0 || number == d.number {
		return Leave
	}
	d.number = number
	if wall.Add(offset).Before(d.Floor) {
		return Leave
	}
	near := offset.Abs() <= slewable
	if near {
		d.far = false
		d.set = true
		return DoSlew
	}
	if !d.far {
		d.far, d.farAt = true, now
	}
	if !d.set || now-d.farAt >= insist {
		d.set, d.far = true, false
		return DoStep
	}
	return Leave
}
