package bench

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"heliograph/ci/linksim"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/tx/send"
)

// beside is a line with live events, and a window that is sent again about half of
// the time.
type beside struct {
	*linksim.Sim
	in            *send.Channel
	rnd           *rand.Rand
	noise         *rand.ChaCha8
	free          time.Time // when the line has sent what it was given
	again         time.Time // when it was given a frame of replay last
	with, without []time.Duration
	counting      bool
	err           error
}

// What an event's payload says beside the time.
const (
	duringPass  = 1 // a pass runs
	soonAfter   = 2 // one ran shortly before: what it left on the line may be in the way
	afterwards  = 100 * time.Millisecond
	besideFlags = 2 // bits
)

// put puts an event of size bytes, whose payload says when, and whether a pass runs.
func (b *beside) put(size int) {
	p := make([]byte, size)
	b.noise.Read(p)
	at := uint64(b.Now.UnixNano()) << besideFlags
	switch {
	case !b.TX.Replay.Wake().After(b.Now):
		at |= duringPass
	case b.Now.Sub(b.again) < afterwards:
		at |= soonAfter
	}
	binary.BigEndian.PutUint64(p, at)
	if _, err := b.TX.Mux.Put(b.in, send.Record{Payload: p, Event: true}); err != nil {
		b.err = err
	}
}

// deliver is the sink: an event has arrived when the line has sent the last bit of its
// frame.
func (b *beside) deliver(u mirror.Update) {
	at := binary.BigEndian.Uint64(u.Payload)
	wait := b.free.Sub(time.Unix(0, int64(at>>besideFlags)))
	switch {
	case u.Late || !b.counting || at&soonAfter != 0:
	case at&duringPass != 0:
		b.with = append(b.with, wait)
	default:
		b.without = append(b.without, wait)
	}
}

// tap accounts for the time that a frame takes on the line.
func (b *beside) tap(frame []byte) {
	if b.free.Before(b.Now) {
		b.free = b.Now
	}
	var h wire.Header
	if kind, err := wire.KindOf(frame); err == nil && kind != wire.Hello {
		if h.Parse(frame); h.Class == wire.Replay {
			b.again = b.Now
		}
	}
	size := float64(len(frame) + b.Profile.WireOverhead)
	b.free = b.free.Add(time.Duration(size / b.Rate * float64(time.Second)))
}

// besideReplay compares the delay of live events while a pass runs with that of those
// in between.
func besideReplay() ([]Figure, error) {
	var out []Figure
	for _, c := range []struct {
		name        string
		p           wire.Profile
		rate        float64
		step, ahead time.Duration
		size        int
		every       time.Duration // of events, on average
	}{
		{"100 Mbit/s", datagrams, 12.5e6, 10 * time.Microsecond, 500 * time.Microsecond, 200, time.Millisecond},
		{"400 Mbit/s", datagrams, 50e6, 10 * time.Microsecond, 500 * time.Microsecond, 200, time.Millisecond},
		{"921600 baud", wire.UARTProfile(921600), 92160, 100 * time.Microsecond, 259 * time.Second / 92160, 60,
			10 * time.Millisecond},
	} {
		b := &beside{
			Sim: linksim.New(c.p, c.rate), rnd: rand.New(rand.NewPCG(1, 2)), noise: rand.NewChaCha8([32]byte{1}),
		}
		b.Tap, b.Ahead, b.Memory = b.tap, c.ahead, int(c.rate*0.4)
		b.StartRX(linksim.AdmitAll{})
		b.RX.Channel(channel, b.deliver).TakeLate(mirror.InOrder)
		if err := b.StartTX(1); err != nil {
			return nil, err
		}
		b.in = b.TX.Mux.Channel(channel, wire.LowLatency)
		b.TX.Mux.SetComplete(b.in, true)
		for kept := 0; kept < 2*b.Memory; { // fill the window
			if err := b.Run(10*time.Millisecond, func() {
				for b.TX.Mux.Backlog() < int(c.rate/100) {
					b.put(1000)
					kept += 1000
				}
			}); err != nil {
				return nil, err
			}
		}
		if err := b.Run(3*time.Second, nil); err != nil {
			return nil, err
		}
		b.counting, b.Step = true, c.step
		chance := c.step.Seconds() / c.every.Seconds()
		duration := 4000 * 4 * c.every
		if err := b.Run(duration, func() {
			if b.rnd.Float64() < chance {
				b.put(c.size)
			}
		}); err != nil || b.err != nil {
			return nil, fmt.Errorf("bench: %v, %v", err, b.err)
		}
		p50, p99 := percentiles(b.without)
		with50, with99 := percentiles(b.with)
		out = append(out, Figure{Name: "live p99 beside a pass, " + c.name, Value: with99 / p99, Unit: "of without",
			Budget: 1.1, AtMost: true, Note: fmt.Sprintf(
				"%d events while a pass runs, p50 %.3f ms, p99 %.3f; %d in between, %.3f and %.3f; simulated clock",
				len(b.with), with50, with99, len(b.without), p50, p99)})
	}
	return out, nil
}
