package network

import (
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/drivers/drivertest"
	"heliograph/drivers/ethernet/ethernettest"
	"heliograph/drivers/neighbour"
	"heliograph/drivers/udp"
)

func TestALinkOverUDPHasAnInterfaceThatNothingElseReaches(t *testing.T) {
	ethernettest.Namespace(t, "that a link over UDP has an interface of its own")
	ethernettest.Cable(t, "near0", "far0")
	const address = "10.9.0.2:17000"
	var near, far *os.File
	var peer *neighbour.Entry
	err := Isolate("mac:02:00:00:00:00:01", netip.MustParsePrefix("10.9.0.1/30"), func() (err error) {
		if peer, err = neighbour.New(address, "02:00:00:00:00:02", slog.New(slog.DiscardHandler)); err != nil {
			return err
		}
		near, err = udp.DialFile(address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = Isolate("far0", netip.MustParsePrefix("10.9.0.2/30"), func() (err error) {
		far, err = udp.ListenFile(address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if out := ethernettest.IP(t, "-o", "link"); strings.Contains(out, "near0") || strings.Contains(out, "far0") {
		t.Errorf("got %s, want neither interface in reach", out)
	}
	x, err := udp.TransmitterFrom(drivertest.Descriptor(t, near), address)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	r, err := udp.ReceiverFrom(drivertest.Descriptor(t, far), address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	await.True(t, "a frame crosses, its receiver known to the sender's namespace", func() (ok bool) {
		_, _ = x.Transmit([][]byte{[]byte("frame")})
		if err := r.Receive(20*time.Millisecond, func([]byte) { ok = true }); err != nil {
			t.Fatal(err)
		}
		return ok && peer.Err() == nil
	})
}

func TestAnInterfaceThatCannotBeIsolatedIsAnError(t *testing.T) {
	ethernettest.Namespace(t, "that a missing interface of a link is an error")
	ethernettest.Cable(t, "near0", "far0")
	opened := func() error { t.Error("opened all the same"); return nil }
	err := Isolate("eth9", netip.MustParsePrefix("10.9.0.1/30"), opened)
	if err == nil || !strings.Contains(err.Error(), "near0 (mac:") {
		t.Errorf("got %v, want the interfaces that there are", err)
	}
	ethernettest.IP(t, "link", "show", "near0")
}
