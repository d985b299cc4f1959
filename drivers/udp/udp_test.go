package udp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/drivers/udp/mmsg"

	"golang.org/x/sys/unix"
)

func pair(t testing.TB, host string) (*Transmitter, *Receiver) {
	t.Helper()
	rx, err := Listen(host + ":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rx.Close() })
	tx, err := Dial(fmt.Sprintf("%s:%d", host, portOf(t, rx)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Close() })
	return tx, rx
}

func portOf(t testing.TB, rx *Receiver) (port int) {
	t.Helper()
	err := rx.socket.Control(func(fd int) {
		name, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		switch a := name.(type) {
		case *unix.SockaddrInet4:
			port = a.Port
		case *unix.SockaddrInet6:
			port = a.Port
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// receive returns the next n frames.
func receive(t testing.TB, rx *Receiver, n int) (frames [][]byte) {
	t.Helper()
	for end := time.Now().Add(await.Bound); len(frames) < n && time.Now().Before(end); {
		if err := rx.Receive(100*time.Millisecond,
			func(f []byte) { frames = append(frames, bytes.Clone(f)) }); err != nil {
			t.Fatal(err)
		}
	}
	return frames
}

// numbered returns frames of these sizes that differ from each other.
func numbered(sizes ...int) [][]byte {
	frames := make([][]byte, len(sizes))
	for i, size := range sizes {
		frames[i] = bytes.Repeat([]byte{byte(i)}, size)
		if size >= 4 {
			binary.BigEndian.PutUint32(frames[i], uint32(i))
		}
	}
	return frames
}

func sendAll(t testing.TB, tx *Transmitter, frames [][]byte) {
	t.Helper()
	if n, err := tx.Transmit(frames); n != len(frames) || err != nil {
		t.Fatalf("Transmit = %d, %v; want %d, nil", n, err, len(frames))
	}
}

func TestFramesArriveInOrderAndUnchanged(t *testing.T) {
	// None is more than the buffer holds that the kernel gives any program.
	cases := map[string][]int{
		"one":                {100},
		"a run":              slices.Repeat([]int{1472}, 100),
		"a shorter last":     {1400, 1400, 1400, 9},
		"longer after short": {100, 1400, 1400, 100, 1400},
		"all different":      {1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1},
		"empty among others": {7, 0, 7, 7, 0},
		"single bytes":       slices.Repeat([]int{1}, 300),
		"more than a batch":  slices.Repeat([]int{140, 140, 30}, 100),
		"none":               {},
	}
	hosts := map[string]string{"IPv4": "127.0.0.1", "IPv6": "[::1]"}
	for family, host := range hosts {
		for name, sizes := range cases {
			for _, whole := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/segmented=%t", family, name, !whole), func(t *testing.T) {
					tx, rx := pair(t, host)
					tx.single.Store(whole)
					fitting := slices.Clone(sizes)
					for i := range fitting {
						fitting[i] = min(fitting[i], tx.MaxFrame())
					}
					want := numbered(fitting...)
					sendAll(t, tx, want)
					got := receive(t, rx, len(want))
					if !slices.EqualFunc(got, want, bytes.Equal) {
						t.Errorf("got %d frames %s, want %d frames %s", len(got), lengths(got), len(want),
							lengths(want))
					}
					if tx.Segmented() == whole {
						t.Errorf("Segmented = %t, want %t", tx.Segmented(), !whole)
					}
				})
			}
		}
	}
}

func lengths(frames [][]byte) string {
	var l []int
	for _, f := range frames {
		l = append(l, len(f))
	}
	return fmt.Sprint(l)
}

func TestReceiverWithoutSegmentsSeesDatagrams(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	tx, err := Dial(conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Close() }()
	want := numbered(1400, 1400, 1400, 9)
	sendAll(t, tx, want)
	room := make([]byte, 1<<16)
	for i, w := range want {
		_ = conn.SetReadDeadline(time.Now().Add(await.Bound))
		n, _, err := conn.ReadFrom(room)
		if err != nil || !bytes.Equal(room[:n], w) {
			t.Errorf("datagram %d: got %d bytes, %v; want %d bytes", i, n, err, len(w))
		}
	}
}

// SO_NO_CHECK makes the kernel refuse UDP_SEGMENT with EIO, as a card without
// checksums does.
func TestRefusedSegmentsLeaveOnTheirOwn(t *testing.T) {
	tx, rx := pair(t, "127.0.0.1")
	err := tx.socket.Control(func(fd int) {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1); err != nil {
			t.Fatal(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	want := numbered(slices.Repeat([]int{1400}, 90)...)
	sendAll(t, tx, want)
	if got := receive(t, rx, len(want)); !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("got %d frames, want the %d that were sent", len(got), len(want))
	}
	if tx.Segmented() {
		t.Error("Segmented = true, want false after the refusal")
	}
}

func TestTooLongFrameStopsThere(t *testing.T) {
	tx, rx := pair(t, "127.0.0.1")
	frames := numbered(100, MaxFrame, MaxFrame+1, 100)
	n, err := tx.Transmit(frames)
	if n != 2 || err == nil || !strings.Contains(err.Error(), "1473 bytes is longer than the 1472") {
		t.Errorf("Transmit = %d, %v; want 2 and an error that names both lengths", n, err)
	}
	if got := receive(t, rx, 2); !slices.EqualFunc(got, frames[:2], bytes.Equal) {
		t.Errorf("got %s, want the two before", lengths(got))
	}
}

func TestOversizeDatagramsAreCounted(t *testing.T) {
	_, rx := pair(t, "127.0.0.1")
	conn, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", portOf(t, rx)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for _, size := range []int{MaxFrame + 1, 60_000, 3} {
		if _, err := conn.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	if got := receive(t, rx, 1); len(got) != 1 || len(got[0]) != 3 {
		t.Errorf("got %s, want [3]", lengths(got))
	}
	if got := rx.Oversize(); got != 2 {
		t.Errorf("Oversize = %d, want 2", got)
	}
}

func TestSilenceIsNoError(t *testing.T) {
	_, rx := pair(t, "127.0.0.1")
	for _, timeout := range []time.Duration{0, 5 * time.Millisecond} {
		start := time.Now()
		if err := rx.Receive(timeout, func([]byte) { t.Error("delivered from nothing") }); err != nil {
			t.Errorf("Receive(%s) = %v, want nil", timeout, err)
		}
		if took := time.Since(start); took < timeout {
			t.Errorf("Receive(%s) took %s", timeout, took)
		}
	}
}

func TestCloseUnblocks(t *testing.T) {
	_, rx := pair(t, "127.0.0.1")
	ended := make(chan error, 1)
	go func() { ended <- rx.Receive(time.Hour, func([]byte) {}) }()
	if err := rx.Close(); err != nil {
		t.Fatal(err)
	}
	if err := await.Receive(t, "Receive ends with Close", ended); err == nil {
		t.Error("Receive = nil, want an error after Close")
	}
	if err := rx.Receive(0, func([]byte) {}); err == nil {
		t.Error("Receive after Close = nil, want an error")
	}
}

func TestFullReceiverLosesAndCounts(t *testing.T) {
	tx, rx := pair(t, "127.0.0.1")
	err := rx.socket.Control(func(fd int) {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096); err != nil {
			t.Fatal(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	frames := numbered(slices.Repeat([]int{1400, 1399}, 50)...) // single datagrams and pairs
	for range 20 {
		sendAll(t, tx, frames) // a receiver that does not read changes nothing
	}
	if got := rx.Dropped(); got == 0 {
		t.Error("Dropped = 0, want what found no room")
	}
	before := rx.Dropped()
	_ = rx.Close()
	if got := rx.Dropped(); got != before {
		t.Errorf("Dropped after Close = %d, want %d as before", got, before)
	}
}

// A port without a listener answers each datagram with ICMP.
func TestTransmitWithoutListener(t *testing.T) {
	tx, rx := pair(t, "127.0.0.1")
	_ = rx.Close()
	frames := numbered(100, 90, 80)
	for range 50 {
		sendAll(t, tx, frames)
	}
}

func TestTransmitterReceivesNothing(t *testing.T) {
	tx, rx := pair(t, "127.0.0.1")
	sendAll(t, tx, numbered(1)) // binds the port
	var port int
	err := tx.socket.Control(func(fd int) {
		name, _ := unix.Getsockname(fd)
		port = name.(*unix.SockaddrInet4).Port
	})
	if err != nil || port == 0 {
		t.Fatalf("port of the transmitter: %d, %v", port, err)
	}
	conn, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for range 1000 {
		_, _ = conn.Write(make([]byte, 1000))
	}
	err = tx.socket.Control(func(fd int) {
		if m, err := mmsg.ReadMemInfo(fd); err != nil || m.Queued != 0 {
			t.Errorf("held for reading: %d bytes, %v; want 0", m.Queued, err)
		}
		if _, _, err := unix.Recvfrom(fd, make([]byte, 2000), unix.MSG_DONTWAIT); err != unix.EAGAIN {
			t.Errorf("recvfrom = %v, want EAGAIN: nothing there", err)
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); !errors.Is(err, unix.EPERM) {
			t.Errorf("taking the filter off = %v, want EPERM: it is locked", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	sendAll(t, tx, numbered(2))
	if got := receive(t, rx, 2); len(got) != 2 {
		t.Errorf("received %d frames, want 2", len(got))
	}
}

func TestReceiverCannotSend(t *testing.T) {
	_, rx := pair(t, "127.0.0.1")
	err := rx.socket.Control(func(fd int) {
		err := unix.Sendto(fd, []byte("back"), unix.MSG_NOSIGNAL,
			&unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}})
		if !errors.Is(err, unix.EPIPE) {
			t.Errorf("sendto = %v, want EPIPE: the sending side is shut down", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOneWayIsInTheTypes(t *testing.T) {
	wrong := map[reflect.Type][]string{
		reflect.TypeFor[*Transmitter]():   {"Read", "Receive", "Recv"},
		reflect.TypeFor[*mmsg.Sender]():   {"Read", "Receive", "Recv"},
		reflect.TypeFor[*Receiver]():      {"Write", "Send", "Transmit"},
		reflect.TypeFor[*mmsg.Receiver](): {"Write", "Send", "Transmit"},
	}
	for typ, words := range wrong {
		for m := range typ.NumMethod() {
			for _, w := range words {
				if name := typ.Method(m).Name; strings.Contains(name, w) {
					t.Errorf("%s has %s", typ, name)
				}
			}
		}
	}
}

func TestDatagramsAreNeverFragmented(t *testing.T) {
	for host, option := range map[string][3]int{
		"127.0.0.1": {unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE},
		"[::1]":     {unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE},
	} {
		tx, _ := pair(t, host)
		err := tx.socket.Control(func(fd int) {
			if got, err := unix.GetsockoptInt(fd, option[0], option[1]); got != option[2] || err != nil {
				t.Errorf("%s: MTU discovery = %d, %v; want %d", host, got, err, option[2])
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	tx, _ := pair(t, "127.0.0.1")
	if err := tx.explain(unix.EMSGSIZE, 1400); !strings.Contains(err.Error(), "1400 bytes does not fit") ||
		!strings.Contains(err.Error(), "set the MTU to 1500") {
		t.Errorf("got %q, want what to do", err)
	}
}

func TestBadAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"":                      "names no host",
		":17000":                "names no host",
		"[::]:1":                "names no host",
		"10.0.0.1":              "use host:port",
		"10.0.0.1:99999":        "use host:port",
		"[fe80::1%nosuchif0]:1": "nosuchif0",
	} {
		tx, err := Dial(address)
		if err == nil {
			_ = tx.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) &&
			!strings.Contains(err.Error(), "no such network interface") {
			t.Errorf("Dial(%q) = %v, want %q", address, err, want)
		}
	}
	_, rx := pair(t, "127.0.0.1")
	if _, err := Listen(fmt.Sprintf("127.0.0.1:%d", portOf(t, rx))); err == nil ||
		!strings.Contains(err.Error(), "another program has this port") {
		t.Errorf("got %v, want that the port is taken", err)
	}
	if _, err := Listen("192.0.2.1:0"); err == nil || !strings.Contains(err.Error(), "does not have the address") {
		t.Errorf("got %v, want that the address is another machine's", err) // TEST-NET-1, RFC 5737
	}
}

func TestNothingIsAllocatedPerCall(t *testing.T) {
	tx, rx := pair(t, "127.0.0.1")
	frames := numbered(slices.Repeat([]int{1400}, 44)...)
	got := 0
	deliver := func([]byte) { got++ }
	if n := testing.AllocsPerRun(200, func() {
		if n, err := tx.Transmit(frames); n != len(frames) || err != nil {
			t.Fatalf("Transmit = %d, %v", n, err)
		}
		for want := got + len(frames); got < want; {
			if err := rx.Receive(time.Second, deliver); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("got %v allocations per call, want 0", n)
	}
	if n := testing.AllocsPerRun(20, func() { _ = rx.Receive(time.Microsecond, deliver) }); n != 0 {
		t.Errorf("got %v allocations per empty call, want 0", n)
	}
}
