package aggregate

import (
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
)

// steady serves n samples, one a second, some of them Bad or Uncertain.
func steady(n int) Source {
	return func(yield func(Value, error) bool) {
		for i := range n {
			v := Value{Time: epoch.Add(time.Duration(i) * time.Second), Value: float64(i % 100), HasValue: true}
			switch i % 50 {
			case 10:
				v.Status = ua.StatusBad
			case 20:
				v.Status = ua.StatusUncertain
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

// epoch is where the data of the tests begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func BenchmarkCompute(b *testing.B) {
	const n = 100_000
	end := epoch.Add(n * time.Second)
	for _, id := range List() {
		b.Run(Name(id), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Compute(id, steady(n), epoch, end, time.Minute, DefaultConfig(), accept); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
		})
	}
}

func accept(Value) bool { return true }

func TestMemoryDoesNotGrowWithSamples(t *testing.T) {
	for _, id := range List() {
		allocs := func(n int) float64 {
			end := epoch.Add(time.Duration(n) * time.Second)
			return testing.AllocsPerRun(5, func() {
				if err := Compute(id, steady(n), epoch, end, end.Sub(epoch)/10, DefaultConfig(), accept); err != nil {
					t.Fatal(err)
				}
			})
		}
		if few, many := allocs(100), allocs(10_000); many > few {
			t.Errorf("%s: %v allocations for 10,000 samples, %v for 100", Name(id), many, few)
		}
	}
}
