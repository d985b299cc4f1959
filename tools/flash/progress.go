package flash

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const barWidth = 30

// progress shows how far a phase is: a bar on a terminal, else a line for every
// tenth.
type progress struct {
	out      io.Writer
	terminal bool
	now      func() time.Time

	phase   string
	total   int64
	started time.Time
	shown   int64 // percent; -1: nothing yet
}

func (p *progress) start(phase string, total int64) {
	p.phase, p.total, p.started, p.shown = phase, total, p.now(), -1
	p.step(0)
}

// step takes the bytes that are done.
func (p *progress) step(done int64) {
	percent := done * 100 / p.total
	if percent == p.shown {
		return
	}
	if p.terminal {
		filled := int(percent) * barWidth / 100
		fmt.Fprintf(p.out, "\r%-12s [%s%s] %3d %% %s\x1b[K", p.phase, strings.Repeat("#", filled),
			strings.Repeat(".", barWidth-filled), percent, p.rate(done))
		if percent == 100 {
			fmt.Fprintln(p.out)
		}
	} else if percent/10 != p.shown/10 || p.shown < 0 {
		fmt.Fprintf(p.out, "%s %d %%\n", p.phase, percent)
	}
	p.shown = percent
}

func (p *progress) rate(done int64) string {
	elapsed := p.now().Sub(p.started)
	if elapsed < time.Second || done == 0 {
		return ""
	}
	speed := float64(done) / elapsed.Seconds()
	left := time.Duration(float64(p.total-done) / speed * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("%.1f MB/s, %v left", speed/1e6, left)
}

// broken ends a line that was begun.
func (p *progress) broken() {
	if p.terminal && p.shown < 100 {
		fmt.Fprintln(p.out)
	}
}
