package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"heliograph/firmware/opcua/uabinary"
	"heliograph/firmware/rx/history"
)

// store is a history, with the changes of a server's variables.
type store struct {
	*history.Store
	tags *tags
	n    int
	peak uint64 // of the heap
}

// openStore begins a history in a folder.
func openStore(dir string, nodes int) (*store, error) {
	s, err := history.Open(dir, history.Limits{Age: 365 * 24 * time.Hour, Bytes: 4 << 30},
		slog.New(slog.DiscardHandler))
	return &store{Store: s, tags: newTags(nodes)}, err
}

// add adds n changes. Each node changes once in so many as there are nodes.
func (s *store) add(n int) {
	for range n {
		u := s.tags.slow()
		s.AddValue(u.Key, u.Time, u.Payload)
		if s.n++; s.n%100_000 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			s.peak = max(s.peak, m.HeapAlloc)
		}
	}
}

// historyFigures measures the store of the mirror's history.
func historyFigures() ([]Figure, error) {
	dir, err := os.MkdirTemp("", "heliograph-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench: %v", err)
	}
	defer os.RemoveAll(dir)
	ingest, err := historyIngest(dir + "/ingest")
	if err != nil {
		return nil, err
	}
	card, err := historyCard(dir+"/card", ingest.perChange)
	if err != nil {
		return nil, err
	}
	return append(ingest.figures(), card), nil
}

type ingestResult struct {
	perSecond, perChange, readMS, memory float64
	changes, read                        int
}

func (r *ingestResult) figures() []Figure {
	note := fmt.Sprintf("%d changes of 1,000 nodes as values of the link, slow Doubles with their own timestamps",
		r.changes)
	return []Figure{
		{Name: "history ingest", Value: r.perSecond, Unit: "changes/s", Budget: 20_000,
			Note: note + "; AddValue to disk"},
		{Name: "history on disk", Value: r.perChange, Unit: "B/change", Budget: 16, AtMost: true, Note: note},
		{Name: "history, an hour of a node", Value: r.readMS, Unit: "ms", Budget: 50, AtMost: true,
			Note: fmt.Sprintf("%d values at 1/s among 1,000 nodes, median of the nodes", r.read)},
		{Name: "history memory", Value: r.memory, Unit: "MB", Budget: 48, AtMost: true,
			Note: "the most heap beside what was there before, garbage included"},
	}
}

// historyIngest adds more than an hour's changes of 1,000 nodes at 1/s, as fast as it can.
func historyIngest(dir string) (r ingestResult, err error) {
	const nodes, seconds = 1000, 4500
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s, err := openStore(dir, nodes)
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	began, first := time.Now(), s.tags.at
	for range seconds {
		s.add(nodes)
		for s.Stats().Memory > 10<<20 { // the disk is behind
			time.Sleep(time.Millisecond)
		}
	}
	took := time.Since(began)
	r = ingestResult{changes: nodes * seconds, perSecond: nodes * seconds / took.Seconds(),
		memory: float64(s.peak-min(before.HeapAlloc, s.peak)) / 1e6}
	r.readMS, r.read, err = s.readHour(first)
	cancel()
	if err := errors.Join(err, <-done); err != nil {
		return r, err
	}
	st := s.Stats()
	r.perChange = float64(st.Bytes) / float64(st.Changes)
	if st.Dropped > 0 {
		return r, fmt.Errorf("bench: the history dropped %d of %d changes", st.Dropped, st.Added)
	}
	return r, nil
}

// readHour reads an hour of every node, from a time in ticks, and returns the median time
// and how many values there were. One reading takes about a millisecond: with 20 of them,
// six runs of one program gave medians of 0.57 to 1.00 ms.
func (s *store) readHour(first int64) (ms float64, values int, err error) {
	from := time.Unix(0, (first-uabinary.Ticks(time.Unix(0, 0)))*100)
	var took []time.Duration
	for _, key := range s.tags.keys {
		began := time.Now()
		values = 0
		if err := s.Values(key, from, from.Add(time.Hour), func(time.Time, []byte) bool {
			values++
			return true
		}); err != nil {
			return 0, 0, fmt.Errorf("bench: %v", err)
		}
		took = append(took, time.Since(began))
	}
	if values < 3000 || values > 4000 {
		return 0, 0, fmt.Errorf("bench: an hour at 1/s has %d values", values)
	}
	ms, _ = percentiles(took)
	return ms, values, nil
}

// historyCard adds 100 changes a second for a while, in real time. sealed is how many
// bytes a change takes when it is written the second time, in a segment.
func historyCard(dir string, sealed float64) (Figure, error) {
	const perSecond, settled, measured = 100, 5500 * time.Millisecond, 20 * time.Second
	s, err := openStore(dir, 1000)
	if err != nil {
		return Figure{}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	before := uint64(0)
	for began := time.Now(); time.Since(began) < settled+measured; time.Sleep(5 * time.Millisecond) {
		if due := int(time.Since(began).Seconds() * perSecond); due > s.n {
			s.add(due - s.n)
		}
		if time.Since(began) < settled {
			before = s.Stats().Written
		}
	}
	written := s.Stats().Written - before
	cancel()
	if err := <-done; err != nil {
		return Figure{}, err
	}
	day := float64(written)/measured.Seconds()*86400 + sealed*perSecond*86400
	return Figure{Name: "history, written to the card", Value: day / 1e6, Unit: "MB/day", Budget: 250, AtMost: true,
		Note: fmt.Sprintf("100 changes/s: the journal over %s (%.3g MB/day), and segments at %.3g B a change; "+
			"without what the file system adds", measured, float64(written)/measured.Seconds()*0.0864, sealed)}, nil
}
