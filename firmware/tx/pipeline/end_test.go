package pipeline

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/tx/source"
)

// slow is a medium that takes frames one at a time, as a UART that is busy does, and later
// more or none.
type slow struct {
	mu    sync.Mutex
	takes int
	line  line
	last  uint32 // sequence number
	gaps  int
}

func (s *slow) Close() error { return nil }

func (s *slow) Transmit(frames [][]byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(s.takes, len(frames))
	for _, f := range frames[:n] {
		if kind, _ := wire.KindOf(f); kind == wire.Hello {
			s.last++
			continue
		}
		var h wire.Header
		h.Parse(f)
		if h.Sequence != s.last+1 {
			s.gaps++
		}
		s.last = h.Sequence
	}
	return s.line.Transmit(frames[:n])
}

func (s *slow) accept(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takes = n
}

// TestTheEndAcknowledgesWhatHasLeft ends a link while its medium has taken a part of a batch.
func TestTheEndAcknowledgesWhatHasLeft(t *testing.T) {
	for name, takes := range map[string]int{"the medium takes the rest": 1000, "slowly": 1, "nothing more": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &slow{takes: 1000}
				l := newLink(t, &medium{})
				l.medium, m.line.rate, m.line.session = m, 1e6, l.config.Session
				p := l.Port("a", wire.LowLatency)
				const events = 3000 // too short to be cut into pieces
				left, kept := 0, 0
				run(t, l, func() {
					time.Sleep(time.Second)
					m.accept(1)
					for range events {
						u := event(string(make([]byte, 8)), func(err error) {
							if left++; err != nil {
								kept++
							}
						})
						if err := p.Put(u); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(210 * time.Millisecond) // within a batch
					synctest.Wait()
					m.accept(takes)
				})
				if n := len(m.line.delays); m.gaps > 0 || left != events || left-kept > n || takes > 1 && kept > 0 {
					t.Errorf("got %d events on the medium and %d frames skipped, %d events acknowledged, %d refused",
						n, m.gaps, left-kept, kept)
				}
			})
		})
	}
}

// final is a medium that notes what the totals of each channel said last, and whether their
// parity has left.
type final struct {
	session     *wire.Session
	totals      map[uint16]record.Totals
	unprotected map[[2]uint16]bool // generations of totals, by class and number
	partial     [wire.Classes][]byte
}

func (f *final) Close() error { return nil }

func (f *final) Transmit(frames [][]byte) (int, error) {
	for _, b := range frames {
		var h wire.Header
		if kind, _ := wire.KindOf(b); kind == wire.Hello {
			continue
		}
		h.Parse(b)
		generation := [2]uint16{uint16(h.Class), h.Generation}
		if h.Kind == wire.Parity {
			delete(f.unprotected, generation)
			continue
		}
		rest, _ := f.session.Open(slices.Clone(b), wire.HeaderSize, uint64(h.Sequence))
		for {
			it, after, err := record.NextItem(rest)
			if err != nil {
				break
			}
			if rest = after; it.Kind != record.KindTotals {
				continue
			}
			f.unprotected[generation] = true
			if it.First {
				f.partial[h.Class] = nil
			}
			f.partial[h.Class] = append(f.partial[h.Class], it.Body...)
			var t record.Totals
			if it.Last && t.Parse(f.partial[h.Class]) == nil {
				f.totals[t.Channel] = t
			}
		}
	}
	return len(frames), nil
}

// TestTheEndStatesWhatWasConflated: the next epoch could not tell it from records.
func TestTheEndStatesWhatWasConflated(t *testing.T) {
	for name, profile := range map[string]wire.Profile{
		"datagrams": wire.DatagramProfile(1472, 66), "a UART": wire.UARTProfile(921600),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { endConflated(t, profile) })
		})
	}
}

// endConflated ends a link right after values of two channels were conflated.
func endConflated(t *testing.T, profile wire.Profile) {
	l := newLink(t, &medium{})
	f := &final{session: l.config.Session, totals: map[uint16]record.Totals{}, unprotected: map[[2]uint16]bool{}}
	l.config.Profile, l.config.Rate = profile, 92160
	l = New(l.config, f)
	names := []string{"quick", "bulk"}
	ports := []source.Holder{l.Port(names[0], wire.LowLatency), l.Port(names[1], wire.Bulk)}
	run(t, l, func() {
		time.Sleep(1100 * time.Millisecond)
		for _, p := range ports {
			p.Report(source.Up, strings.Repeat("x", record.MaxReason)) // more than a frame of a UART carries
			for range 5 {
				if err := p.Put(source.Update{Key: []byte("k"), Payload: make([]byte, 3000)}); err != nil {
					t.Error(err)
				}
			}
			p.Conflated(2)
		}
	})
	for i, name := range names {
		want, got := l.Channels()[i], f.totals[record.ChannelID(name)]
		if got.Conflated != want.Conflated || got.Seq+got.Conflated != want.Sent || want.Sent != 7 {
			t.Errorf("%s: got %+v, want %+v", name, got, want.Counts)
		}
	}
	if len(f.unprotected) > 0 {
		t.Errorf("%v: totals have no parity", f.unprotected)
	}
}
