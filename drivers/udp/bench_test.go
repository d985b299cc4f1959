package udp

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkLoopback sends and receives in turn, so that nothing is lost and
// both sides' time is seen. One op is 44 frames.
func BenchmarkLoopback(b *testing.B) {
	for _, size := range []int{1400, MaxFrame} {
		for _, whole := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dB/segmented=%t", size, !whole), func(b *testing.B) {
				tx, rx := pair(b, "127.0.0.1")
				tx.single.Store(whole)
				frames := numbered(slices.Repeat([]int{size}, 44)...)
				got := 0
				deliver := func([]byte) { got++ }
				b.SetBytes(int64(size * len(frames)))
				start := processorTime(b)
				for b.Loop() {
					if n, err := tx.Transmit(frames); n != len(frames) || err != nil {
						b.Fatal(n, err)
					}
					for want := got + len(frames); got < want; {
						if err := rx.Receive(time.Second, deliver); err != nil {
							b.Fatal(err)
						}
					}
				}
				gigabytes := float64(size*len(frames)) * float64(b.N) / 1e9
				b.ReportMetric((processorTime(b)-start).Seconds()/gigabytes, "CPU-s/GB")
			})
		}
	}
}

func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
