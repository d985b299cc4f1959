package main

import (
	"log/slog"
	"os"
	"testing"

	"heliograph/drivers/ethernet/ethernettest"
	"heliograph/drivers/isolate"
	"heliograph/firmware/config"
	"heliograph/rootfs/sandbox"
)

// TestAnInterfaceThatReturnsIsSeen: as an adapter on USB that is pulled and put back, in
// each direction of the link.
func TestAnInterfaceThatReturnsIsSeen(t *testing.T) {
	ethernettest.Namespace(t, "that a link's interface which returns is opened again")
	d := drivers{log: slog.New(slog.DiscardHandler)}
	for name, direction := range map[string]sandbox.Direction{"tx": sandbox.Transmit, "rx": sandbox.Receive} {
		ethernettest.Cable(t, "near0", "far0")
		l := config.Link{Medium: config.Ethernet, Interface: "near0"}
		for range 2 { // the second time it is the one that returned
			f, _, err := d.OpenLink(l, direction)
			if err != nil {
				t.Fatal(name, err)
			}
			tunnel(t, f)
			if d.Returned(l, f) {
				t.Errorf("%s: an interface that is in use was taken for one that returned", name)
			}
			ethernettest.Cable(t, "near0", "far1")
			if d.Returned(l, f) {
				t.Errorf("%s: another interface of its name was taken for one that returned", name)
			}
			ethernettest.IP(t, "link", "del", "far1")
			ethernettest.IP(t, "link", "del", "far0") // takes the other end with it
			if d.Returned(l, f) {
				t.Errorf("%s: an interface that is away was taken for one that returned", name)
			}
			ethernettest.Cable(t, "near0", "far0")
			if !d.Returned(l, f) {
				t.Errorf("%s: an interface that returned was not seen", name)
			}
			if err := f.Close(); err != nil {
				t.Fatal(name, err)
			}
		}
		ethernettest.IP(t, "link", "del", "far0")
	}
}

// tunnel makes one in the network namespace of a socket, as the kernels of boards do by themselves (sit0).
func tunnel(t *testing.T, socket *os.File) {
	t.Helper()
	if err := isolate.Within(socket, func() error {
		ethernettest.IP(t, "tuntap", "add", "tunnel0", "mode", "tun")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
