package ethernet

import (
	"net"

	"heliograph/drivers/netdev"
)

// Arrived returns how many packets a transmitter's interface has received, damaged ones
// included; ok is false where that is not known.
func (t *Transmitter) Arrived() (packets uint64, ok bool) {
	t.mu.Lock()
	name := t.name
	t.mu.Unlock()
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0, false
	}
	traffic, err := netdev.TrafficOf(i.Index)
	return traffic.Received, err == nil
}
