package pipeline

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/wire"
)

// Bytes of codewords, and what codeword.Encode adds to a frame.
const (
	longestWord  = 259
	wordOverhead = 20
)

// serial is a UART whose kernel has a queue of two long words, as package drivers/uart fills it.
type serial struct {
	rate float64       // bytes per second
	late time.Duration // how long the machine is busy with other work at the next Transmit

	mu    sync.Mutex
	busy  time.Time // when the queue will be empty
	taken int       // bytes
}

func (s *serial) Close() error { return nil }

func (s *serial) Transmit(words [][]byte) (sent int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	time.Sleep(s.late)
	s.late = 0
	for _, word := range words {
		now := time.Now()
		if s.busy.Before(now) {
			s.busy = now
		}
		if s.busy.Sub(now).Seconds()*s.rate > longestWord {
			return sent, nil
		}
		s.busy = s.busy.Add(time.Duration(float64(len(word)) / s.rate * float64(time.Second)))
		s.taken += len(word)
		sent++
	}
	return sent, nil
}

// delay has the next Transmit take so long, and returns how many bytes were taken before.
func (s *serial) delay(late time.Duration) (taken int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = late
	return s.taken
}

// TestASerialLineStaysFilled has the pacer fall behind once, so that it passes more words at a
// time than the kernel's queue takes.
func TestASerialLineStaysFilled(t *testing.T) {
	for _, baud := range []int{9600, 115_200, 921_600, 3_000_000} {
		for name, sizes := range map[string][]int{"long words": {239}, "short words": {112}, "both": {112, 239}} {
			t.Run(fmt.Sprint(baud, " baud, ", name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := &serial{rate: float64(baud) / 10}
					l := newLink(t, &medium{})
					c := l.config
					c.Profile, c.Rate = wire.UARTProfile(baud), m.rate
					c.Profile.FrameSizes = sizes
					c.Ahead = time.Duration(longestWord / m.rate * float64(time.Second))
					c.Encode = func(dst, frame []byte) []byte {
						return append(append(dst, frame...), make([]byte, wordOverhead)...)
					}
					l = New(c, m)
					p := l.Port("a", wire.LowLatency)
					const seconds = 4
					for range int(m.rate) * 2 * seconds / 100 {
						if err := p.Put(event(string(make([]byte, 100)), nil)); err != nil {
							t.Fatal(err)
						}
					}
					run(t, l, func() {
						time.Sleep(time.Second)
						before := m.delay(5 * time.Millisecond)
						time.Sleep(seconds * time.Second)
						if got := float64(m.delay(0)-before) / seconds / m.rate; got < 0.95 {
							t.Errorf("got %.0f %% of the line's rate, want at least 95", 100*got)
						}
					})
				})
			})
		}
	}
}
