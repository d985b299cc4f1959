package mqtt

import (
	"runtime"
	"sync/atomic"
	"testing"
	"weak"

	"heliograph/ci/await"
)

func TestAcknowledgementsKeepTheOrderOfArrival(t *testing.T) {
	var total atomic.Uint64
	a := newAcker(&total)
	defer a.close()
	acked := make(chan int, 100)
	var done []func()
	var first atomic.Bool // left
	for i := range 100 {
		done = append(done, a.expect(func() {
			if !first.Load() {
				t.Errorf("got %d acknowledged before the first had left", i)
			}
			acked <- i
		}))
	}
	for i := len(done) - 1; i > 0; i-- {
		done[i]()
		runtime.Gosched()
	}
	first.Store(true)
	done[0]()
	for i := range done {
		if got := <-acked; got != i {
			t.Fatalf("got %d, want %d", got, i)
		}
	}
	await.True(t, "all are counted", func() bool { return total.Load() == 100 })
}

// TestAnAcknowledgedMessageIsLetGo: a delivery of QoS 2 lasts until the broker ends its exchange.
func TestAnAcknowledgedMessageIsLetGo(t *testing.T) {
	var total atomic.Uint64
	a := newAcker(&total)
	defer a.close()
	message := make([]byte, 1<<20)
	left := weak.Make(&message[0])
	done := a.expect(func() { _ = message[0] })
	done()
	await.True(t, "it is acknowledged", func() bool { return total.Load() == 1 })
	await.True(t, "it is let go", func() bool {
		runtime.GC()
		return left.Value() == nil
	})
	runtime.KeepAlive(done)
}
