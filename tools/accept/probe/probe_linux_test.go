package probe

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"heliograph/drivers/drivertest"
	"heliograph/drivers/ethernet/ethernettest"
	"heliograph/firmware/config"
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
		for n < 5*probeSize {
			k, err := far.Read(b)
			if err != nil {
				break
			}
			n += k
		}
		got <- n
	}()
	r := Send(t.Context(), config.Link{Medium: config.UART, Device: near}, 5)
	if len(r.Sent) != 1 || r.Sent[0].Count != 5 || r.Sent[0].Error != "" {
		t.Errorf("got %+v, want 5 probes", r)
	}
	if n := <-got; n != 5*probeSize {
		t.Errorf("%d bytes arrived, want %d", n, 5*probeSize)
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
	for _, l := range []config.Link{
		{Medium: config.Ethernet, Interface: "nosuch0"},
		{Medium: config.UART, Device: "/nosuch/port"},
		{Medium: config.UDP, Address: "nosuch"},
		{},
	} {
		if r := Send(t.Context(), l, 3); r.Reason == "" || len(r.Sent) > 0 {
			t.Errorf("%+v: got %+v, want a reason", l, r)
		}
	}
}
