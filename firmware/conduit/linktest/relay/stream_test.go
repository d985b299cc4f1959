package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/ci/await"
	"heliograph/firmware/conduit/linktest"

	"github.com/creack/pty"
)

// streaming starts a Stream and returns what stops it and gives its error.
func streaming(t *testing.T, from io.Reader, to io.Writer, link *linktest.Link) (stop func() error) {
	return run(t, func(ctx context.Context) error { return Stream(ctx, from, to, link, 0) })
}

// ptys returns two raw pseudo terminals joined by a relay: TX's and RX's side.
func ptys(t *testing.T, link *linktest.Link) (tx, rx *os.File, stop func() error) {
	t.Helper()
	var masters, slaves [2]*os.File
	for i := range masters {
		master, slave, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw(slave); err != nil {
			t.Fatal(err)
		}
		masters[i], slaves[i] = master, slave
		t.Cleanup(func() { _, _ = master.Close(), slave.Close() })
	}
	return slaves[0], slaves[1], streaming(t, masters[0], masters[1], link)
}

func TestStreamRelaysBetweenTerminals(t *testing.T) {
	link := linktest.New(1, linktest.Profile{})
	tx, rx, stop := ptys(t, link)
	want := make([]byte, 3000)
	for i := range want {
		want[i] = byte(i * 7)
	}
	got := make([]byte, len(want))
	for range 10 {
		if _, err := tx.Write(want); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(rx, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got other bytes than were sent, or %v", err)
		}
	}
	if err := stop(); err != nil || link.Counters().Unsent != 0 {
		t.Errorf("Stream = %v, unsent %d; want nil, 0", err, link.Counters().Unsent)
	}
}

func TestAFarEndThatDoesNotReadDoesNotPushBack(t *testing.T) {
	link := linktest.New(1, linktest.Profile{})
	tx, _, stop := ptys(t, link)
	sent := make(chan error, 1)
	go func() {
		_, err := tx.Write(make([]byte, 1<<18))
		sent <- err
	}()
	if err := await.Receive(t, "the near end does not wait for a far end that does not read", sent); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Errorf("Stream = %v, want nil", err)
	}
	if link.Counters().Unsent == 0 {
		t.Error("0 unsent, want what the far end did not take")
	}
}

func TestStreamKeepsTheRateOfTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 92_160
		for _, n := range []int{rate, 10} {
			start, out := time.Now(), 0
			count := writer(func(b []byte) (int, error) { out += len(b); return len(b), nil })
			err := Stream(t.Context(), bytes.NewReader(make([]byte, n)), count, linktest.New(1, linktest.Profile{}),
				rate)
			want := time.Duration(n) * time.Second / rate
			if got := time.Since(start); err != nil || out != n || got < want-time.Millisecond ||
				got > want+time.Millisecond {
				t.Errorf("%d bytes took %v, %d came out, %v; want %v", n, got, out, err, want)
			}
		}
	})
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func TestStreamOutlivesAClosedTerminal(t *testing.T) {
	txMaster, txSlave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	path := txSlave.Name()
	_ = txSlave.Close() // no program has it open: the master reads EIO
	out, in := io.Pipe()
	stop := streaming(t, txMaster, in, linktest.New(1, linktest.Profile{}))
	defer func() { _, _, _ = stop(), txMaster.Close(), out.Close() }()
	for _, word := range []string{"first", "again"} {
		tx, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := raw(tx); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.WriteString(word); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(word))
		if _, err := io.ReadFull(out, got); err != nil || string(got) != word {
			t.Errorf("got %q, %v; want %q", got, err, word)
		}
		_ = tx.Close()
	}
}

func TestStreamEnds(t *testing.T) {
	perfect := linktest.New(1, linktest.Profile{})
	t.Run("input ends", func(t *testing.T) {
		var out bytes.Buffer
		if err := Stream(t.Context(), bytes.NewReader([]byte("all")), &out, perfect, 0); err != nil ||
			out.String() != "all" {
			t.Errorf("Stream = %v, relayed %q; want nil, all of it", err, out.String())
		}
	})
	t.Run("context, reader without deadlines", func(t *testing.T) {
		from, to := io.Pipe()
		defer func() { _ = to.Close() }()
		if err := streaming(t, from, io.Discard, perfect)(); err != nil {
			t.Errorf("Stream = %v, want nil", err)
		}
	})
	t.Run("context, writer that blocks", func(t *testing.T) {
		unread, to := io.Pipe()
		defer func() { _ = unread.Close() }()
		if err := streaming(t, bytes.NewReader([]byte("all")), to, perfect)(); err != nil &&
			!errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("Stream = %v, want an end", err)
		}
	})
	t.Run("output fails", func(t *testing.T) {
		unread, to := io.Pipe()
		_ = unread.CloseWithError(errors.New("broken"))
		more, feed := io.Pipe()
		defer func() { _ = feed.Close() }()
		go func() { _, _ = feed.Write([]byte("x")) }()
		if err := Stream(t.Context(), more, to, perfect, 0); err == nil {
			t.Error("Stream = nil, want the writer's error")
		}
	})
}

// late is a writer whose deadline is over before the first attempt, a number of times.
type late struct {
	bytes.Buffer
	times int
}

func (*late) SetWriteDeadline(time.Time) error { return nil }

func (l *late) Write(b []byte) (int, error) {
	if l.times--; l.times >= 0 {
		return 0, os.ErrDeadlineExceeded
	}
	return l.Buffer.Write(b)
}

func TestADeadlineThatIsOverBeforeTheFirstAttemptLosesNothing(t *testing.T) {
	for _, c := range []struct {
		times  int
		unsent uint64
	}{{0, 0}, {1, 0}, {2, 4}} {
		to, link := &late{times: c.times}, linktest.New(1, linktest.Profile{})
		s := stream{to: to, link: link}
		s.forward([]byte("line"))
		if got := link.Counters().Unsent; got != c.unsent || to.Len() != 4-int(c.unsent) || s.err != nil {
			t.Errorf("%d deadlines over: %d bytes written, %d unsent, %v; want %d unsent", c.times, to.Len(), got,
				s.err, c.unsent)
		}
	}
}
