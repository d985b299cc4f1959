package main

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/drivers/drivertest"
	"heliograph/drivers/ethernet/ethernettest"
	"heliograph/drivers/probe"
	"heliograph/drivers/udp"
	"heliograph/firmware/config"
	"heliograph/rootfs/sandbox"
)

const (
	probeBound = time.Minute // for a machine that is busy
	perMeans   = 20
)

// linkFrame is one as TX sends them.
func linkFrame() []byte {
	return append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 0x88, 0xb5}, make([]byte, 50)...)
}

// sending does something again and again until the test ends, as TX sends.
func sending(t *testing.T, do func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			do()
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
}

// arrivals counts the packets of each EtherType that a back-channel brings, until there are n.
func arrivals(t *testing.T, back *ethernettest.Tap, n int) map[uint16]int {
	t.Helper()
	got := map[uint16]int{}
	for range n {
		p := back.Next(t, probeBound)
		if len(p) < 14 {
			t.Fatalf("got %v and no more, want %d packets", got, n)
		}
		got[binary.BigEndian.Uint16(p[12:])]++
	}
	return got
}

// opened opens a link as PID 1 does, until the test ends.
func opened(t *testing.T, l config.Link, to sandbox.Direction) (drivers, *os.File) {
	t.Helper()
	d := drivers{log: slog.New(slog.DiscardHandler)}
	f, _, err := d.OpenLink(l, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return d, f
}

// A veth is a back-channel: what RX sends arrives at TX's end. The interface is in a network
// namespace where only the link's socket is.
func TestProbesLeaveAnIsolatedInterface(t *testing.T) {
	ethernettest.Namespace(t, "that PID 1 sends probes on an isolated interface")
	ethernettest.Cable(t, "near0", "far0")
	back := ethernettest.OpenTap(t, "far0")
	l := config.Link{Medium: config.Ethernet, Interface: "mac:02:00:00:00:00:01"}
	d, f := opened(t, l, sandbox.Receive)
	frame := linkFrame()
	sending(t, func() { back.Send(t, frame) })
	r := d.Probe(t.Context(), l, f, probe.Plan{Count: perMeans})
	if len(r.Sent) != 6 || r.Left == nil || *r.Left != 6*perMeans || r.Reason != "" {
		t.Fatalf("got %+v, want six means", r)
	}
	for _, m := range r.Sent {
		if m.Count != perMeans || m.Error != "" {
			t.Errorf("got %+v, want %d sent", m, perMeans)
		}
	}
	got := arrivals(t, back, 6*perMeans)
	if got[0x88b5] != 2*perMeans || got[0x0806] != perMeans || got[0x0800] != 2*perMeans || got[0x86dd] != perMeans {
		t.Errorf("got %v by EtherType", got)
	}
	ethernettest.IP(t, "link", "show", "far0") // this thread is where it was
	if p := back.Next(t, time.Millisecond); p != nil {
		t.Errorf("got % x after the probes", p)
	}
}

func TestProbesLeaveAnIsolatedInterfaceOverUDP(t *testing.T) {
	ethernettest.Namespace(t, "that PID 1 sends probes over UDP on an isolated interface")
	ethernettest.Cable(t, "near0", "far0")
	ethernettest.IP(t, "address", "add", "10.9.0.1/30", "dev", "far0")
	ethernettest.IP(t, "link", "set", "far0", "arp", "on")
	back := ethernettest.OpenTap(t, "far0")
	l := config.Link{Medium: config.UDP, Interface: "near0", Address: "10.9.0.2:17000",
		Local: netip.MustParsePrefix("10.9.0.2/30")}
	d, f := opened(t, l, sandbox.Receive)
	tx, err := net.Dial("udp4", "10.9.0.2:17000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Close() })
	sending(t, func() { _, _ = tx.Write([]byte("frame")) })
	r := d.Probe(t.Context(), l, f, probe.Plan{Count: perMeans})
	if len(r.Sent) != 6 || r.OneMachine || r.Left == nil || *r.Left < 6*perMeans {
		t.Fatalf("got %+v, want six means", r)
	}
	for got := 0; got < perMeans; {
		p := back.Next(t, probeBound)
		if p == nil {
			t.Fatalf("%d datagrams arrived, want %d", got, perMeans)
		}
		if strings.HasSuffix(strings.TrimRight(string(p), "\x00"), "heliograph reverse probe") && p[23] == 17 {
			got++
		}
	}
}

// The role's own descriptor goes on receiving, and the port is silent again afterwards.
func TestProbesLeaveASerialPortThatIsReceivedFrom(t *testing.T) {
	far, near := drivertest.OpenPTY(t)
	l := config.Link{Medium: config.UART, Device: near, Baud: 115200}
	d, f := opened(t, l, sandbox.Receive)
	arrived := make(chan int, 1)
	go func() {
		b, n := make([]byte, 4096), 0
		for n < perMeans*probe.Size {
			k, err := far.Read(b)
			if err != nil {
				break
			}
			n += k
		}
		arrived <- n
	}()
	r := d.Probe(t.Context(), l, f, probe.Plan{Count: perMeans})
	if len(r.Sent) != 1 || r.Sent[0].Count != perMeans || r.Reason != "" {
		t.Errorf("got %+v, want %d probes", r, perMeans)
	}
	select {
	case n := <-arrived:
		if n != perMeans*probe.Size {
			t.Errorf("%d bytes arrived, want %d", n, perMeans*probe.Size)
		}
	case <-time.After(probeBound):
		t.Fatal("not all bytes arrived")
	}
	if _, err := far.Write([]byte("frame")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 16)
	_ = f.SetReadDeadline(time.Now().Add(probeBound))
	if n, err := f.Read(b); string(b[:n]) != "frame" {
		t.Errorf("the role's descriptor has %q, %v", b[:n], err)
	}
}

func TestAProbeOnAnInterfaceThatIsAwaySaysSo(t *testing.T) {
	ethernettest.Namespace(t, "that a probe without an interface says so")
	ethernettest.Cable(t, "near0", "far0")
	l := config.Link{Medium: config.Ethernet, Interface: "near0"}
	d, f := opened(t, l, sandbox.Receive)
	ethernettest.IP(t, "link", "del", "far0")
	if r := d.Probe(t.Context(), l, f, probe.Plan{Count: perMeans}); len(r.Sent) > 0 || r.Reason == "" {
		t.Errorf("got %+v, want a reason", r)
	}
}

// PID 1 of a transmitter counts what comes back on its link, which its role may not ask for.
func TestWhatATransmittersLinkReceivesIsCounted(t *testing.T) {
	ethernettest.Namespace(t, "that PID 1 counts what a transmitter's link receives")
	ethernettest.Cable(t, "near0", "far0")
	back := ethernettest.OpenTap(t, "far0")
	l := config.Link{Medium: config.Ethernet, Interface: "near0"}
	d, f := opened(t, l, sandbox.Transmit)
	first := d.Received(l, f)
	if first == nil || first.Interface == nil {
		t.Fatalf("got %+v, want packets", first)
	}
	await.True(t, "what comes back is counted", func() bool {
		back.Send(t, linkFrame()) // the first ones may be dropped, while the cable comes up
		got := d.Received(l, f)
		return got != nil && *got.Interface >= *first.Interface+7
	})
	ethernettest.IP(t, "link", "del", "far0")
	if got := d.Received(l, f); got != nil {
		t.Errorf("without the interface: got %+v", got)
	}
}

func TestWhatATransmittersLinkReceivesOverUDPIsCounted(t *testing.T) {
	ethernettest.Namespace(t, "that PID 1 counts what a transmitter's link over UDP receives")
	ethernettest.Cable(t, "near0", "far0")
	ethernettest.IP(t, "address", "add", "10.9.0.2/30", "dev", "far0")
	ethernettest.IP(t, "link", "set", "far0", "arp", "on")
	l := config.Link{Medium: config.UDP, Interface: "near0", Address: "10.9.0.2:17000",
		Local: netip.MustParsePrefix("10.9.0.1/30")}
	d, f := opened(t, l, sandbox.Transmit)
	if got := d.Received(l, f); got == nil || got.Socket == nil || *got.Socket != 0 || got.Interface == nil {
		t.Fatalf("got %+v, want none at the socket", got)
	}
	rx, err := net.ListenPacket("udp4", "10.9.0.2:17000")
	if err != nil {
		t.Fatal(err)
	}
	defer rx.Close()
	x, err := udp.TransmitterFrom(drivertest.Descriptor(t, f), l.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if n, err := x.Transmit([][]byte{[]byte("frame")}); n != 1 || err != nil {
		t.Fatalf("Transmit = %d, %v", n, err)
	}
	b := make([]byte, 16)
	_ = rx.SetReadDeadline(time.Now().Add(probeBound))
	_, from, err := rx.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := rx.WriteTo([]byte("back"), from); err != nil {
			t.Fatal(err)
		}
	}
	await.True(t, "all are counted", func() bool {
		got := d.Received(l, f)
		return got != nil && *got.Socket == 3 && *got.Interface >= 3
	})
}

func TestWhatATransmittersPortReceivesIsCounted(t *testing.T) {
	far, near := drivertest.OpenPTY(t)
	l := config.Link{Medium: config.UART, Device: near, Baud: 115200}
	d, f := opened(t, l, sandbox.Transmit)
	if got := d.Received(l, f); got == nil || got.Line == nil || *got.Line != 0 {
		t.Fatalf("got %+v, want no byte", got)
	}
	if _, err := far.Write([]byte("back")); err != nil {
		t.Fatal(err)
	}
	await.True(t, "all are counted", func() bool { got := d.Received(l, f); return got != nil && *got.Line == 4 })
}
