package receive

import (
	"math/rand/v2"
	"testing"
	"time"

	"heliograph/firmware/conduit/wire"
)

// flood is an opener with a session that stands, an attacker who forges hellos,
// and a count of the derivations that they cost.
type flood struct {
	*Opener
	now     time.Time
	random  *rand.Rand
	forged  uint64
	derived uint64
}

func newFlood(t testing.TB, s *transmitter) *flood {
	t.Helper()
	f := &flood{Opener: NewOpener(wire.PairKey{1}, anchor{}), now: t0, random: rand.New(rand.NewPCG(13, 13))}
	derive := f.newSession
	f.newSession = func(k wire.PairKey, epoch uint64, salt [16]byte) (*wire.Session, error) {
		f.derived++
		return derive(k, epoch, salt)
	}
	if _, got := f.Open(f.now, s.hello()); got != Fresh {
		t.Fatalf("got %d, want a session", got)
	}
	f.derived = 0
	return f
}

// forge returns a hello whose CRC holds, of an epoch that would be accepted.
func (f *flood) forge() []byte {
	h := wire.HelloHeader{Session: uint16(f.random.Uint32()), Epoch: 8, Sequence: 1}
	for i := range h.Salt {
		h.Salt[i] = byte(f.random.Uint32())
	}
	frame := make([]byte, wire.HelloHeaderSize+wire.TagSize, wire.MinHello)
	h.Put(frame)
	return wire.AppendCRC(frame)
}

// forMillisecond lets a millisecond pass, with the forged hellos of one.
func (f *flood) forMillisecond(t testing.TB, forged int) {
	t.Helper()
	for range forged {
		f.now = f.now.Add(time.Millisecond / time.Duration(forged))
		if _, got := f.Open(f.now, f.forge()); got != Rejected {
			t.Fatalf("a forged hello: got %d, want it rejected", got)
		}
		f.forged++
	}
}

func TestForgedHellosCostFewDerivationsWhileASessionStands(t *testing.T) {
	s := newTransmitter(t, wire.PairKey{1}, 7)
	f := newFlood(t, s)
	for range 2000 {
		f.forMillisecond(t, 27)
		if _, got := f.Open(f.now, s.source("x")); got != Data {
			t.Fatalf("an honest frame: got %d, want data", got)
		}
	}
	if limit := uint64(2*triesPerSecond + triesAtOnce); f.derived > limit || f.derived < limit/2 {
		t.Errorf("got %d derivations in 2 s, want at most %d", f.derived, limit)
	}
	if c := f.Counts(); c.Unchecked+c.AuthFailed != f.forged || c.AuthFailed != f.derived {
		t.Errorf("got %d unchecked and %d failed of %d forged, %d derived; want each of them counted once", c.Unchecked,
			c.AuthFailed, f.forged, f.derived)
	}
}

func TestARestartIsRecognisedDuringAFlood(t *testing.T) {
	const repeat = 250 // ms between a transmitter's hellos
	for name, c := range map[string]struct {
		forged int // in a millisecond
		away   int // ms between the last frame of the old session and the first hello of the new one
		replay bool
		within int // ms after that hello
	}{
		"at once, without a flood":         {0, 1, false, 0},
		"at once, old frames played back":  {0, 1, true, 0},
		"after a while, during a flood":    {27, 350, false, 0},
		"at once, during a flood":          {27, 50, false, repeat},
		"old frames played back, a flood":  {27, 50, true, repeat},
		"a flood ten times as large":       {270, 50, false, repeat},
		"one hello every half millisecond": {2, 50, false, repeat},
	} {
		t.Run(name, func(t *testing.T) {
			s, next := newTransmitter(t, wire.PairKey{1}, 7), newTransmitter(t, wire.PairKey{1}, 8)
			f := newFlood(t, s)
			for range 100 { // the flood has used up what it could
				f.forMillisecond(t, c.forged)
				if _, got := f.Open(f.now, s.source("x")); got != Data {
					t.Fatalf("an honest frame: got %d, want data", got)
				}
			}
			end := f.now
			for ms := -c.away; ms <= c.within; ms++ {
				if c.forged == 0 {
					f.now = f.now.Add(time.Millisecond)
				}
				f.forMillisecond(t, c.forged)
				if c.replay {
					old := *s
					old.seq -= 3
					if _, got := f.Open(f.now, old.source("x")); got != Rejected {
						t.Fatalf("an old frame: got %d, want it rejected", got)
					}
				}
				if ms < 0 || ms%repeat != 0 {
					continue
				}
				if _, got := f.Open(f.now, next.hello()); got == Fresh {
					return
				}
			}
			t.Errorf("the new session is not recognised %v after the old one's last frame", f.now.Sub(end))
		})
	}
}

// BenchmarkForgedHello is what one forged hello costs: with a session that
// stands, and with none.
func BenchmarkForgedHello(b *testing.B) {
	f := &flood{random: rand.New(rand.NewPCG(13, 13))}
	frames := make([][]byte, 1024)
	for i := range frames {
		frames[i] = f.forge()
	}
	for name, standing := range map[string]bool{"standing": true, "none": false} {
		b.Run(name, func(b *testing.B) {
			session, err := wire.NewSession(wire.PairKey{1}, 7, [16]byte{7})
			if err != nil {
				b.Fatal(err)
			}
			o, now, work := NewOpener(wire.PairKey{1}, anchor{}), t0, make([]byte, wire.MinHello)
			if standing {
				o.Open(now, (&transmitter{Session: session}).hello())
			}
			b.ReportAllocs()
			for i := range b.N {
				if i%1024 == 0 {
					o.received = now // as honest frames do
				}
				now = now.Add(time.Second / 27_000)
				copy(work, frames[i%1024])
				o.Open(now, work)
			}
		})
	}
}
