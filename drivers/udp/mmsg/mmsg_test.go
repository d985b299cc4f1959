package mmsg

import (
	"errors"
	"os"
	"testing"
	"time"

	"heliograph/ci/await"

	"golang.org/x/sys/unix"
)

// link returns a pair of joined datagram sockets.
func link(t *testing.T) (*Sender, *Receiver) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSender(fds[0], "sender")
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReceiver(fds[1], "receiver")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = s.Close(), r.Close() })
	return s, r
}

func messages(n, size int) []Message {
	m := make([]Message, n)
	for i := range m {
		v := &unix.Iovec{Base: &make([]byte, size)[0]}
		v.SetLen(size)
		m[i].Header.Iov = v
		m[i].Header.SetIovlen(1)
	}
	return m
}

func TestSendWaitsNoLongerThanItMay(t *testing.T) {
	s, r := link(t)
	left := 20 * time.Millisecond
	start := time.Now()
	n, err := s.Send(messages(1000, 1000), &left)
	if n == 1000 || err != nil {
		t.Fatalf("Send = %d, %v; want fewer than 1000 and no error", n, err)
	}
	if left > 0 {
		t.Errorf("time left: %s, want none", left)
	}
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Errorf("Send took %s, want at least 20ms", took)
	}
	if more, err := s.Send(messages(10, 1000), &left); more != 0 || err != nil {
		t.Errorf("Send without time left = %d, %v; want 0, nil", more, err)
	}
	got := 0
	for {
		k, err := r.Receive(messages(64, 1000), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got += k; k == 0 {
			break
		}
	}
	if got != n {
		t.Errorf("received %d, want the %d that were sent", got, n)
	}
}

func TestSendGoesOnWhenThereIsRoom(t *testing.T) {
	s, r := link(t)
	done := make(chan error, 1)
	go func() {
		in := messages(64, 1000)
		for got := 0; got < 1000; {
			k, err := r.Receive(in, await.Bound)
			if got += k; err != nil || k == 0 {
				done <- errors.Join(err, errors.New("silence"))
				return
			}
		}
		done <- nil
	}()
	left := await.Bound
	if n, err := s.Send(messages(1000, 1000), &left); n != 1000 || err != nil {
		t.Errorf("Send = %d, %v; want 1000, nil", n, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAnErrorSaysWhichMessage(t *testing.T) {
	s, _ := link(t)
	m := messages(3, 10)
	m[1].Header.Iov.SetLen(1 << 30)
	left := await.Bound
	n, err := s.Send(m, &left)
	if n != 1 || !errors.As(err, new(unix.Errno)) {
		t.Errorf("Send = %d, %v; want 1 and the kernel's error", n, err)
	}
}

func TestAfterCloseIsAnError(t *testing.T) {
	s, r := link(t)
	_, _ = s.Close(), r.Close()
	left := time.Second
	if _, err := s.Send(messages(1, 1), &left); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Send = %v, want that it is closed", err)
	}
	if _, err := r.Receive(messages(1, 1), time.Second); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Receive = %v, want that it is closed", err)
	}
}

func TestABlockingDescriptorIsRefused(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fds[1]) }()
	if _, err := NewSender(fds[0], "blocking"); err == nil {
		t.Error("got nil, want a refusal: it could not be waited for with a deadline")
	}
}

func TestDropsOutliveTheKernelsCounter(t *testing.T) {
	var d Drops
	for _, step := range []struct {
		reading uint32
		want    uint64
	}{{5, 5}, {0xffff_fff0, 0xffff_fff0}, {0x10, 0x1_0000_0010}} {
		if got := d.Add(step.reading); got != step.want {
			t.Errorf("after a reading of %#x: got %#x, want %#x", step.reading, got, step.want)
		}
	}
	d.Restart()
	if got, want := d.Add(7), uint64(0x1_0000_0017); got != want {
		t.Errorf("after a new socket: got %#x, want %#x", got, want)
	}
}
