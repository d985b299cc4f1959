package flash

import (
	"fmt"
	"strings"
	"time"

	"heliograph/tools/progress"
)

const barWidth = 30

// pace is how far a phase is, and when it will be over. Data and holes take different
// times, so each has its own.
type pace struct {
	line *progress.Line
	now  func() time.Time

	phase       string
	data, holes part
	last        time.Time
}

// part is what there is of one kind, in bytes.
type part struct {
	total, done int64
	took        time.Duration
}

// left is how long the rest takes at the pace so far; other is the pace of the other kind,
// which has to do before there is one.
func (p part) left(other part) time.Duration {
	rest := p.total - p.done
	if p.done == 0 {
		p = other
	}
	if p.done == 0 {
		return 0
	}
	return time.Duration(float64(p.took) * float64(rest) / float64(p.done))
}

func (p *pace) start(phase string, data, holes int64) {
	p.phase, p.data, p.holes, p.last = phase, part{total: data}, part{total: holes}, p.now()
	p.line.SetTimed("%s", p)
}

// add takes the bytes that were done since the last call.
func (p *pace) add(n int64, hole bool) {
	now, of := p.now(), &p.data
	if hole {
		of = &p.holes
	}
	of.done, of.took, p.last = of.done+n, of.took+now.Sub(p.last), now
	p.line.SetTimed("%s", p)
}

// String is a bar with the speed of the medium.
func (p *pace) String() string {
	percent := (p.data.done + p.holes.done) * 100 / (p.data.total + p.holes.total)
	filled := int(percent) * barWidth / 100
	return strings.TrimSpace(fmt.Sprintf("%-12s [%s%s] %3d %% %s", p.phase, strings.Repeat("#", filled),
		strings.Repeat(".", barWidth-filled), percent, p.rate()))
}

func (p *pace) rate() string {
	if p.data.took+p.holes.took < time.Second || p.data.done == 0 {
		return ""
	}
	left := (p.data.left(p.holes) + p.holes.left(p.data)).Round(time.Second)
	speed := ""
	if p.data.took > 0 {
		speed = fmt.Sprintf("%.1f MB/s, ", float64(p.data.done)/p.data.took.Seconds()/1e6)
	}
	return speed + fmt.Sprintf("%v left", left)
}
