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

// shown has the patterns in words, and what each says of the board.
var shown = map[State][2]string{
	Invalid:  {"6 flashes", "refuses its configuration"},
	Stuck:    {"dark", "is stuck: the watchdog resets it"},
	Ended:    {"on and off, 4 times a second", "its role ended and is restarted"},
	Starting: {"glimmers, 5 times a second", "starts"},
	LinkLost: {"5 flashes", "has lost the link"},
	PeerDown: {"2 flashes", "cannot reach a server, a broker or a collector"},
	Waiting:  {"1 s on, 1 s off", "waits for a complete initial snapshot"},
	Degraded: {"1 flash", "loses frames, or repairs them; or its disk is nearly full, or keeps nothing over a restart"},
	Good:     {"lit, blinks once a second", "works"},
}

// Shown returns what the LED shows in a state, in words.
func (s State) Shown() string { return shown[s][0] }

// Means returns what a state says of the board, in words that follow "the board".
func (s State) Means() string { return shown[s][1] }
