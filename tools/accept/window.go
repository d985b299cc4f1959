package accept

import (
	"slices"

	"heliograph/firmware/platform/status"
)

// Window is how the link was between two samples.
type Window struct {
	Seconds      float64               `json:"seconds"`
	Frames       uint64                `json:"frames"` // authentic ones that arrived
	Bytes        uint64                `json:"bytes"`
	Expected     uint64                `json:"expected"`      // frames, by their sequence numbers
	Missing      uint64                `json:"missing"`       // of those, before any repair
	Late         uint64                `json:"late"`          // of those missing, the ones that came after all
	Damaged      uint64                `json:"damaged"`       // arrived with a wrong CRC; most are missing too
	Dropped      uint64                `json:"dropped"`       // by RX's kernel; UDP frames in a run count once
	Overruns     uint64                `json:"overruns"`      // of a serial port
	AuthFailures uint64                `json:"auth_failures"` // of another key, or forged
	Replayed     uint64                `json:"replayed"`      // seen before
	Repaired     uint64                `json:"repaired"`      // restored from parity
	Lost         uint64                `json:"lost"`          // beyond repair
	Corrected    uint64                `json:"corrected"`     // bytes that the line's code corrected
	Bursts       histogram             `json:"bursts"`        // runs of missing frames, by frames
	Delay        histogram             `json:"delay"`         // of heartbeats beyond the quickest, by seconds
	Classes      []status.ClassRepairs `json:"classes"`
	Restarts     uint64                `json:"restarts"`       // of TX
	Silent       float64               `json:"silent_seconds"` // longest time without a frame, of whole samples
}

// Between returns what happened from a sample to a later one of the same run of heliorx.
func Between(a, b *Sample) (Window, error) {
	if err := a.same(b); err != nil {
		return Window{}, err
	}
	w := Window{
		Seconds: b.At.Sub(a.At).Seconds(),
		Frames:  less(b.Link.Frames, a.Link.Frames), Bytes: less(b.Link.Bytes, a.Link.Bytes),
		Expected: less(b.Expected, a.Expected), Missing: less(b.Missing, a.Missing), Late: less(b.Late, a.Late),
		Damaged:      less(known(b.Link.CRCErrors), known(a.Link.CRCErrors)),
		Dropped:      less(known(b.Link.Dropped), known(a.Link.Dropped)),
		AuthFailures: less(known(b.Link.AuthFailures), known(a.Link.AuthFailures)),
		Replayed:     less(known(b.Link.Replayed), known(a.Link.Replayed)),
		Repaired:     less(known(b.Link.Repaired), known(a.Link.Repaired)),
		Lost:         less(known(b.Link.Lost), known(a.Link.Lost)),
		Overruns:     less(b.Overruns, a.Overruns), Corrected: less(b.Corrected, a.Corrected),
		Bursts: difference(a.Bursts, b.Bursts), Delay: difference(a.Delay, b.Delay),
	}
	if a.Link.Epoch != 0 {
		w.Restarts = less(b.Link.Epoch, a.Link.Epoch)
	}
	for i, c := range b.Classes {
		if i < len(a.Classes) && a.Classes[i].Class == c.Class {
			c.Needed = difference(a.Classes[i].Needed, c.Needed)
			c.Beyond = less(c.Beyond, a.Classes[i].Beyond)
		}
		w.Classes = append(w.Classes, c)
	}
	return w, nil
}

// tooShort says whether a window says nothing of the loss: few frames, and next to none missing.
func (w *Window) tooShort() bool { return w.Expected < leastCount && w.Missing < leastMissing }

// silent returns the longest time without a frame, in seconds.
func silent(samples []Sample) (longest float64) {
	last := 0
	for i := range samples {
		if samples[i].Link.Frames != samples[last].Link.Frames {
			last = i
		}
		longest = max(longest, samples[i].At.Sub(samples[last].At).Seconds())
	}
	return longest
}

// Points returns what happened between each two samples, at most n points.
func Points(samples []Sample, n int) (points []Point) {
	step := max(1, (len(samples)+n-1)/n)
	for i := 0; i+step < len(samples); i += step {
		w, err := Between(&samples[i], &samples[i+step])
		if err != nil || w.Seconds <= 0 {
			continue
		}
		rate := func(n uint64) float64 { return float64(n) / w.Seconds }
		points = append(points, Point{
			Seconds: samples[i+step].At.Sub(samples[0].At).Seconds(), Frames: rate(w.Frames), Missing: rate(w.Missing),
			Repaired: rate(w.Repaired), Lost: rate(w.Lost), Damaged: rate(w.Damaged), Dropped: rate(w.Dropped),
			Delay: largest(w.Delay),
		})
	}
	return points
}

// less is how much a counter has risen; one that fell has not.
func less(after, before uint64) uint64 { return after - min(after, before) }

// difference is what a histogram counted from one moment to the other.
func difference(a, b histogram) histogram {
	out := histogram{Bounds: b.Bounds, Counts: slices.Clone(b.Counts)}
	if !slices.Equal(a.Bounds, b.Bounds) {
		return out
	}
	for i := range out.Counts {
		out.Counts[i] = less(b.Counts[i], a.Counts[i])
	}
	return out
}

// total is how many a histogram counts.
func total(h histogram) (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// largest returns the bound of the largest that was counted, 0 for none, and twice the last
// bound for what is beyond all.
func largest(h histogram) float64 { return quantile(h, 1) }

// quantile returns the bound below which a share of all is.
func quantile(h histogram, share float64) float64 {
	sum, all := 0.0, float64(total(h))
	for i, c := range h.Counts {
		if sum += float64(c); all > 0 && sum >= share*all {
			if i == len(h.Bounds) {
				return 2 * h.Bounds[i-1]
			}
			return h.Bounds[i]
		}
	}
	return 0
}
