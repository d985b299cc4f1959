package health

import "time"

// Times of the LED, our own choice: a person can count flashes of a quarter
// of a second, and distinguish a pause of a second and a half from the dark between
// them.
const (
	flash = 200 * time.Millisecond
	dark  = 250 * time.Millisecond
	pause = 1500 * time.Millisecond
)

// patterns has what the LED shows in each state.
var patterns = map[State][]time.Duration{
	Invalid:  flashes(6),
	Stuck:    nil,
	Ended:    {125 * time.Millisecond, 125 * time.Millisecond},
	Starting: {40 * time.Millisecond, 160 * time.Millisecond},
	LinkLost: flashes(5),
	PeerDown: flashes(2),
	Waiting:  {time.Second, time.Second},
	Degraded: flashes(1),
	Good:     {900 * time.Millisecond, 100 * time.Millisecond},
}

// flashes returns the pattern of n flashes and a pause.
func flashes(n int) []time.Duration {
	p := make([]time.Duration, 0, 2*n)
	for range n {
		p = append(p, flash, dark)
	}
	p[len(p)-1] = pause
	return p
}
