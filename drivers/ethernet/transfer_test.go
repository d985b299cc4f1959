package ethernet

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/drivers/ethernet/ethernettest"

	"golang.org/x/sys/unix"
)

// pair joins a transmitter and a receiver.
func pair(t testing.TB, what string) (*Transmitter, *Receiver) {
	t.Helper()
	ethernettest.Namespace(t, what)
	ethernettest.Cable(t, "near0", "far0")
	return transmitter(t, "near0"), receiver(t, "far0")
}

func receive(t testing.TB, r *Receiver, n int) (frames [][]byte) {
	t.Helper()
	for end := time.Now().Add(bound); len(frames) < n && time.Now().Before(end); {
		if err := r.Receive(100*time.Millisecond, func(f []byte) {
			frames = append(frames, bytes.Clone(f))
		}); err != nil {
			t.Fatal(err)
		}
	}
	return frames
}

func TestFramesArriveInOrderAndUnchanged(t *testing.T) {
	x, r := pair(t, "that frames cross an Ethernet")
	var want [][]byte
	for i := range 3000 {
		want = append(want, bytes.Repeat([]byte{byte(i)}, i%(MaxFrame+1)))
	}
	for part := range slices.Chunk(want, 150) { // more than a batch, and less than any kernel's buffer
		if n, err := x.Transmit(part); n != len(part) || err != nil {
			t.Fatalf("Transmit = %d, %v; want %d, nil", n, err, len(part))
		}
		if got := receive(t, r, len(part)); !slices.EqualFunc(got, part, bytes.Equal) {
			t.Fatalf("got %d frames, want the %d that were sent", len(got), len(part))
		}
	}
	if r.Dropped()+r.Malformed()+r.Oversize() != 0 {
		t.Errorf("dropped %d, malformed %d, oversize %d; want 0", r.Dropped(), r.Malformed(), r.Oversize())
	}
}

func TestTooLongFrameStopsThere(t *testing.T) {
	x, r := pair(t, "that a frame that is too long is refused")
	n, err := x.Transmit([][]byte{make([]byte, 9), make([]byte, MaxFrame), make([]byte, MaxFrame+1), make([]byte, 9)})
	if n != 2 || err == nil || !strings.Contains(err.Error(), "1499 bytes is longer than the 1498") {
		t.Errorf("Transmit = %d, %v; want 2 and an error that names both lengths", n, err)
	}
	if got := receive(t, r, 2); len(got) != 2 {
		t.Errorf("received %d, want 2", len(got))
	}
}

func TestBadPacketsAreCounted(t *testing.T) {
	ethernettest.Namespace(t, "that bad packets are counted")
	ethernettest.Cable(t, "near0", "far0")
	ethernettest.IP(t, "link", "set", "far0", "mtu", "9000")
	ethernettest.IP(t, "link", "set", "near0", "mtu", "9000")
	r := receiver(t, "near0")
	tap := ethernettest.OpenTap(t, "far0")
	sends(t, "far0")
	tap.Send(t, packet([]byte("abc"))[:headSize+1])
	tap.Send(t, packet(make([]byte, 4000)))
	tap.Send(t, packet([]byte("good")))
	if got := receive(t, r, 1); len(got) != 1 || string(got[0]) != "good" {
		t.Errorf("got %q, want good", got)
	}
	if r.Malformed() != 1 || r.Oversize() != 1 {
		t.Errorf("malformed %d, oversize %d; want 1 and 1", r.Malformed(), r.Oversize())
	}
}

