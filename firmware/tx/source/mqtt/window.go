package mqtt

import "sync"

// mostUnread is how many bytes of messages a library may have read and not
// handed over for more to be read: it queues as many messages as the Receive
// Maximum says, whatever their size.
const mostUnread = 1 << 20

// window bounds the messages that a library has read and not handed over. The
// zero value bounds nothing.
type window struct {
	mu     sync.Mutex
	on     bool
	sizes  []int64 // of messages, in the order in which they were read
	bytes  int64
	roomed chan struct{} // closed when there is room; nil: nothing waits for that
}

// bound begins to bound.
func (w *window) bound() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on = true
}

// repeats reports whether a library may answer a message by itself: one of
// QoS 2 that the broker sends again.
func repeats(qos byte, dup bool) bool { return qos == 2 && dup }

// read notes a packet that was read.
func (w *window) read(head byte, size int64) {
	if head>>4 != typePublish || repeats(head>>1&3, head>>3&1 == 1) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.on {
		w.sizes = append(w.sizes, size)
		w.bytes += size
	}
}

// handed notes that the oldest message was handed over.
func (w *window) handed(qos byte, dup bool) {
	if repeats(qos, dup) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.sizes) == 0 {
		return
	}
	w.bytes -= w.sizes[0]
	w.sizes = w.sizes[1:]
	if w.roomed != nil && w.bytes < mostUnread {
		close(w.roomed)
		w.roomed = nil
	}
}

// wait waits for room, and reports whether there is any before closed is.
func (w *window) wait(closed <-chan struct{}) bool {
	w.mu.Lock()
	if w.bytes < mostUnread {
		w.mu.Unlock()
		return true
	}
	if w.roomed == nil {
		w.roomed = make(chan struct{})
	}
	roomed := w.roomed
	w.mu.Unlock()
	select {
	case <-roomed:
		return true
	case <-closed:
		return false
	}
}
