package mqtt

import (
	"sync"

	"heliograph/firmware/mqtt/packet"
)

// maxUnread is how many bytes of messages a library may have read and not
// handed over for more to be read: it queues as many messages as the Receive
// Maximum says, of any size.
const maxUnread = 1 << 20

// unread bounds the messages that a library has read and not handed over. The
// zero value bounds nothing.
type unread struct {
	mu      sync.Mutex
	bounded bool
	sizes   []int64 // of messages, in the order in which they were read
	bytes   int64
	room    chan struct{} // closed when there is room; nil: nothing waits for that
}

// bound begins to bound.
func (u *unread) bound() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bounded = true
}

// repeats reports whether a library may answer a message by itself: one of
// QoS 2 that the broker sends again.
func repeats(qos byte, dup bool) bool { return qos == 2 && dup }

// read notes a packet that was read.
func (u *unread) read(h *packet.Header) {
	if h.Type() != packet.Publish || repeats(h.First()>>1&3, h.First()>>3&1 == 1) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bounded {
		u.sizes = append(u.sizes, h.Size())
		u.bytes += h.Size()
	}
}

// handedOver notes that the oldest message was handed over.
func (u *unread) handedOver(qos byte, dup bool) {
	if repeats(qos, dup) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.sizes) == 0 {
		return
	}
	u.bytes -= u.sizes[0]
	u.sizes = u.sizes[1:]
	if u.room != nil && u.bytes < maxUnread {
		close(u.room)
		u.room = nil
	}
}

// awaitRoom waits for room, and reports whether there is any before closed is.
func (u *unread) awaitRoom(closed <-chan struct{}) bool {
	u.mu.Lock()
	if u.bytes < maxUnread {
		u.mu.Unlock()
		return true
	}
	if u.room == nil {
		u.room = make(chan struct{})
	}
	room := u.room
	u.mu.Unlock()
	select {
	case <-room:
		return true
	case <-closed:
		return false
	}
}
