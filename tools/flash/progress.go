package flash

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const barWidth = 30

// progress shows how far a phase is: a bar on a terminal, else a line for every
// tenth. Data and holes take different times, so each has its own pace.
type progress struct {
	out      io.Writer
	terminal bool
	now      func() time.Time

	phase       string
	data, holes part
	last        time.Time
	shown       int64 // percent; -1: nothing yet
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

func (p *progress) start(phase string, data, holes int64) {
	p.phase, p.data, p.holes, p.last, p.shown = phase, part{total: data}, part{total: holes}, p.now(), -1
	p.show()
}

// add takes the bytes that were done since the last call.
func (p *progress) add(n int64, hole bool) {
	now, of := p.now(), &p.data
	if hole {
		of = &p.holes
	}
	of.done, of.took, p.last = of.done+n, of.took+now.Sub(p.last), now
	p.show()
}

func (p *progress) show() {
	percent := (p.data.done + p.holes.done) * 100 / (p.data.total + p.holes.total)
	if percent == p.shown {
		return
	}
	if p.terminal {
		filled := int(percent) * barWidth / 100
		fmt.Fprintf(p.out, "\r%-12s [%s%s] %3d %% %s\x1b[K", p.phase, strings.Repeat("#", filled),
			strings.Repeat(".", barWidth-filled), percent, p.rate())
		if percent == 100 {
			fmt.Fprintln(p.out)
		}
	} else if percent/10 != p.shown/10 || p.shown < 0 {
		fmt.Fprintf(p.out, "%s %d %%\n", p.phase, percent)
	}
	p.shown = percent
}

func (p *progress) rate() string {
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

// broken ends a line that was begun.
func (p *progress) broken() {
	if p.terminal && p.shown < 100 {
		fmt.Fprintln(p.out)
	}
}
