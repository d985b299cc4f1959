package udp

import (
	"net"
	"testing"

	"heliograph/ci/await"
	"heliograph/drivers/ethernet/ethernettest"

	"golang.org/x/sys/unix"
)

func TestATransmitterCountsWhatReachesItsSocket(t *testing.T) {
	far, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = far.Close() }()
	tx, err := Dial(far.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Close() }()
	if _, err := tx.Transmit([][]byte{{1}}); err != nil {
		t.Fatal(err)
	}
	_, from, err := far.ReadFromUDP(make([]byte, 9))
	if err != nil {
		t.Fatal(err)
	}
	if n := tx.Refused(); n != 0 {
		t.Errorf("a one-way link: got %d, want 0", n)
	}
	for range 3 {
		if _, err := far.WriteToUDP([]byte("back"), from); err != nil {
			t.Fatal(err)
		}
	}
	await.True(t, "3 datagrams are counted", func() bool { return tx.Refused() == 3 })
	if n, ok := tx.Arrived(); ok {
		t.Errorf("loopback receives what it sends: got %d, want that nothing is known", n)
	}
	_ = tx.socket.Control(func(fd int) { // and none of it can be read
		if n, err := unix.Read(fd, make([]byte, 9)); n > 0 || err != unix.EAGAIN {
			t.Errorf("got %d bytes, %v; want none", n, err)
		}
	})
}

// TestArrivedAsksNoNameserver: heliotx calls it every 2 s, in a task whose progress counts.
func TestArrivedAsksNoNameserver(t *testing.T) {
	ethernettest.Namespace(t, "that no nameserver is asked for what has arrived")
	ethernettest.Cable(t, "near", "far")
	ethernettest.IP(t, "address", "add", "192.0.2.2/24", "dev", "near")
	ethernettest.IP(t, "link", "set", "near", "up")
	tx, err := Dial("192.0.2.1:17000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Close() }()
	tx.to.name = "rx.invalid:17000" // RFC 6761
	if _, ok := tx.Arrived(); !ok {
		t.Error("got nothing known while no nameserver has the link's name")
	}
}
