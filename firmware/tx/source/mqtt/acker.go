package mqtt

import (
	"sync"
	"sync/atomic"
)

// acker acknowledges messages in the order in which they came, however their
// records leave, from a goroutine of its own: the link must not wait for a broker.
// What waits is bounded by what the broker sends unacknowledged.
type acker struct {
	mu       sync.Mutex
	wake     *sync.Cond
	queue    []*pendingAck
	expected uint64
	acked    uint64
	closed   bool
	total    *atomic.Uint64 // acknowledged, by all connections
}

type pendingAck struct {
	ack  func()
	done bool
}

func newAcker(total *atomic.Uint64) *acker {
	a := &acker{total: total}
	a.wake = sync.NewCond(&a.mu)
	go a.acknowledge()
	return a
}

// expect adds an acknowledgement to the order. The returned func says that the
// message may be acknowledged once its turn comes.
func (a *acker) expect(ack func()) (done func()) {
	if ack == nil {
		return func() {}
	}
	p := &pendingAck{ack: ack}
	a.mu.Lock()
	a.queue = append(a.queue, p)
	a.expected++
	a.mu.Unlock()
	return func() {
		a.mu.Lock()
		p.done = true
		a.mu.Unlock()
		a.wake.Signal()
	}
}

// progress returns how many acknowledgements were expected, and how many of them were
// sent.
func (a *acker) progress() (expected, acked uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.expected, a.acked
}

func (a *acker) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.wake.Signal()
}

// acknowledge sends what is due, oldest first, until close.
func (a *acker) acknowledge() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.closed {
		if len(a.queue) == 0 || !a.queue[0].done {
			a.wake.Wait()
			continue
		}
		p := a.queue[0]
		a.queue[0] = nil
		a.queue = a.queue[1:]
		ack := p.ack
		p.ack = nil // it has the message, and a delivery of QoS 2 outlives it
		a.mu.Unlock()
		ack()
		a.total.Add(1)
		a.mu.Lock()
		a.acked++
	}
}
