package aggregate_test

import (
	"fmt"
	"time"

	"heliograph/firmware/opcua/aggregate"
)

// The average and the time average of a tank's level for two intervals of ten seconds.
func ExampleCompute() {
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	levels := map[time.Duration]float64{0: 40, 8 * time.Second: 48, 10 * time.Second: 50, 20 * time.Second: 50}
	source := func(yield func(aggregate.Value, error) bool) {
		for _, after := range []time.Duration{0, 8 * time.Second, 10 * time.Second, 20 * time.Second} {
			if !yield(aggregate.Value{Time: noon.Add(after), Value: levels[after], HasValue: true}, nil) {
				return
			}
		}
	}
	for _, id := range []uint32{2342, 2343} {
		err := aggregate.Compute(id, source, noon, noon.Add(20*time.Second), 10*time.Second, aggregate.DefaultConfig(),
			func(v aggregate.Value) bool {
				fmt.Printf("%s %s %.1f %#x\n", aggregate.Name(id), v.Time.Format("15:04:05"), v.Value, uint32(v.Status))
				return true
			})
		if err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// Average 12:00:00 44.0 0x401
	// Average 12:00:10 50.0 0x401
	// TimeAverage 12:00:00 45.0 0x401
	// TimeAverage 12:00:10 50.0 0x401
}
