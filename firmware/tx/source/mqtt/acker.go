package mqtt

import "sync"

// acker acknowledges messages in the order in which they came, however their
// records leave, from a goroutine of its own: whoever says that a record has
// left must not wait for a broker.
type acker struct {
	mu     sync.Mutex
	wake   *sync.Cond
	queue  []*pending
	closed bool
}

type pending struct {
	ack  func()
	done bool
}

func newAcker() *acker {
	a := &acker{}
	a.wake = sync.NewCond(&a.mu)
	go a.run()
	return a
}

// expect takes a place in the order. The returned func says that the message
// may be acknowledged once its turn comes.
func (a *acker) expect(ack func()) (done func()) {
	if ack == nil {
		return func() {}
	}
	p := &pending{ack: ack}
	a.mu.Lock()
	a.queue = append(a.queue, p)
	a.mu.Unlock()
	return func() {
		a.mu.Lock()
		p.done = true
		a.mu.Unlock()
		a.wake.Signal()
	}
}

func (a *acker) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.wake.Signal()
}

func (a *acker) run() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for !a.closed {
		if len(a.queue) == 0 || !a.queue[0].done {
			a.wake.Wait()
			continue
		}
		p := a.queue[0]
		a.queue = a.queue[1:]
		a.mu.Unlock()
		p.ack()
		a.mu.Lock()
	}
}
