package pipeline

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/wire"
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

func (s *slow) take(n int) {
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
					m.take(1)
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
					m.take(takes)
				})
				if n := len(m.line.delays); m.gaps > 0 || left != events || left-kept > n || takes > 1 && kept > 0 {
					t.Errorf("got %d events on the medium and %d frames skipped, %d events acknowledged, %d refused",
						n, m.gaps, left-kept, kept)
				}
			})
		})
	}
}
