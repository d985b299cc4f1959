package udp

import (
	"heliograph/drivers/netdev"
	"heliograph/drivers/udp/mmsg"
)

// Refused counts what reached a transmitter's socket, whose filter drops it: on a one-way
// link nothing does. It is 0 once the socket is closed.
func (t *Transmitter) Refused() (n uint64) {
	_ = t.socket.Control(func(fd int) {
		if m, err := mmsg.ReadMemInfo(fd); err == nil {
			n = uint64(m.Drops)
		}
	})
	return n
}

// Arrived returns how many packets the interface has received by which frames leave; ok is
// false where that is not known, or where it is loopback, which receives what it sends.
func (t *Transmitter) Arrived() (packets uint64, ok bool) {
	index, ok := netdev.Towards(t.to.number)
	if !ok {
		return 0, false
	}
	traffic, err := netdev.TrafficOf(index)
	return traffic.Received, err == nil
}
