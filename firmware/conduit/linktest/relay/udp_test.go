package relay

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/firmware/conduit/linktest"
)

// run starts a relay and returns what stops it and gives its error.
func run(t *testing.T, task func(context.Context) error) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- task(ctx) }()
	stop = func() error {
		cancel()
		select {
		case err := <-ended:
			ended <- err
			return err
		case <-time.After(await.Bound):
			t.Error("the relay still runs after its context ended")
			return nil
		}
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

// udp returns the near and the far end of a relay.
func udp(t *testing.T, link *linktest.Link) (near net.Conn, far *net.UDPConn, stop func() error) {
	t.Helper()
	far, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	_ = far.SetReadBuffer(4 << 20)
	relay, err := NewUDP("127.0.0.1:0", far.LocalAddr().String(), link)
	if err != nil {
		t.Fatal(err)
	}
	if near, err = net.Dial("udp4", relay.Address()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return near, far, run(t, relay.Run)
}

func TestUDPRelaysEachDatagram(t *testing.T) {
	link := linktest.New(1, linktest.Profile{})
	near, far, stop := udp(t, link)
	buffer := make([]byte, 4096)
	_ = far.SetReadDeadline(time.Now().Add(await.Bound))
	for i := range 500 {
		want := bytes.Repeat([]byte{byte(i)}, 1+i*3%1472)
		if _, err := near.Write(want); err != nil {
			t.Fatal(err)
		}
		if i == 100 {
			_, _ = near.Write(make([]byte, 3000)) // too long for any link: not relayed
		}
		n, err := far.Read(buffer)
		if err != nil || !bytes.Equal(buffer[:n], want) {
			t.Fatalf("datagram %d: got %d bytes, %v; want %d", i, n, err, len(want))
		}
	}
	if got := link.Counters().Unsent; got != 1 {
		t.Errorf("%d unsent, want 1: the long one", got)
	}
	if err := stop(); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestUDPImpairsAndAccountsForIt(t *testing.T) {
	link := linktest.New(1, linktest.Profile{Loss: 0.1, Duplicate: 0.1, Reorder: 0.2})
	near, far, _ := udp(t, link)
	// A datagram leaves once all before it are received, lost or held for reordering: no
	// kernel's buffer ever has more than a few, so that only the link loses.
	const n = 2000
	buffer, got, held := make([]byte, 4096), uint64(0), uint64(0)
	receive := func(sent uint64) {
		t.Helper()
		for end := time.Now().Add(await.Bound); ; {
			c := link.Counters()
			held = c.Datagrams - (c.Lost + c.Delivered - c.Duplicated)
			if c.Datagrams == sent && got == c.Delivered {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("received %d of %d, counted %+v", got, sent, c)
			}
			_ = far.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := far.Read(buffer); err == nil {
				got++
			}
		}
	}
	for i := range n {
		if _, err := near.Write(binary.BigEndian.AppendUint32(nil, uint32(i))); err != nil {
			t.Fatal(err)
		}
		receive(uint64(i + 1))
	}
	await.True(t, "nothing is held for reordering", func() bool { receive(n); return held == 0 })
	if c := link.Counters(); got != c.Delivered || c.Datagrams != n || c.Lost+c.Delivered-c.Duplicated != n ||
		c.Unsent != 0 {
		t.Errorf("received %d, counted %+v; want what the link delivered of %d", got, c, n)
	}
}

func TestUDPIsCutAndJoinedAgain(t *testing.T) {
	link := linktest.New(1, linktest.Profile{})
	near, far, _ := udp(t, link)
	receive := func(want string) {
		t.Helper()
		if _, err := near.Write([]byte(want)); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 100)
		_ = far.SetReadDeadline(time.Now().Add(await.Bound))
		if n, err := far.Read(buffer); err != nil || string(buffer[:n]) != want {
			t.Fatalf("got %q, %v; want %q", buffer[:n], err, want)
		}
	}
	receive("before the cut")
	link.SetCut(true)
	for range 50 {
		if _, err := near.Write([]byte("into the dark")); err != nil {
			t.Fatal(err)
		}
	}
	await.True(t, "50 datagrams met the cut", func() bool { return link.Counters().Cut == 50 })
	link.SetCut(false)
	receive("after the cut")
}

func TestUDPGoesOnWithoutAListener(t *testing.T) {
	link := linktest.New(1, linktest.Profile{})
	near, far, stop := udp(t, link)
	at := far.LocalAddr().(*net.UDPAddr)
	_ = far.Close()
	for range 50 {
		if _, err := near.Write([]byte("no listener")); err != nil {
			t.Fatal(err)
		}
	}
	again, err := net.ListenUDP("udp4", at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	buffer := make([]byte, 100)
	for end := time.Now().Add(await.Bound); ; {
		if _, err := near.Write([]byte("back")); err != nil {
			t.Fatal(err)
		}
		_ = again.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := again.Read(buffer); err == nil && string(buffer[:n]) == "back" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("nothing arrived after the listener came back")
		}
	}
	if err := stop(); err != nil || link.Counters().Unsent != 0 {
		t.Errorf("Run = %v, unsent %d; want nil, 0", err, link.Counters().Unsent)
	}
}

func TestBadUDPAddresses(t *testing.T) {
	for _, c := range [][2]string{{"127.0.0.1", "127.0.0.1:1"}, {"127.0.0.1:0", "nowhere"},
		{"192.0.2.1:0", "127.0.0.1:1"}} {
		if _, err := NewUDP(c[0], c[1], linktest.New(1, linktest.Profile{})); err == nil {
			t.Errorf("NewUDP(%q, %q) = nil, want an error", c[0], c[1])
		}
	}
}

func TestUDPNeverSendsBack(t *testing.T) {
	near, far, _ := udp(t, linktest.New(1, linktest.Profile{}))
	buffer := make([]byte, 100)
	if _, err := near.Write([]byte("there")); err != nil {
		t.Fatal(err)
	}
	_ = far.SetReadDeadline(time.Now().Add(await.Bound))
	n, from, err := far.ReadFromUDP(buffer)
	if err != nil || string(buffer[:n]) != "there" {
		t.Fatalf("got %q, %v; want \"there\"", buffer[:n], err)
	}
	if _, err := far.WriteToUDP([]byte("back"), from); err != nil {
		t.Fatal(err)
	}
	for i := range 20 { // the answer would have come before these
		if _, err := near.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		if _, err := far.Read(buffer); err != nil {
			t.Fatal(err)
		}
	}
	_ = near.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) // short: for what must not come
	if n, err := near.Read(buffer); err == nil {
		t.Errorf("the near end got %q, want silence", buffer[:n])
	}
}

func TestUDPEndsWithItsContext(t *testing.T) {
	stop := run(t, func(ctx context.Context) error {
		return UDP(ctx, "127.0.0.1:0", "127.0.0.1:9", linktest.New(1, linktest.Profile{}))
	})
	if err := stop(); err != nil {
		t.Errorf("UDP = %v, want nil", err)
	}
}
