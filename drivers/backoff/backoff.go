// Package backoff spaces the attempts of drivers to open again what went away: an interface,
// a serial port.
package backoff

import "time"

// Our own choices.
const (
	first = 50 * time.Millisecond // before what went away is opened again
	most  = 2 * time.Second
)

// Pause is the time before the next attempt, which grows. The zero value is over.
type Pause struct {
	until  time.Time
	length time.Duration
}

// Over reports whether the next attempt may begin.
func (p *Pause) Over(now time.Time) bool { return !now.Before(p.until) }

// Until returns when the next attempt may begin.
func (p *Pause) Until() time.Time { return p.until }

// Begin begins a pause, after an attempt that failed.
func (p *Pause) Begin(now time.Time) {
	p.length = min(max(2*p.length, first), most)
	p.until = now.Add(p.length)
}
