package pipeline

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/drivers/drivertest"
	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
)

// breakable is a Pipe that cannot be read while it is broken.
type breakable struct {
	*drivertest.Pipe
	broken, closed atomic.Bool
}

func (b *breakable) Receive(timeout time.Duration, deliver func([]byte)) error {
	if b.broken.Load() {
		return errors.New("interface is down")
	}
	return b.Pipe.Receive(timeout, deliver)
}

func (b *breakable) Close() error { b.closed.Store(true); return nil }

// admitAll is an Anchor that accepts every session.
type admitAll struct{}

func (admitAll) Admit(uint64, [16]byte) (uint64, error) { return 0, nil }

func TestAMediumThatCannotBeReadIsLoggedOnceAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m := &breakable{Pipe: drivertest.NewPipe(10)}
		l := New(Config{StaleAfter: 5 * time.Second, Anchor: admitAll{}, Log: slog.New(slog.NewTextHandler(&log, nil))},
			m)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		m.broken.Store(true)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if err := l.Ready(); err == nil || err.Error() != "link: interface is down" {
			t.Errorf("broken: got %v", err)
		}
		if steps := l.Steps(); steps < 10 {
			t.Errorf("got %d steps in 10 s, want several a second", steps)
		}
		m.broken.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()
		if err := l.Ready(); err == nil || err.Error() != "link: nothing received from the transmitter yet" {
			t.Errorf("when it can be read: got %v", err)
		}
		cancel()
		if err := <-done; err != nil || !m.closed.Load() {
			t.Errorf("the end: got %v, closed %v", err, m.closed.Load())
		}
		for _, want := range []string{"medium cannot be read", "medium can be read again"} {
			if got := strings.Count(log.String(), want); got != 1 {
				t.Errorf("%q is logged %d times, want once:\n%s", want, got, &log)
			}
		}
	})
}

func TestForgedFramesAreNamedWhileTheLinkIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{StaleAfter: 5 * time.Second, Anchor: admitAll{}, Log: slog.New(slog.DiscardHandler)}, nil)
		session, err := wire.NewSession(wire.PairKey{9}, 1, [16]byte{1}) // another pair's
		if err != nil {
			t.Fatal(err)
		}
		hello := make([]byte, wire.HelloHeaderSize, 128)
		(&wire.HelloHeader{Session: session.ID, Epoch: 1, Sequence: 1}).Put(hello)
		l.handleChunk(session.Seal(hello, wire.HelloHeaderSize, 1))
		const want = "link: frames arrive that this pair key does not open: compare the pair keys of both sides " +
			"(auth_failure, 1 frames)"
		if err := l.Ready(); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		time.Sleep(forgedFor) // none arrives any more
		const silent = "link: nothing received from the transmitter yet; frames before were not of this pair key " +
			"(auth_failure, 1 frames)"
		if err := l.Ready(); err == nil || err.Error() != silent {
			t.Errorf("got  %v\nwant %s", err, silent)
		}
	})
}

func TestRecordsThatCannotBeDecodedAreCounted(t *testing.T) {
	l := New(Config{Log: slog.New(slog.DiscardHandler)}, nil)
	l.Channel("plant")
	kinds := []record.Kind{
		record.KindUpdate, record.KindBatch, record.KindPage, record.KindManifest, record.KindTotals,
		record.KindHeartbeat,
	}
	for i, kind := range kinds {
		l.handleRecord(kind, []byte{1})
		if got := l.Status().Frames.Malformed; got != uint64(i+1) {
			t.Errorf("kind %d: got %d malformed, want %d", kind, got, i+1)
		}
	}
	totals := record.Totals{Channel: record.ChannelID("another")}
	l.handleRecord(record.KindTotals, totals.Append(nil))
	if st := l.Status(); st.Unknown != 1 || st.Frames.Malformed != uint64(len(kinds)) {
		t.Errorf("a channel that is not configured: got %+v", st)
	}
}
