package mqtt

import (
	"testing"

	"heliograph/firmware/mqtt/packet"
)

// TestUnreadMessagesAreBounded checks when a connection stops reading.
func TestUnreadMessagesAreBounded(t *testing.T) {
	var u unread
	u.bound()
	const qos1, repeated = packet.Publish<<4 | 1<<1, packet.Publish<<4 | 2<<1 | 1<<3
	read := func(first byte, size int) {
		var h packet.Header
		_, _ = h.Add(first)
		for more := true; more; {
			b := byte(size & 0x7f)
			if size >>= 7; size > 0 {
				b |= 0x80
			}
			done, err := h.Add(b)
			if err != nil {
				t.Fatal(err)
			}
			more = !done
		}
		u.read(&h)
	}
	never, ended := make(chan struct{}), make(chan struct{})
	close(ended)
	read(packet.Suback<<4, 10*maxUnread)
	read(repeated, 10*maxUnread) // the library may answer it by itself
	read(qos1, maxUnread-1)
	if !u.awaitRoom(never) {
		t.Error("got no room for more, although there is")
	}
	read(qos1, 1)
	if u.awaitRoom(ended) {
		t.Error("got room with all of it unread")
	}
	waited := make(chan bool)
	go func() { waited <- u.awaitRoom(never) }()
	u.handedOver(2, true) // the repeated one, which was not counted
	select {
	case <-waited:
		t.Error("a repeated message made room")
	default:
	}
	u.handedOver(1, false)
	if !<-waited {
		t.Error("got no room once the first was handed over")
	}
}
