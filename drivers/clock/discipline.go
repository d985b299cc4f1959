package clock

import "time"

// Our own choices.
const (
	// slewable is the offset up to which a clock is slewed: a quarter of an hour. It is
	// also how far apart two measurements may be that say the same.
	slewable = 500 * time.Millisecond
	// insist is how long a larger offset has to be measured before a clock that was set
	// is stepped again.
	insist = time.Minute
	// persist is how long before it is stepped to before the last known time: whoever told
	// that may have been wrong, and a board must not stay in the future for ever.
	persist = time.Hour
)

// Action is what to do with the clock.
type Action int

// The actions.
const (
	Leave Action = iota
	DoSlew
	DoStep
	Doubt // nothing: the time that was measured cannot be
)

// Discipline decides what follows from measurements: the first two that say the same
// step the clock, later ones slew it. One bad measurement moves nothing. The zero value
// has seen none. Pure; not safe for concurrent use.
type Discipline struct {
	Floor   time.Time // the clock is never stepped to before it, such as the date of the release's files
	Ceiling time.Time // nor to after it; zero: there is none
	Kept    time.Time // the last known time: to before it only if that persists

	set    bool
	far    bool          // the newest measurements are too far to slew, and say the same:
	offset time.Duration // this
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
	to := wall.Add(offset)
	switch {
	case to.Before(d.Floor) || !d.Ceiling.IsZero() && to.After(d.Ceiling):
		d.far = false
		return Doubt
	case offset.Abs() <= slewable:
		d.far, d.set = false, true
		return DoSlew
	case !d.far || (offset-d.offset).Abs() > slewable:
		d.far, d.offset, d.farAt = true, offset, now
		return Leave
	}
	long := time.Duration(0)
	if d.set {
		long = insist
	}
	if to.Before(d.Kept) {
		long = persist
	}
	if now-d.farAt < long {
		return Leave
	}
	d.far, d.set = false, true
	return DoStep
}
