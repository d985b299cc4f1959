package probe

import (
	"context"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"heliograph/drivers/drivertest"
	"heliograph/drivers/ethernet/ethernettest"
)

// The kernel of the far end is the judge of our frames: it takes UDP whose checksums are
// right alone, answers an echo, and an ARP request.
func TestFramesAreThoseThatAKernelTakes(t *testing.T) {
	ethernettest.Namespace(t, "that a kernel takes the probes")
	ethernettest.Cable(t, "near", "far")
	ethernettest.IP(t, "link", "set", "near", "up", "arp", "on")
	ethernettest.IP(t, "address", "add", "10.9.0.1/24", "dev", "near")
	ethernettest.IP(t, "link", "set", "lo", "up")
	l, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 9, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	tap := ethernettest.OpenTap(t, "far")
	e := ends{rx: net.HardwareAddr{2, 0, 0, 0, 0, 2}, tx: net.HardwareAddr{2, 0, 0, 0, 0, 1},
		rxIP: netip.MustParseAddr("10.9.0.2"), txIP: netip.MustParseAddr("10.9.0.1"), rxPort: 17000,
		txPort: uint16(l.LocalAddr().(*net.UDPAddr).Port)}
	for _, m := range e.probes() {
		tap.Send(t, m.frame)
	}
	_ = l.SetReadDeadline(time.Now().Add(time.Minute))
	b := make([]byte, 100)
	n, from, err := l.ReadFromUDPAddrPort(b)
	if err != nil || string(b[:n]) != "heliograph reverse probe" || from.Port() != 17000 {
		t.Errorf("got %q from %v, %v", b[:n], from, err)
	}
	arp, echo := false, false
	for !arp || !echo {
		p := tap.Next(t, time.Minute)
		if len(p) < 42 {
			t.Fatalf("the kernel answers neither ARP (%v) nor the echo (%v)", arp, echo)
		}
		switch {
		case p[12] == 8 && p[13] == 6 && p[21] == 2:
			arp = true
		case p[12] == 8 && p[13] == 0 && p[23] == protocolICMP:
			m, err := icmp.ParseMessage(protocolICMP, p[34:])
			echo = err == nil && m.Type == ipv4.ICMPTypeEchoReply
		}
	}
}

func TestIPv6FramesHaveRightChecksums(t *testing.T) {
	e := forEthernet(net.HardwareAddr{2, 0, 0, 0, 0, 2}, nil)
	f := e.solicit()[14:]
	payload := f[40 : 40+int(f[5])]
	from, to := netip.AddrFrom16([16]byte(f[8:24])), netip.AddrFrom16([16]byte(f[24:40]))
	if sum := pseudoChecksum(from, to, protocolICMPv6, payload); sum != 0xffff || from.String() != "fe80::ff:fe00:2" {
		t.Errorf("from %v: the sum over all is %#x, want 0xffff", from, sum)
	}
	e.rxIP, e.txIP = netip.MustParseAddr("fd00::2"), netip.MustParseAddr("fd00::1")
	u := e.udp()
	if sum := pseudoChecksum(e.rxIP, e.txIP, protocolUDP, u); sum != 0xffff {
		t.Errorf("UDP: the sum over all is %#x, want 0xffff", sum)
	}
}

// A port whose output heliorx has stopped sends the probes, and is stopped again.
func TestProbesLeaveASerialPort(t *testing.T) {
	far, near := drivertest.OpenPTY(t)
	got := make(chan int)
	go func() {
		b, n := make([]byte, 4096), 0
		for n < 5*Size {
			k, err := far.Read(b)
			if err != nil {
				break
			}
			n += k
		}
		got <- n
	}()
	r := Plan{Count: 5}.UART(t.Context(), near)
	if len(r.Sent) != 1 || r.Sent[0].Count != 5 || r.Sent[0].Error != "" {
		t.Errorf("got %+v, want 5 probes", r)
	}
	if n := <-got; n != 5*Size {
		t.Errorf("%d bytes arrived, want %d", n, 5*Size)
	}
	f, err := os.OpenFile(near, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	_ = f.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := f.Write([]byte("x")); err == nil {
		t.Errorf("the port sends %d bytes after the probes: its output is not stopped again", n)
	}
}

func TestAProbeThatCannotBeSentSaysWhy(t *testing.T) {
	p := Plan{Count: 3}
	for name, r := range map[string]Result{
		"no such interface": p.Ethernet(t.Context(), 1<<30, net.HardwareAddr{2, 0, 0, 0, 0, 2}),
		"loopback":          p.Ethernet(t.Context(), 1, nil),
		"no such port":      p.UART(t.Context(), "/nosuch/port"),
		"no address":        p.UDP(t.Context(), "nosuch"),
	} {
		if r.Reason == "" || len(r.Sent) > 0 {
			t.Errorf("%s: got %+v, want a reason", name, r)
		}
	}
}

// What has left is reported although the rest was not sent, and that it is not all.
func TestInterruptedProbesAreCounted(t *testing.T) {
	ethernettest.Namespace(t, "that interrupted probes are counted")
	ethernettest.Cable(t, "near", "far")
	ethernettest.IP(t, "link", "set", "near", "up")
	i, err := net.InterfaceByName("near")
	if err != nil {
		t.Fatal(err)
	}
	tap := ethernettest.OpenTap(t, "far")
	frame := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 0x88, 0xb5}, make([]byte, 50)...)
	going, stop := context.WithCancel(t.Context())
	var tx sync.WaitGroup
	defer tx.Wait()
	defer stop()
	tx.Go(func() {
		for wait(going, 10*time.Millisecond) {
			tap.Send(t, frame)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	r := Plan{Count: 5, Progress: func(Means) {
		if n++; n == 2 {
			cancel()
		}
	}}.Ethernet(ctx, i.Index, i.HardwareAddr)
	if len(r.Sent) != 2 || r.Sent[1].Count != 5 || r.Reason != ErrInterrupted.Error() || r.Left == nil || *r.Left < 10 {
		t.Errorf("got %+v, want what was sent by two means, and that it is not all", r)
	}
	if r := (Plan{Count: 5}).Ethernet(ctx, i.Index, i.HardwareAddr); len(r.Sent) > 0 || r.Reason != "interrupted" {
		t.Errorf("from the beginning: got %+v, want nothing sent", r)
	}
}
