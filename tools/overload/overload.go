// Package overload floods a pair of roles, as real processes on loopback, and
// measures what honest traffic beside each flood keeps of its goodput.
//
// Each flood has honest traffic that shares something with it: a port, a broker,
// the link, the mirror. The honest traffic runs for a while alone and then beside
// the flood; the ratio of the two rates is the result. The memory that both roles
// took at most over all floods is measured too.
//
// It needs heliotx and heliorx beside the program, and mosquitto as the plant's
// broker, with the configuration that it has without a file. It refuses to flood
// anything but loopback.
package overload

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Result is what a flood left of honest traffic.
type Result struct {
	Name          string
	Alone, Beside float64 // units per second
	Note          string
}

// Ratio is what is left, of 1.
func (r Result) Ratio() float64 { return r.Beside / r.Alone }

// Peak is the memory that a role took at most.
type Peak struct {
	Role  string
	Bytes int64
}

const (
	measured = 4 * time.Second // of each run
	settle   = time.Second     // a flood runs for so long before it counts
)

// flood is a flood and the honest traffic beside it.
type flood struct {
	name, note string
	// honest does honest work until ctx ends and returns how much of it was done.
	honest func(ctx context.Context, r *testbed) (uint64, error)
	// flood goes on until ctx ends; what it is refused is not an error.
	flood func(ctx context.Context, r *testbed) error
}

// Run runs every flood against a pair made for it, and reports progress.
func Run(programs string, progress io.Writer) ([]Result, []Peak, error) {
	r, err := start(programs)
	if err != nil {
		return nil, nil, err
	}
	defer r.stop()
	var results []Result
	for _, f := range floods() {
		fmt.Fprintf(progress, "overload: %s …\n", f.name)
		result, err := r.measure(f)
		if err != nil {
			return results, nil, fmt.Errorf("overload: %s: %w\n%s", f.name, err, r.logs())
		}
		results = append(results, result)
	}
	peaks, err := r.peaks()
	return results, peaks, err
}

func (r *testbed) measure(f flood) (Result, error) {
	out := Result{Name: f.name, Note: f.note}
	var err error
	if out.Alone, err = r.rate(f); err != nil {
		return out, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	flooded := make(chan error, 1)
	go func() { flooded <- f.flood(ctx, r) }()
	time.Sleep(settle)
	out.Beside, err = r.rate(f)
	cancel()
	if failed := <-flooded; err == nil && ctx.Err() == nil {
		err = failed
	}
	return out, err
}

func (r *testbed) rate(f flood) (float64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), measured)
	defer cancel()
	began := time.Now()
	n, err := f.honest(ctx, r)
	return float64(n) / time.Since(began).Seconds(), err
}
