package bench

import (
	"sync/atomic"
	"time"

	"heliograph/firmware/rx/sink"
	"heliograph/firmware/tx/source"
)

// counter counts what arrives.
type counter struct{ records, bytes atomic.Uint64 }

// Deliver implements sink.Sink.
func (c *counter) Deliver(u sink.Update) {
	c.records.Add(1)
	c.bytes.Add(uint64(len(u.Payload)))
}

// Flow is the result of filling a line with events.
type Flow struct {
	RecordsPerSecond float64 `json:"records_per_second"`
	BytesPerSecond   float64 `json:"bytes_per_second"` // of payloads
	CPUPerGB         float64 `json:"cpu_seconds_per_gb"`
	Lost             uint64  `json:"lost_records"`
}

// fill keeps the line full of events of size bytes for d, and measures.
func fill(o options, size int, d time.Duration) (Flow, error) {
	var c counter
	r, err := start(o, to(&c))
	if err != nil {
		return Flow{}, err
	}
	defer r.stop()
	const window = 8 << 20 // bytes that wait
	put := func(until time.Time) {
		for time.Now().Before(until) {
			for n := 0; n < window/4/size; n++ {
				_ = r.port.Put(source.Update{Payload: make([]byte, size), Event: true})
			}
			for r.queued() > window {
				time.Sleep(200 * time.Microsecond)
			}
		}
	}
	put(time.Now().Add(d / 4)) // warm-up
	began, used := time.Now(), cpu()
	records, bytes := c.records.Load(), c.bytes.Load()
	put(began.Add(d))
	took, spent := time.Since(began).Seconds(), (cpu() - used).Seconds()
	got := float64(c.bytes.Load() - bytes)
	f := Flow{
		RecordsPerSecond: float64(c.records.Load()-records) / took, BytesPerSecond: got / took,
		CPUPerGB: spent / (got / 1e9),
	}
	for r.queued() > 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(1500 * time.Millisecond) // for the totals that reveal a lost tail
	f.Lost = r.rx.Status().Channels[0].Lost
	return f, nil
}
