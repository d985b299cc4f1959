package status

import (
	"math"
	"sync"
	"time"

	"heliograph/firmware/platform/task"
)

const (
	rateOver  = 10 * time.Second // what a rate is measured over
	rateEvery = time.Second      // at most one count is kept in this time
)

// Observer adds to the snapshots of one role what takes more than one of them: the
// verdict with its since-when, and rates. Observe every second or two, also when no client
// asks. The zero value is ready. Safe for concurrent use.
type Observer struct {
	mu       sync.Mutex
	trusting trusting
	rates    map[string]*rate // by channel
}

// Observe completes a snapshot that was taken from now on: by now those that are overtaken
// are found. ready is why the role is not ready.
func (o *Observer) Observe(now time.Time, s *Snapshot, ready task.Reasons) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s.SetReady(ready)
	for i, c := range s.Certificates {
		s.Certificates[i].DaysLeft = int(math.Floor(c.Expires.Sub(now).Hours() / 24))
	}
	rates := make(map[string]*rate, len(s.Channels))
	for name, c := range s.Channels {
		count := c.reached()
		if s.Role == "tx" {
			count = c.Sent
		}
		if count == nil {
			continue
		}
		r := o.rates[name]
		if r == nil {
			r = &rate{}
		}
		rates[name] = r
		c.Rate = r.add(now, *count)
		s.Channels[name] = c
	}
	o.rates = rates
	s.Trust = o.trusting.judge(now, s)
}

// overtaken says whether a count is older than the last one, and not of a counter that began
// again: callers take their snapshots at once, and observe them in any order.
func overtaken(now time.Time, count uint64, last time.Time, lastCount uint64) bool {
	return count < lastCount && now.Sub(last) < rateEvery
}

// rate measures how fast a count rises.
type rate struct {
	points []point
	last   point
}

type point struct {
	at    time.Time
	count uint64
}

// add notes a count and returns its rate of late in 1/s, nil while it is not known.
func (r *rate) add(now time.Time, count uint64) *float64 {
	if overtaken(now, count, r.last.at, r.last.count) {
		count = r.last.count
	} else {
		r.last = point{now, count}
	}
	if n := len(r.points); n > 0 && count < r.points[n-1].count {
		r.points = nil // it began again
	}
	if n := len(r.points); n == 0 || now.Sub(r.points[n-1].at) >= rateEvery {
		r.points = append(r.points, point{now, count})
	}
	for len(r.points) > 1 && now.Sub(r.points[1].at) >= rateOver {
		r.points = r.points[1:]
	}
	first := r.points[0]
	over := now.Sub(first.at)
	if over < rateEvery {
		return nil
	}
	return Of(float64(count-first.count) / over.Seconds())
}
