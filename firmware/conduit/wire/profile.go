package wire

import (
	"math"
	"time"
)

// Profile is what a medium requires of the link: sizes, and how generations of
// frames are closed and protected.
type Profile struct {
	// FrameSizes are the sizes that the medium carries, ascending; a frame is
	// padded with zeros to the next one. One size alone is an upper bound: shorter
	// frames are sent as they are.
	FrameSizes []int
	// WireOverhead is what the medium adds to each frame, in bytes at its rate.
	WireOverhead int
	// DesignLoss is the share of lost frames that repair is designed for.
	DesignLoss float64
	Classes    [Classes]ClassProfile
}

// ClassProfile is how one class closes its generations.
type ClassProfile struct {
	MaxLanes int           // 1…MaxLanes
	Sources  int           // of one lane at most, 1…MaxSources
	Flush    time.Duration // a generation closes at the latest this long after its first frame
	Idle     time.Duration // … and this long after its last one
	Spread   time.Duration // its parity is spread over this time
}

// residual is the share of frames that may stay lost at DesignLoss.
const residual = 1e-7

// DatagramProfile is for UDP and raw Ethernet. size is the largest frame, overhead
// the medium's own bytes around each. Long bursts of losses are for the bulk class
// to repair, whose generations are 8 times as long.
func DatagramProfile(size, overhead int) Profile {
	return Profile{
		FrameSizes:   []int{size},
		WireOverhead: overhead,
		DesignLoss:   0.06,
		Classes: [Classes]ClassProfile{
			LowLatency: {
				MaxLanes: 16, Sources: 64,
				Flush: 8 * time.Millisecond, Idle: 2 * time.Millisecond, Spread: 3 * time.Millisecond,
			},
			Bulk: {
				MaxLanes: MaxLanes, Sources: 64,
				Flush: 64 * time.Millisecond, Idle: 16 * time.Millisecond, Spread: 32 * time.Millisecond,
			},
			// A longer generation would only take memory: what it cannot repair comes again. It
			// closes when a pass has ended, since what comes next waits for what it lacks.
			Replay: {MaxLanes: 16, Sources: 64, Flush: time.Second, Idle: 50 * time.Millisecond},
		},
	}
}

// UARTProfile is for the codewords of a UART: 4 bytes of marker and 16 of
// outer parity around frames of 112 and 239 bytes. The line's own code has
// repaired most errors already, so few frames are missing.
func UARTProfile(baud int) Profile {
	word := time.Duration(float64(259*10) / float64(baud) * float64(time.Second))
	flush := 17 * word
	return Profile{
		FrameSizes:   []int{112, 239},
		WireOverhead: 20,
		DesignLoss:   0.004,
		Classes: [Classes]ClassProfile{
			LowLatency: {MaxLanes: 1, Sources: 16, Flush: flush, Idle: max(word+word/2, 2*time.Millisecond)},
			Bulk:       {MaxLanes: 4, Sources: 16, Flush: 4 * flush, Idle: 4 * word},
			Replay:     {MaxLanes: 4, Sources: 16, Flush: time.Second, Idle: 8 * word},
		},
	}
}

// MaxFrame is the size of the largest frame.
func (p *Profile) MaxFrame() int { return p.FrameSizes[len(p.FrameSizes)-1] }

// Payload is how many bytes of items a frame carries at most; a parity frame
// over such frames is just as large as the medium allows.
func (p *Profile) Payload() int { return p.MaxFrame() - Overhead - ParityHead }

// Fit returns the size to which a shard of n bytes is padded.
func (p *Profile) Fit(n int) int {
	if len(p.FrameSizes) == 1 {
		return n
	}
	for _, size := range p.FrameSizes {
		if n+Overhead <= size {
			return size - Overhead
		}
	}
	return n
}

// ParityTable returns, for k sources of a lane (index 0…MaxSources), the least
// number of parity frames that leaves at most one frame in ten million lost
// when each frame is lost with probability loss. A fixed percentage, rounded
// up, would lose one frame in a thousand on small blocks.
func ParityTable(loss float64) [MaxSources + 1]int {
	var table [MaxSources + 1]int
	for k := 1; k <= MaxSources; k++ {
		m := 0
		for m < MaxParity && lostShare(k, m, loss) > residual {
			m++
		}
		table[k] = m
	}
	return table
}

// lostShare is the expected share of source frames that stay lost when k
// sources and m parity frames are sent: a frame is lost for good if it is lost
// and at least m of the others are.
func lostShare(k, m int, p float64) float64 {
	n := k + m - 1
	tail := 0.0
	for i := m; i <= n; i++ {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(i + 1))
		c, _ := math.Lgamma(float64(n - i + 1))
		tail += math.Exp(a - b - c + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return p * tail
}
