package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/drivers/drivertest"
	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/sink"
)

// listing is a sink that lists what it was given.
type listing struct{ got []string }

func (s *listing) Deliver(u sink.Update) {
	word := "live"
	if u.Late {
		word = "late"
	}
	s.got = append(s.got, word+" "+string(u.Payload))
}

// sender is a transmitter whose frames go into a Pipe.
type sender struct {
	t          *testing.T
	pipe       *drivertest.Pipe
	session    *wire.Session
	sequence   uint64
	generation [wire.Classes]uint16
	index      [wire.Classes]uint16
}

func newSender(t *testing.T, pipe *drivertest.Pipe, key wire.PairKey) *sender {
	t.Helper()
	s := &sender{t: t, pipe: pipe}
	var err error
	if s.session, err = wire.NewSession(key, 1, [16]byte{1}); err != nil {
		t.Fatal(err)
	}
	s.sequence = 1
	hello := make([]byte, wire.HelloHeaderSize, 128)
	(&wire.HelloHeader{Session: s.session.ID, Epoch: 1, Sequence: 1, Salt: s.session.Salt}).Put(hello)
	s.frame(s.session.Seal(hello, wire.HelloHeaderSize, 1))
	return s
}

func (s *sender) frame(b []byte) {
	if n, err := s.pipe.Transmit([][]byte{b}); n != 1 || err != nil {
		s.t.Fatalf("transmit: %d, %v", n, err)
	}
}

// record sends one record in a frame of its own, or loses the frame.
func (s *sender) record(class wire.Class, kind record.Kind, body []byte, lost bool) {
	s.sequence++
	frame := make([]byte, wire.HeaderSize, 4096)
	h := wire.Header{Kind: wire.Source, Class: class, Lanes: 1, Session: s.session.ID, Sequence: uint32(s.sequence),
		Generation: s.generation[class], Index: s.index[class]}
	h.Put(frame)
	s.index[class]++
	frame = record.AppendItem(frame, record.Item{Kind: kind, First: true, Last: true, Body: body})
	if !lost {
		s.frame(s.session.Seal(frame, wire.HeaderSize, s.sequence))
	}
}

// next begins another generation, some after the present one, so that this is over.
func (s *sender) next(class wire.Class) { s.generation[class] += 3; s.index[class] = 0 }

func (s *sender) live(channel string, seq uint64, lost bool) {
	u := record.Update{Channel: record.ChannelID(channel), Seq: seq, Event: true, Payload: fmt.Append(nil, seq)}
	s.record(wire.LowLatency, record.KindUpdate, u.Append(nil), lost)
}

func (s *sender) totals(channel string, seq uint64) {
	t := record.Totals{Channel: record.ChannelID(channel), Seq: seq, State: record.SourceUp}
	s.record(wire.LowLatency, record.KindTotals, t.Append(nil), false)
}

func (s *sender) window(channel string) {
	w := record.Window{Channel: record.ChannelID(channel), Epoch: 1, First: 1, Reach: 60, Pass: 1500}
	s.record(wire.Replay, record.KindWindow, w.Append(nil), false)
}

func (s *sender) page(channel string, first, last uint64, lost bool) {
	var w record.ReplayWriter
	w.Reset(first)
	for n := first; n <= last; n++ {
		w.Append(&record.Replayed{Seq: n, Event: true, Payload: fmt.Append(nil, n)})
	}
	s.record(wire.Replay, record.KindReplay, w.AppendReplay(nil, record.ChannelID(channel), 1, nil), lost)
}

// TestHolesHealThroughTheLink loses records 3 to 6 of one channel, and a page of the
// first pass; the other channel takes nothing late.
func TestHolesHealThroughTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		pipe := drivertest.NewPipe(100)
		key := wire.PairKey{5}
		l := New(Config{Key: key, StaleAfter: 5 * time.Second, Anchor: admitAll{},
			Log: slog.New(slog.NewTextHandler(&log, nil))}, &breakable{Pipe: pipe})
		heals, not := &listing{}, &listing{}
		a, b := l.Channel("a"), l.Channel("b")
		a.TakeLate(mirror.InOrder)
		a.DeliverTo(heals)
		var full atomic.Bool
		later := &listing{}
		c := l.Channel("c") // accepts nothing late until its sink has room
		c.TakeLate(mirror.AnyOrder)
		c.AcceptLateIf(func() bool { return !full.Load() })
		c.DeliverTo(later)
		full.Store(true)
		b.DeliverTo(not)
		done := make(chan error, 1)
		ctx, stop := context.WithCancel(t.Context())
		defer func() { stop(); <-done }()
		go func() { done <- l.Run(ctx) }()
		s := newSender(t, pipe, key)
		for seq := range uint64(8) {
			lost := seq >= 2 && seq < 6
			if seq == 6 {
				s.next(wire.LowLatency)
			}
			s.live("a", seq+1, lost)
			s.live("b", seq+1, lost)
			s.live("c", seq+1, lost)
		}
		s.totals("c", 8)
		s.totals("a", 8)
		s.totals("b", 8)
		time.Sleep(2 * time.Second)
		s.window("a")
		s.page("a", 1, 3, false)
		s.page("a", 4, 4, true)
		s.next(wire.Replay)
		s.page("a", 5, 8, false)
		s.window("c")
		s.page("c", 1, 8, false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if h := c.Holes(); len(later.got) != 4 || len(h) != 1 || h[0].Records != 4 || h[0].Final {
			t.Errorf("while the sink has no room: got %q and %+v, want one hole of 4", later.got, h)
		}
		full.Store(false)
		if h := a.Holes(); len(h) != 1 || h[0].Records != 3 || h[0].Final {
			t.Errorf("after a pass that missed a page: got %+v, want one hole of 3", h)
		}
		st := l.Status()
		if r := st.Channels[0].Replay; r == nil || r.Reach != time.Minute || r.Pass != 1500*time.Millisecond {
			t.Errorf("got %+v, want what the transmitter stated", r)
		}
		s.window("a")
		s.page("a", 1, 3, false)
		s.page("a", 4, 4, false)
		s.page("a", 5, 8, false)
		s.page("b", 1, 8, false)
		s.window("c")
		s.page("c", 1, 8, false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		want := []string{"live 1", "live 2", "live 7", "live 8", "late 3", "late 4", "late 5", "late 6"}
		if !slices.Equal(heals.got, want) || !slices.Equal(not.got, want[:4]) {
			t.Errorf("got %q and %q, want %q and none late", heals.got, not.got, want)
		}
		if !slices.Equal(later.got, want) {
			t.Errorf("with room again: got %q, want %q", later.got, want)
		}
		st = l.Status()
		if c := st.Channels[0]; c.Delivered != 8 || c.Healed != 4 || c.Lost != 0 || c.Open != 0 || len(c.Holes) != 0 {
			t.Errorf("got %+v, want 4 healed", c)
		}
		if c := st.Channels[1]; c.Delivered != 4 || c.Lost != 4 || c.Open != 0 || len(c.Holes) != 1 ||
			!c.Holes[0].Final {
			t.Errorf("got %+v, want 4 lost for good", c)
		}
		for _, line := range []string{"hole opened", "hole closed"} {
			if n := strings.Count(log.String(), line); n != 2 {
				t.Errorf("%q was logged %d times, want once for each channel that takes late ones:\n%s", line, n, &log)
			}
		}
	})
}
