package timekeeper

import "time"

// Our own choices.
const (
	// maxSlew is the offset up to which a clock is slewed: a quarter of an hour of
	// adjtime(3). It is also how far apart two measurements may be that agree.
	maxSlew = 500 * time.Millisecond
	// stepAfter is how long a larger offset has to be measured before a clock that
	// was set is stepped again.
	stepAfter = time.Minute
	// stepBackAfter is how long it has to be measured before the clock is stepped to
	// before the saved time. The source of the saved time may have been wrong, and a
	// board must not stay in the future for ever.
	stepBackAfter = time.Hour
)

// action is what to do with the clock after a measurement.
type action int

const (
	leave  action = iota
	slew          // make up for the offset gradually
	step          // set the clock at once
	reject        // leave the clock: the measured time is out of bounds
)

// discipline decides what follows from measurements: the first two that agree step
// the clock, later ones slew it. One bad measurement moves nothing. The zero value
// has seen none. Pure; not safe for concurrent use.
type discipline struct {
	floor   time.Time // the clock is never stepped to before it, such as the date of the release's files
	ceiling time.Time // nor to after it; zero: there is none
	saved   time.Time // the last known time: the clock is stepped to before it only after stepBackAfter

	set    bool          // the clock has been set
	far    bool          // the newest measurements are too far to slew, and agree:
	offset time.Duration // on this offset
	farAt  time.Duration // since then
	number uint64        // of the newest measurement that was used
}

// decide judges a measurement: number rises with each one, offset is to be added
// to wall. now is monotonic.
func (d *discipline) decide(now time.Duration, wall time.Time, number uint64, offset time.Duration) action {
	if number == 0 || number == d.number {
		return leave
	}
	d.number = number
	to := wall.Add(offset)
	switch {
	case to.Before(d.floor) || !d.ceiling.IsZero() && to.After(d.ceiling):
		d.far = false
		return reject
	case offset.Abs() <= maxSlew:
		d.far, d.set = false, true
		return slew
	case !d.far || (offset-d.offset).Abs() > maxSlew:
		d.far, d.offset, d.farAt = true, offset, now
		return leave
	}
	required := time.Duration(0)
	if d.set {
		required = stepAfter
	}
	if to.Before(d.saved) {
		required = stepBackAfter
	}
	if now-d.farAt < required {
		return leave
	}
	d.far, d.set = false, true
	return step
}
