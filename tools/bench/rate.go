package bench

import (
	"fmt"
	"time"

	"heliograph/firmware/tx/source"
)

// stateRate puts new values in batches as fast as they cross a line of
// 800 Mbit/s. No value takes the place of one that waits: there are more tags
// than may wait.
func stateRate() ([]Figure, error) {
	o, err := udpOptions(100e6)
	if err != nil {
		return nil, err
	}
	var c counter
	r, err := start(o, to(&c))
	if err != nil {
		return nil, err
	}
	defer r.stop()
	const tagged = 100_000
	const window = tagged / 4 * 60 // bytes that wait; one takes more
	g := newTags(tagged)
	for _, key := range g.keys {
		if err := r.port.Put(source.Update{Key: key, Payload: []byte{0}}); err != nil {
			return nil, err
		}
	}
	ready := make([]source.Update, 1<<18) // made beforehand: a source is not measured here
	for i := range ready {
		ready[i] = g.slow()
	}
	next := 0
	put := func(until time.Time) error {
		for time.Now().Before(until) {
			for range batch {
				if err := r.port.Put(ready[next]); err != nil {
					return err
				}
				next = (next + 1) % len(ready)
			}
			for r.queued() > window {
				time.Sleep(200 * time.Microsecond)
			}
		}
		return nil
	}
	if err := put(time.Now().Add(time.Second)); err != nil { // warm-up
		return nil, err
	}
	began, used, records := time.Now(), cpu(), c.records.Load()
	if err := put(began.Add(4 * time.Second)); err != nil {
		return nil, err
	}
	took, spent := time.Since(began).Seconds(), (cpu() - used).Seconds()
	n := float64(c.records.Load() - records)
	return []Figure{{Name: "state changes", Value: n / took, Unit: "changes/s", Budget: 100_000, Note: fmt.Sprintf(
		"Port.Put to sink, 100,000 tags, batches of %d, UDP on loopback; %.2g µs of CPU each, both ends and load",
		batch, spent/n*1e6)}}, nil
}
