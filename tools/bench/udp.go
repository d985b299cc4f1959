package bench

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"heliograph/firmware/rx/sink"
	"heliograph/firmware/tx/source"
)

// goodput fills a line of 400 MB/s with records that nearly fill a frame.
func goodput() ([]Figure, error) {
	o, err := udpOptions(400e6)
	if err != nil {
		return nil, err
	}
	f, err := fill(o, 1380, 5*time.Second)
	note := "UDP on loopback, 1500 MTU, 25 % parity, sealed; load generator included"
	return []Figure{
		{Name: "datagram goodput", Value: f.BytesPerSecond / 1e6, Unit: "MB/s", Budget: 150, Note: note},
		{Name: "datagram CPU", Value: f.CPUPerGB, Unit: "CPU-s/GB", Budget: 5, AtMost: true, Note: note},
		{Name: "datagram records lost", Value: float64(f.Lost), Unit: "records", Budget: 0, AtMost: true},
	}, err
}

// events fills a line of 400 Mbit/s with records of 200 bytes.
func events() ([]Figure, error) {
	o, err := udpOptions(50e6)
	if err != nil {
		return nil, err
	}
	f, err := fill(o, 200, 4*time.Second)
	return []Figure{{Name: "events of 200 B at 400 Mbit/s", Value: f.RecordsPerSecond, Unit: "records/s",
		Budget: 100_000, Note: "bound by the line"}}, err
}

// stopwatch takes events whose payload begins with the time they were Put.
type stopwatch struct {
	mu   sync.Mutex
	took []time.Duration
	base time.Time
}

// Deliver implements sink.Sink.
func (s *stopwatch) Deliver(u sink.Update) {
	now := time.Since(s.base)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = append(s.took, now-time.Duration(binary.BigEndian.Uint64(u.Payload)))
}

// latency puts 10,000 events a second on a line of 100 Mbit/s.
func latency() ([]Figure, error) {
	o, err := udpOptions(12.5e6)
	if err != nil {
		return nil, err
	}
	w := &stopwatch{base: time.Now()}
	r, err := start(o, to(w))
	if err != nil {
		return nil, err
	}
	defer r.stop()
	time.Sleep(200 * time.Millisecond) // the session opens
	const every, n = 100 * time.Microsecond, 40_000
	began := time.Now()
	for i := range n {
		for time.Since(began) < time.Duration(i)*every {
			time.Sleep(every / 2)
		}
		b := make([]byte, 200)
		binary.BigEndian.PutUint64(b, uint64(time.Since(w.base)))
		if err := r.port.Put(source.Update{Payload: b, Event: true}); err != nil {
			return nil, err
		}
	}
	time.Sleep(time.Second)
	w.mu.Lock()
	defer w.mu.Unlock()
	p50, p99 := percentiles(w.took)
	return []Figure{
		{Name: "latency p50", Value: p50, Unit: "ms", Budget: 1, AtMost: true,
			Note: "200 B events, 10,000/s, clean link"},
		{Name: "latency p99", Value: p99, Unit: "ms", Budget: 5, AtMost: true, Note: "a quiet machine is assumed"},
	}, nil
}

// percentiles returns the median and the 99th percentile in milliseconds.
func percentiles(d []time.Duration) (p50, p99 float64) {
	if len(d) == 0 {
		return 0, 0
	}
	slices.Sort(d)
	ms := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
	return ms(d[len(d)/2]), ms(d[len(d)*99/100])
}