// overflow sends more frames than the receiver has room for, and returns how many.
func overflow(t *testing.T, x *Transmitter, r *Receiver) int {
	t.Helper()
	err := r.socket.Control(func(fd int) {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096); err != nil {
			t.Fatal(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	frames := slices.Repeat([][]byte{make([]byte, 1400)}, 500)
	if n, err := x.Transmit(frames); n != len(frames) || err != nil {
		t.Fatalf("Transmit = %d, %v; want %d, nil: a receiver that does not read changes nothing", n, err, len(frames))
	}
	return len(frames)
}

func TestFullReceiverLosesAndCounts(t *testing.T) {
	x, r := pair(t, "that a receiver's drops are counted and cost the transmitter nothing")
	frames := overflow(t, x, r)
	got := 0
	await.True(t, "every frame is received or counted as dropped", func() bool {
		if err := r.Receive(50*time.Millisecond, func([]byte) { got++ }); err != nil {
			t.Fatal(err)
		}
		return int(r.Dropped())+got >= frames
	})
	if dropped := r.Dropped(); dropped == 0 || int(dropped)+got != frames {
		t.Errorf("dropped %d and received %d, want %d together", dropped, got, frames)
	}
	before := r.Dropped()
	_ = r.Close()
	if after := r.Dropped(); after != before {
		t.Errorf("Dropped after Close = %d, want %d", after, before)
	}
}

func TestInterfaceThatComesBackIsTakenUpAndSilencedAgain(t *testing.T) {
	x, r := pair(t, "that an interface that comes back is taken up again")
	frame := [][]byte{[]byte("frame")}
	if n, err := x.Transmit(frame); n != 1 || err != nil {
		t.Fatalf("Transmit = %d, %v; want 1, nil", n, err)
	}
	receive(t, r, 1)
	index := func() string { return strings.SplitN(ethernettest.IP(t, "-o", "link", "show", "far0"), ":", 2)[0] }
	before := index()
	ethernettest.IP(t, "link", "del", "near0")
	if n, err := x.Transmit(frame); n != 0 || err == nil {
		t.Errorf("Transmit while away = %d, %v; want 0 and an error", n, err)
	}
	if err := r.Receive(bound, func([]byte) {}); err == nil {
		t.Error("Receive while away = nil, want an error")
	}
	ethernettest.Cable(t, "near0", "far0")
	if index() == before {
		t.Fatalf("the index is still %s: this test does not see a change", before)
	}
	ethernettest.IP(t, "link", "set", "far0", "down")
	got := 0
	for end := time.Now().Add(bound); got == 0; {
		if time.Now().After(end) {
			t.Fatal("no frame crossed the new cable")
		}
		_ = r.Receive(20*time.Millisecond, func([]byte) { got++ })
		_, _ = x.Transmit(frame)
	}
	silent(t, "far0")
	silent(t, "near0")
	if sent := ethernettest.Sent(t, "far0"); sent != 0 {
		t.Errorf("the receiver's new interface sent %d packets, want 0", sent)
	}
}

func TestInterfaceTakenDownIsBroughtUpAgain(t *testing.T) {
	x, r := pair(t, "that an interface that was taken down is brought up again, and counts go on")
	overflow(t, x, r)
	dropped := r.Dropped()
	ethernettest.IP(t, "link", "set", "near0", "down")
	ethernettest.IP(t, "link", "set", "far0", "down")
	if err := r.Receive(bound, func([]byte) {}); err == nil {
		t.Error("Receive while down = nil, want an error")
	}
	got, frame := 0, [][]byte{[]byte("frame")}
	for end := time.Now().Add(bound); got == 0; {
		if time.Now().After(end) {
			t.Fatal("no frame crosses")
		}
		_ = r.Receive(20*time.Millisecond, func([]byte) { got++ })
		_, _ = x.Transmit(frame)
	}
	if now := r.Dropped(); dropped == 0 || now != dropped {
		t.Errorf("Dropped = %d, want %d as before", now, dropped)
	}
}

func TestMissingCarrierIsReportedAtOnce(t *testing.T) {
	ethernettest.Namespace(t, "that a missing carrier is reported")
	ethernettest.Cable(t, "near0", "far0")
	x := transmitter(t, "near0")
	ethernettest.IP(t, "link", "set", "far0", "down")
	var n int
	var err error
	for end := time.Now().Add(bound); err == nil && time.Now().Before(end); { // a busy kernel takes its time
		n, err = x.Transmit([][]byte{[]byte("frame")})
	}
	if n != 0 || err == nil || !strings.Contains(err.Error(), "no carrier") {
		t.Errorf("Transmit = %d, %v; want 0 and that there is no carrier", n, err)
	}
	ethernettest.IP(t, "link", "set", "far0", "up")
	for end := time.Now().Add(bound); n == 0; {
		if n, err = x.Transmit([][]byte{[]byte("frame")}); time.Now().After(end) {
			t.Fatalf("Transmit = %d, %v after the carrier is back; want 1, nil", n, err)
		}
	}
}

func TestSilenceIsNoErrorAndCloseUnblocks(t *testing.T) {
	x, r := pair(t, "that Close ends a Receive that waits")
	if err := r.Receive(5*time.Millisecond, func([]byte) { t.Error("delivered from nothing") }); err != nil {
		t.Errorf("Receive = %v, want nil", err)
	}
	ended := make(chan error, 1)
	started := make(chan struct{})
	go func() { close(started); ended <- r.Receive(time.Hour, func([]byte) {}) }()
	<-started
	runtime.Gosched()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := await.Receive(t, "Receive ends with Close", ended); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Receive = %v, want that it is closed", err)
	}
	_ = x.Close()
	if _, err := x.Transmit([][]byte{nil}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Transmit = %v, want that it is closed", err)
	}
	if err := r.Receive(0, func([]byte) {}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Receive = %v, want that it is closed", err)
	}
}

func TestNothingIsAllocatedPerCall(t *testing.T) {
	x, r := pair(t, "that Transmit and Receive do not allocate")
	frames := slices.Repeat([][]byte{make([]byte, 1400)}, 50)
	got := 0
	deliver := func([]byte) { got++ }
	if n := testing.AllocsPerRun(200, func() {
		if n, err := x.Transmit(frames); n != len(frames) || err != nil {
			t.Fatalf("Transmit = %d, %v", n, err)
		}
		for want := got + len(frames); got < want; {
			if err := r.Receive(time.Second, deliver); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("got %v allocations per call, want 0", n)
	}
}

// BenchmarkCable sends and receives in turn, so that nothing is lost and both
// sides' time is seen. One op is 64 frames.
func BenchmarkCable(b *testing.B) {
	x, r := pair(b, "how fast an Ethernet is")
	frames := slices.Repeat([][]byte{make([]byte, MaxFrame)}, batch)
	got := 0
	deliver := func([]byte) { got++ }
	b.SetBytes(int64(MaxFrame * len(frames)))
	start := processorTime(b)
	for b.Loop() {
		if n, err := x.Transmit(frames); n != len(frames) || err != nil {
			b.Fatal(n, err)
		}
		for want := got + len(frames); got < want; {
			if err := r.Receive(time.Second, deliver); err != nil {
				b.Fatal(err)
			}
		}
	}
	sent := float64(len(frames)) * float64(b.N)
	b.ReportMetric((processorTime(b)-start).Seconds()/(sent*MaxFrame/1e9), "CPU-s/GB")
	b.ReportMetric(sent/b.Elapsed().Seconds()/1e3, "kpps")
}

func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
