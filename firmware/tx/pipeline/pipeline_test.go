package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/tx/send"
	"heliograph/firmware/tx/source"
)

// medium is a Transmitter that can be away.
type medium struct {
	away   atomic.Bool
	closed bool
}

var errAway = errors.New("interface is away")

func (m *medium) Transmit(frames [][]byte) (int, error) {
	if m.away.Load() {
		return 0, errAway
	}
	return len(frames), nil
}

func (m *medium) Close() error { m.closed = true; return nil }

func newLink(t *testing.T, m *medium) *Link {
	t.Helper()
	session, err := wire.NewSession(wire.PairKey{1}, 1, [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{
		Profile: wire.DatagramProfile(1472, 66), Rate: 1e6, Overhead: 0.25, CarouselShare: 0.1,
		Ahead: time.Millisecond, Session: session, Log: slog.New(slog.DiscardHandler),
	}, m)
}

// run runs a link for as long as f takes, and ends it.
func run(t *testing.T, l *Link, f func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	f()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
}

func event(s string, left func(error)) source.Update {
	return source.Update{Payload: []byte(s), Event: true, Left: left}
}

func TestAMediumThatIsAwayLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &medium{}
		l := newLink(t, m)
		p := l.Port("a", wire.LowLatency)
		run(t, l, func() {
			time.Sleep(time.Second)
			m.away.Store(true)
			var left atomic.Int32
			for range 10 {
				if err := p.Put(event("x", func(err error) {
					if err != nil {
						t.Errorf("left with %v", err)
					}
					left.Add(1)
				})); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(10 * time.Second)
			if left := left.Load(); left != 0 || l.Ready() == nil {
				t.Errorf("while the medium is away: %d left, ready %v; want none, and the reason", left, l.Ready())
			}
			m.away.Store(false)
			time.Sleep(time.Second)
			if left := left.Load(); left != 10 || l.Ready() != nil {
				t.Errorf("once it is back: %d left, ready %v; want 10, nil", left, l.Ready())
			}
		})
		if !m.closed {
			t.Error("the medium was not closed")
		}
	})
}

func TestWhatWaitsLeavesBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(t, &medium{})
		p := l.Port("a", wire.LowLatency)
		var mu sync.Mutex
		got := map[error]int{}
		run(t, l, func() {
			time.Sleep(time.Second)
			for range 100 {
				if err := p.Put(event("x", func(err error) { mu.Lock(); got[err]++; mu.Unlock() })); err != nil {
					t.Error(err)
				}
			}
		})
		if got[nil] != 100 {
			t.Errorf("got %v, want all 100 left", got)
		}
		if err := p.Put(event("late", nil)); !errors.Is(err, source.ErrClosed) {
			t.Errorf("put after the end: got %v, want %v", err, source.ErrClosed)
		}
	})
}

func TestEveryLeftIsCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &medium{}
		m.away.Store(true)
		l := newLink(t, m)
		p := l.Port("a", wire.LowLatency)
		var mu sync.Mutex
		got := map[error]int{}
		accepted := 0
		run(t, l, func() {
			for i := range 50 {
				u := event(fmt.Sprint(i), func(err error) { mu.Lock(); got[err]++; mu.Unlock() })
				u.Payload = make([]byte, 1<<20)
				switch err := p.Put(u); {
				case err == nil:
					accepted++
				case !errors.Is(err, source.ErrFull):
					t.Error(err)
				}
			}
		})
		if accepted == 0 || accepted == 50 || got[source.ErrClosed] != accepted || len(got) != 1 {
			t.Errorf("%d of 50 MiB were accepted, then %v; want some, and all of them refused at the end", accepted,
				got)
		}
	})
}

func TestTheLineRateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(t, &medium{})
		p := l.Port("a", wire.LowLatency)
		run(t, l, func() {
			for range 3000 {
				if err := p.Put(event(string(make([]byte, 1000)), nil)); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(time.Second)
			before := l.Counts().Bytes
			time.Sleep(time.Second)
			if got := l.Counts().Bytes - before; got < 990_000 || got > 1_010_000 {
				t.Errorf("in a second at 1 MB/s: got %d bytes on the medium", got)
			}
		})
	})
}

func TestChannelStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(t, &medium{})
		p := l.Port("a", wire.LowLatency)
		run(t, l, func() {
			p.Report(source.Up, "MQTT 5")
			for _, value := range []string{"1", "2"} {
				if err := p.Put(source.Update{Key: []byte("k"), Payload: []byte(value)}); err != nil {
					t.Error(err)
				}
			}
			p.SetComplete(true)
			p.Conflated(3)
			p.Missed(1, "lines")
			p.Missed(0, "others")
			p.Missed(4, "or more events")
			p.Missed(1, "lines")
			time.Sleep(time.Second)
			c := l.Channels()[0]
			if c.State != source.Up || c.Reason != "MQTT 5" || c.Partial || c.Keys != 1 || c.Sent != 5 ||
				c.Missed != 6 || c.MissedWhy != "2 lines, 4 or more events" ||
				c.Conflated < 3 {
				t.Errorf("got %+v", c)
			}
			p.Range(func(key, payload []byte) bool {
				if string(key) != "k" || string(payload) != "2" {
					t.Errorf("state: got %q %q", key, payload)
				}
				return true
			})
		})
	})
}

// keeper is a Keeper that remembers the last totals.
type keeper struct {
	mu      sync.Mutex
	records uint64
}

func (k *keeper) Earlier(string) uint64 { return 40 }

func (k *keeper) Keep(totals []send.Total) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.records = totals[0].Records
}

func (k *keeper) last() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.records
}

func TestTotalsAreKeptBeforeLeftIsCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{}
		l := newLink(t, &medium{})
		l.config.Totals = k
		p := l.Port("plant", wire.LowLatency)
		run(t, l, func() {
			for i := range uint64(300) {
				left := make(chan uint64, 1)
				if err := p.Put(event("e", func(err error) {
					if err != nil {
						t.Error(err)
					}
					left <- k.last()
				})); err != nil {
					t.Fatal(err)
				}
				if kept, want := <-left, 40+i+1; kept != want {
					t.Fatalf("event %d left with a total of %d kept, want %d", i+1, kept, want)
				}
			}
		})
	})
}

// TestTotalsAreKeptWhileTheMediumIsAway: a process that is killed then has lost what it accepted.
func TestTotalsAreKeptWhileTheMediumIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{}
		m := &medium{}
		l := newLink(t, m)
		l.config.Totals = k
		p := l.Port("plant", wire.LowLatency)
		run(t, l, func() {
			time.Sleep(time.Second)
			m.away.Store(true)
			time.Sleep(time.Second) // the loop is held by a batch
			for range 10 {
				if err := p.Put(event("x", nil)); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(keepEvery + retry)
			if got := k.last(); got != 40+10 {
				t.Errorf("got a total of %d kept, want 10 beside 40 of earlier runs", got)
			}
		})
	})
}

func TestTotalsAtTheEndContainWhatWasLostButNotWhatItsSourceKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{}
		m := &medium{}
		m.away.Store(true)
		l := newLink(t, m)
		l.config.Totals = k
		p := l.Port("plant", wire.LowLatency)
		var held atomic.Int32
		want := int32(0)
		run(t, l, func() {
			big := string(make([]byte, 100_000)) // more than a batch holds
			for range 20 {
				if p.Put(event(big, nil)) != nil {
					t.Fatal("refused")
				}
			}
			for p.Put(event(big, func(error) { held.Add(1) })) == nil {
				want++
			}
			synctest.Wait()
		})
		const lost = 40 + 20
		// one or two were in pieces
		if got := k.last(); got < lost || got > lost+2 || want == 0 || held.Load() != want {
			t.Errorf("got a total of %d, %d of Left; want the 20 lost beside 40 of earlier runs, and %d of Left",
				got, held.Load(), want)
		}
	})
}

// TestHeldEventsWaitForRoom checks that nothing with a Left is dropped by any
// other load, and that loose events delay it by little.
func TestHeldEventsWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(t, &medium{})
		p := l.Port("a", wire.LowLatency)
		const events, size = 300, 20_000 // 6 s of the line
		left, slowest := 0, time.Duration(0)
		run(t, l, func() {
			ctx, stop := context.WithCancel(t.Context())
			go func() { // three times what the line takes
				for ctx.Err() == nil {
					if err := p.Put(source.Update{Payload: make([]byte, 3000), Event: true}); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Millisecond)
				}
			}()
			for range events {
				<-p.Room()
				put := time.Now()
				u := event("", func(err error) {
					if err != nil {
						t.Errorf("left with %v", err)
					}
					left++
					slowest = max(slowest, time.Since(put))
				})
				u.Payload = make([]byte, size)
				if err := p.Put(u); err != nil {
					t.Fatal(err)
				}
			}
			stop()
			time.Sleep(2 * time.Second)
		})
		if c := l.Channels()[0]; left != events || c.Dropped == 0 {
			t.Errorf("%d of %d left, %d others dropped; want all, and some", left, events, c.Dropped)
		}
		if slowest > 1500*time.Millisecond { // 0.2 s of the others, 256 kB of its own, parity and the carousel
			t.Errorf("the slowest took %s", slowest)
		}
	})
}
