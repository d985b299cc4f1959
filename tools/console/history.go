package console

import (
	"strings"
	"time"

	"heliograph/firmware/platform/status"
	"heliograph/rootfs/console"
)

// mostSamples is what the widest screen shows.
const mostSamples = 500

// sample is what the link did between two answers.
type sample struct {
	took                time.Duration
	frames, lost, fixed uint64
}

// history is the quality of the link. The zero value is ready.
type history struct {
	samples []sample
	up      time.Duration // at the last answer
	link    status.Link
}

// add takes an answer. A board or a role that was restarted counts from
// zero, and what it did before it was asked is not this moment's.
func (h *history) add(s console.Status) {
	l := s.Report.Snapshot.Link
	if h.up > 0 && s.Up > h.up && l.Frames >= h.link.Frames {
		h.samples = append(h.samples, sample{
			took: s.Up - h.up, frames: l.Frames - h.link.Frames, lost: rise(l.Lost, h.link.Lost),
			fixed: rise(l.Repaired, h.link.Repaired),
		})
		h.samples = h.samples[max(0, len(h.samples)-mostSamples):]
	}
	h.up, h.link = s.Up, l
}

func rise(now, before *uint64) uint64 {
	if now == nil || before == nil {
		return 0
	}
	return *now - min(*now, *before)
}

// last are the newest n samples and their sum.
func (h *history) last(n int) (list []sample, sum sample) {
	list = h.samples[max(0, len(h.samples)-n):]
	for _, s := range list {
		sum.took += s.took
		sum.frames += s.frames
		sum.lost += s.lost
		sum.fixed += s.fixed
	}
	return list, sum
}

// spark draws bars, the newest at the right: nothing is a dot, and what is
// more than nothing is seen.
func spark(list []sample, width int, of func(sample) uint64) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	most := 0.0
	perSecond := func(s sample) float64 { return float64(of(s)) / s.took.Seconds() }
	for _, s := range list {
		most = max(most, perSecond(s))
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", max(0, width-len(list))))
	for _, s := range list {
		if of(s) == 0 {
			b.WriteRune('·')
			continue
		}
		b.WriteRune(bars[int(perSecond(s)/most*float64(len(bars)-1))])
	}
	return b.String()
}
