package pipeline

import (
	"encoding/binary"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/tx/replay"
	"heliograph/firmware/tx/source"
)

// line is a medium that takes its time for each frame, and knows when each event,
// whose payload is the time it was put, has arrived.
type line struct {
	rate     float64
	overhead int
	session  *wire.Session

	mu      sync.Mutex
	free    time.Time
	delays  []time.Duration // of events
	again   int             // bytes of the replay class
	deepest time.Duration   // of the line that a frame of it took, with all before it
}

func (l *line) Close() error { return nil }

func (l *line) Transmit(frames [][]byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	for _, f := range frames {
		size := len(f) + l.overhead
		l.free = l.free.Add(time.Duration(float64(size) / l.rate * float64(time.Second)))
		if kind, _ := wire.KindOf(f); kind == wire.Hello {
			continue
		}
		var h wire.Header
		h.Parse(f)
		if h.Class == wire.Replay {
			l.again += size
			l.deepest = max(l.deepest, l.free.Sub(now))
			continue
		}
		plain, ok := l.session.Open(slices.Clone(f), wire.HeaderSize, uint64(h.Sequence))
		if ok && h.Kind == wire.Source {
			l.items(plain)
		}
	}
	return len(frames), nil
}

func (l *line) items(plain []byte) {
	for {
		it, rest, err := record.NextItem(plain)
		if err == io.EOF || err != nil {
			return
		}
		var u record.Update
		if it.Kind == record.KindUpdate && it.Last && it.First && u.Parse(it.Body) == nil && u.Event {
			put := time.Unix(0, int64(binary.BigEndian.Uint64(u.Payload)))
			l.delays = append(l.delays, l.free.Sub(put))
		}
		plain = rest
	}
}

// delays runs a line with live events at random times, and returns percentiles of
// how long they took until the last bit of their frame was on the line.
func delays(t *testing.T, c Config, memory int) (p50, p99 time.Duration, l *line) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if c.Session, err = wire.NewSession(wire.PairKey{1}, 1, [16]byte{}); err != nil {
			t.Fatal(err)
		}
		if memory > 0 {
			c.Replay, err = replay.New(replay.Config{Epoch: 1, Limit: memory, Start: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
		}
		c.Log = slog.New(slog.DiscardHandler)
		l = &line{rate: c.Rate, overhead: c.Profile.WireOverhead, session: c.Session}
		link := New(c, l)
		p := link.Port("a", wire.LowLatency)
		random := rand.New(rand.NewPCG(1, 2))
		noise := rand.NewChaCha8([32]byte{})
		run(t, link, func() {
			time.Sleep(time.Second)
			for range 1000 { // the state, which the carousel repeats
				key := make([]byte, 20)
				noise.Read(key)
				if err := p.Put(source.Update{Key: key, Payload: key}); err != nil {
					t.Error(err)
				}
			}
			p.SetComplete(true)
			for range 2000 {
				b := make([]byte, 60)
				noise.Read(b)
				binary.BigEndian.PutUint64(b, uint64(time.Now().UnixNano()))
				if err := p.Put(source.Update{Payload: b, Event: true}); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Duration(random.ExpFloat64() * float64(10*time.Millisecond)))
			}
		})
	})
	d := l.delays[len(l.delays)/10:] // not of the first snapshot
	slices.Sort(d)
	return d[len(d)/2], d[len(d)*99/100], l
}

func TestReplayDoesNotDelayLiveRecords(t *testing.T) {
	const word, datagram = 259 * time.Second / 92160, 1538 * time.Second / 12_500_000
	for name, c := range map[string]struct {
		config Config
		frame  time.Duration // the largest, on the line
	}{
		"uart": {Config{
			Profile: wire.UARTProfile(921600), Rate: 92160, Overhead: 0.25, CarouselShare: 0.25, Ahead: word,
		}, word},
		"fibre": {Config{
			Profile: wire.DatagramProfile(1472, 66), Rate: 12.5e6, Overhead: 0.25, CarouselShare: 0.1,
			Ahead: 500 * time.Microsecond,
		}, datagram},
	} {
		t.Run(name, func(t *testing.T) {
			p50, p99, _ := delays(t, c.config, 0)
			with50, with99, l := delays(t, c.config, 8<<20)
			t.Logf("p50 %v, with replay %v; p99 %v, with replay %v (%.2f); %d kB sent again, at most %v of the line",
				p50, with50, p99, with99, float64(with99)/float64(p99), l.again/1000, l.deepest)
			deepest := c.config.Ahead + catchUp + 2*c.frame // in the carousel's turns, as deep as the carousel
			if l.again == 0 || l.deepest > deepest {
				t.Errorf("replay took %v of the line, %d bytes; want at most %v, and some", l.deepest, l.again, deepest)
			}
			if most := max(p99*110/100, p99+2*c.frame); with99 > most {
				t.Errorf("with replay the 99th percentile is %v, without %v; want %v at most", with99, p99, most)
			}
		})
	}
}
