package accept

import (
	"fmt"
	"math"
	"strings"

	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/conduit/wire"
)

// Our own choices.
const (
	// reserve is by how much the loss that parity is chosen for exceeds the measured one:
	// a link is worse on another day than in some minutes.
	reserve = 2
	// leastOverhead is recommended where nothing is lost: one frame in ten is spent on
	// what the measurement did not see.
	leastOverhead = 0.10
	overheadStep  = 0.05
	mostOverhead  = 1.0 // beyond, the payload is the smaller half
	// slower is the rate that is tried where a machine is too slow for the present one.
	slower = 0.7
	// noisyLine is the share of wrong bits from which on a serial line is too fast.
	noisyLine = 1e-5
)

// Limits is what parity repairs while the line is saturated and has the minimum of it alone.
type Limits struct {
	Overhead float64 `json:"overhead"`          // that they hold for
	Short    int     `json:"low_latency"`       // frames of the longest run that low latency repairs
	Long     int     `json:"bulk"`              // … and that bulk does
	Design   float64 `json:"design_loss"`       // share of lost frames that parity is computed for
	Assumed  bool    `json:"assumed,omitempty"` // TX did not report its overhead: the default's
}

// defaultOverhead is that of a transmitter that does not report it.
const defaultOverhead = 0.25

// LimitsOf returns what a transmitter's parity repairs.
func LimitsOf(medium string, link *selfreport.Link) Limits {
	p := profile(medium, link)
	l := Limits{Overhead: defaultOverhead, Design: p.DesignLoss, Assumed: link == nil}
	if link != nil {
		l.Overhead = link.Overhead
	}
	l.Short, l.Long = reach(&p, wire.LowLatency, l.Overhead), reach(&p, wire.Bulk, l.Overhead)
	return l
}

// profile is what a medium requires; neither sizes nor speed matter here.
func profile(medium string, link *selfreport.Link) wire.Profile {
	if medium != "uart" {
		return wire.DatagramProfile(1472, 66)
	}
	baud := 921600
	if link != nil && link.BytesPerSecond >= 1 {
		baud = int(10 * link.BytesPerSecond)
	}
	return wire.UARTProfile(baud)
}

// reach returns the longest run of frames that a full generation of a class repairs:
// consecutive frames are of different lanes.
func reach(p *wire.Profile, class wire.Class, overhead float64) int {
	c := p.Classes[class]
	return c.MaxLanes * rows(c.Sources, overhead)
}

func rows(sources int, overhead float64) int {
	const rounding = 1e-9 // of 14 % of 50
	return min(max(int(math.Ceil(float64(sources)*overhead-rounding)), 1), wire.MaxParity)
}

// Recommendation is what a link is to be set to.
type Recommendation struct {
	Overhead float64 `json:"overhead"`                   // minimum of parity ÷ payload
	Bulk     bool    `json:"bulk"`                       // runs are so long that only class "bulk" repairs them
	Rate     float64 `json:"bytes_per_second,omitempty"` // 0: as it is
	Text     string  `json:"text"`
	Why      string  `json:"why"`
}

// Recommend returns what the measured loss asks for. Overhead is chosen for twice the upper
// bound of the loss, and for the longest run that was seen.
func Recommend(medium string, w *Window, e *Errors, link *selfreport.Link) Recommendation {
	if w.tooShort() {
		return Recommendation{Text: "nothing yet: measure for longer",
			Why: fmt.Sprintf("%d frames are too few.", w.Expected)}
	}
	p := profile(medium, link)
	run := largest(w.Bursts)
	loss := min(reserve*e.FrameUpper, 0.5)
	low := p.Classes[wire.LowLatency]
	table := wire.ParityTable(max(loss, 1e-9))
	forLoss := float64(table[low.Sources]) / float64(low.Sources)
	forRun := func(class wire.Class) float64 {
		c := p.Classes[class]
		return math.Ceil(run/float64(c.MaxLanes)) / float64(c.Sources)
	}
	r := Recommendation{}
	need := max(forLoss, forRun(wire.LowLatency), leastOverhead)
	if forRun(wire.LowLatency) > mostOverhead {
		r.Bulk = true
		need = max(forLoss, min(forRun(wire.Bulk), mostOverhead), leastOverhead)
	}
	r.Overhead = min(math.Ceil(need/overheadStep-1e-9)*overheadStep, mostOverhead)
	r.Why = fmt.Sprintf("Parity is chosen for %s of frames lost, twice the upper bound of what was measured, and "+
		"for runs of up to %.0f missing frames.", Percent(loss), run)
	if link != nil && w.Missing > 0 && r.Overhead < link.Overhead {
		r.Overhead = link.Overhead
		r.Why += " It is not lowered while frames are missing."
	}
	r.Text = fmt.Sprintf("overhead = \"%.0f%%\"", 100*r.Overhead)
	if r.Bulk {
		r.Text += ", and class = \"bulk\" for what can wait: no overhead below 100% has low latency repair such runs"
	}
	if advice := r.slow(medium, w, e, link); advice != "" {
		r.Text += "; " + advice
	}
	if link != nil {
		r.Text += fmt.Sprintf(" (now %.0f%%)", 100*link.Overhead)
	}
	return r
}

// slow recommends a lower rate where the machine or the line is too slow for the present one.
func (r *Recommendation) slow(medium string, w *Window, e *Errors, link *selfreport.Link) string {
	tooFast := w.Dropped > 0 || w.Overruns > 0
	if medium == "uart" {
		tooFast = tooFast || e.BitRate > noisyLine
	}
	if !tooFast || link == nil || link.BytesPerSecond <= 0 {
		return ""
	}
	if medium != "uart" {
		r.Rate = slower * link.BytesPerSecond
		return fmt.Sprintf("rate = \"%.3gMbit/s\" until the receiver keeps up", r.Rate*8/1e6)
	}
	now, baud := 10*link.BytesPerSecond, 0.0
	for _, b := range []float64{9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1.5e6, 2e6, 3e6} {
		if b < 0.99*now {
			baud = b
		}
	}
	if baud == 0 {
		return ""
	}
	r.Rate = baud / 10
	return fmt.Sprintf("baud = %.0f on both boards", baud)
}

// Percent writes a share for people.
func Percent(share float64) string {
	switch p := 100 * share; {
	case p == 0:
		return "0 %"
	case p < 0.001:
		return strings.Replace(fmt.Sprintf("%.1e", share), "e-0", "e-", 1)
	case p < 1:
		return fmt.Sprintf("%.2g %%", p)
	default:
		return fmt.Sprintf("%.3g %%", p)
	}
}
