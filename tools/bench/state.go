package bench

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"heliograph/firmware/conduit/linktest"
	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
	"heliograph/firmware/tx/send"
	"heliograph/firmware/tx/source"
)

// batch is how many changes come at once.
const batch = 100

// tags makes up the changes of a server's variables of type Double.
type tags struct {
	rnd  *rand.Rand
	keys [][]byte
	walk []int64 // hundredths
	at   int64   // ticks of 100 ns
	next int
}

func newTags(n int) *tags {
	g := &tags{rnd: rand.New(rand.NewPCG(1, 2)), walk: make([]int64, n),
		at: uabinary.Ticks(time.Unix(1_700_000_000, 0))}
	for i := range n {
		g.keys = append(g.keys, payload.Key{Kind: payload.Value, Generation: 1, Number: uint32(i)}.Append(nil))
		g.walk[i] = g.rnd.Int64N(100_000)
	}
	return g
}

// random is a random value of a random tag.
func (g *tags) random() source.Update {
	return g.change(g.rnd.IntN(len(g.keys)), g.rnd.NormFloat64())
}

// slow is the next tag's value, in the order of the tags, which walks by
// hundredths.
func (g *tags) slow() source.Update {
	i := g.next
	g.next = (i + 1) % len(g.keys)
	g.walk[i] += g.rnd.Int64N(41) - 20
	return g.change(i, float64(g.walk[i])/100)
}

// change is a value as it comes from a server, with a source timestamp of its
// own: a change each millisecond, on average.
func (g *tags) change(tag int, f float64) source.Update {
	g.at += g.rnd.Int64N(20_000)
	raw := []byte{0x05, 11} // value and source time; a Double (OPC 10000-6, 5.2.2.16 and 5.2.2.17)
	raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(f))
	raw = binary.LittleEndian.AppendUint64(raw, uint64(g.at))
	v, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	if err != nil {
		panic("bench: made a malformed value: " + err.Error())
	}
	p, at := payload.AppendValue(nil, v)
	return source.Update{Key: g.keys[tag], Payload: p, Time: at}
}

// wireBytes measures what one change costs on a saturated line: all frames of
// the channel's class, with parity and what the medium adds.
func wireBytes() ([]Figure, error) {
	var out []Figure
	for _, c := range []struct {
		name   string
		next   func(*tags) source.Update
		budget float64
		note   string
	}{
		{"random", (*tags).random, 24, "random Doubles of random tags of 10,000"},
		{"slow", (*tags).slow, 12, "walks in hundredths, tag after tag of 10,000"},
	} {
		s, err := simulate(datagrams, 1e6, 0.25, 0.1, wire.LowLatency, linktest.Profile{}, 1)
		if err != nil {
			return nil, err
		}
		bytes := 0
		s.Impair = func(frame []byte, deliver func([]byte)) {
			var h wire.Header
			if kind, err := wire.KindOf(frame); err == nil && kind != wire.Hello {
				if h.Parse(frame); h.Class == wire.LowLatency {
					bytes += len(frame) + s.Profile.WireOverhead
				}
			}
			deliver(frame)
		}
		g := newTags(10_000)
		for i, key := range g.keys {
			s.state(source.Update{Key: key, Payload: []byte{0}, Time: time.Unix(int64(i), 0)})
		}
		if err := s.dry(); err != nil {
			return nil, err
		}
		before, from := s.mirror.Status().Counts, bytes
		if err := s.Run(3*time.Second, func() {
			for s.TX.Mux.Backlog() < int(s.Rate/10) {
				for range batch {
					s.state(c.next(g))
				}
			}
		}); err != nil || s.err != nil {
			return nil, fmt.Errorf("bench: %v, %v", err, s.err)
		}
		spent, after := bytes-from, s.mirror.Status().Counts
		n := after.Delivered - before.Delivered
		out = append(out, Figure{
			Name: "state change, wire bytes, " + c.name, Value: float64(spent) / float64(n), Unit: "B",
			Budget: c.budget, AtMost: true,
			Note: c.note + fmt.Sprintf(", own source timestamps, batches of %d, 25 %% parity, frames and UDP "+
				"counted, %d changes", batch, n),
		})
	}
	return out, nil
}

// state queues a state update.
func (s *simulation) state(u source.Update) {
	if _, err := s.TX.Mux.Put(s.channel, send.Record{Key: u.Key, Payload: u.Payload,
		Time: u.Time.UnixNano()}); err != nil {
		s.err = err
	}
}
