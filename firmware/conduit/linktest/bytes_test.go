package linktest

import (
	"bytes"
	"math"
	"math/bits"
	"testing"
)

// stream sends n bytes that count upwards, in chunks, and returns what came out.
func stream(l *Link, n, chunk int) (in, out []byte) {
	for len(in) < n {
		b := make([]byte, min(chunk, n-len(in)))
		for i := range b {
			b[i] = byte(len(in) + i)
		}
		l.Bytes(b, func(b []byte) { out = append(out, b...) })
		in = append(in, b...)
	}
	return in, out
}

func TestAPerfectWireChangesNothing(t *testing.T) {
	for _, chunk := range []int{1, 7, 4096, 10_000} {
		in, out := stream(New(1, Profile{Loss: 1, Corrupt: 1}), 30_000, chunk) // which are of datagrams
		if !bytes.Equal(in, out) {
			t.Errorf("in chunks of %d: got %d bytes, want the %d that went in", chunk, len(out), len(in))
		}
	}
}

func TestBitErrorsComeAtTheirRate(t *testing.T) {
	const n = 200_000
	for _, rate := range []float64{1e-3, 1e-2, 0.5, 1} {
		l := New(2, Profile{BitErrors: rate})
		in, out := stream(l, n, 777)
		if len(out) != n {
			t.Fatalf("rate %v: got %d bytes, want %d", rate, len(out), n)
		}
		flipped, of := 0, [8]int{}
		for i := range in {
			x := in[i] ^ out[i]
			flipped += bits.OnesCount8(x)
			for bit := range of {
				of[bit] += int(x >> bit & 1)
			}
		}
		near(t, "bit errors", float64(flipped)/(8*n), rate, 0.1)
		for _, k := range of {
			near(t, "of one bit", float64(k)/n, rate, 0.4)
		}
		if got := l.Counters().Flipped; got != uint64(flipped) {
			t.Errorf("rate %v: counted %d, want %d", rate, got, flipped)
		}
	}
}

func TestSlipsComeAtTheirRate(t *testing.T) {
	const n = 200_000
	for name, c := range map[string]struct {
		p     Profile
		count func(Counters) uint64
		each  int // bytes that one makes the line longer
		rate  float64
	}{
		"drops":    {Profile{DropBytes: 0.01}, func(c Counters) uint64 { return c.Dropped }, -1, 0.01},
		"inserts":  {Profile{InsertBytes: 0.01}, func(c Counters) uint64 { return c.Inserted }, 1, 0.01},
		"overruns": {Profile{Overruns: 1e-3}, func(c Counters) uint64 { return c.Overruns }, -OverrunBytes, 1e-3},
	} {
		t.Run(name, func(t *testing.T) {
			l := New(4, c.p)
			_, out := stream(l, n, 100)
			got := c.count(l.Counters())
			near(t, "rate", float64(got)/n, c.rate, 0.25)
			if diff := len(out) - n - c.each*int(got); diff < 0 || diff >= OverrunBytes {
				t.Errorf("got %d bytes for %d counted, want %d", len(out), got, n+c.each*int(got))
			}
			if k := l.Counters(); k.BytesIn != n || k.BytesOut != uint64(len(out)) {
				t.Errorf("counted %d in and %d out, want %d and %d", k.BytesIn, k.BytesOut, n, len(out))
			}
		})
	}
}

func TestAnOverrunTakesEightBytesAcrossChunks(t *testing.T) {
	l := New(1, Profile{Overruns: 1})
	l.Bytes([]byte("abc"), func(b []byte) { t.Errorf("got %q, want nothing", b) })
	l.Set(Profile{})
	var got []byte
	l.Bytes([]byte("defghijk"), func(b []byte) { got = append(got, b...) })
	if string(got) != "ijk" {
		t.Errorf("got %q, want \"ijk\": all after the eighth byte", got)
	}
}

func TestACutWirePassesNothing(t *testing.T) {
	l := New(1, Profile{Cut: true, InsertBytes: 1})
	if _, out := stream(l, 1000, 10); len(out) != 0 {
		t.Errorf("got %d bytes, want none", len(out))
	}
	if c := l.Counters(); c.Cut != 1000 || c.BytesOut != 0 {
		t.Errorf("counted %+v, want 1000 cut", c)
	}
}

func TestDamageDoesNotDependOnChunks(t *testing.T) {
	p := Profile{BitErrors: 1e-3, DropBytes: 1e-2, InsertBytes: 1e-2, Overruns: 1e-3}
	_, want := stream(New(8, p), 50_000, 50_000)
	for _, chunk := range []int{1, 13, 4096} {
		if _, got := stream(New(8, p), 50_000, chunk); !bytes.Equal(got, want) {
			t.Errorf("chunks of %d give other damage than one chunk", chunk)
		}
	}
}

// With any profile, every byte is accounted for.
func FuzzBytes(f *testing.F) {
	f.Add(uint64(1), 1e-2, 0.1, 0.1, 0.1, []byte("some bytes on a line"))
	f.Add(uint64(2), math.NaN(), 2.0, -1.0, math.Inf(1), make([]byte, 9000))
	f.Fuzz(func(t *testing.T, seed uint64, errors, drops, inserts, overruns float64, chunk []byte) {
		l := New(seed, Profile{BitErrors: errors, DropBytes: drops, InsertBytes: inserts, Overruns: overruns})
		before, out := bytes.Clone(chunk), 0
		l.Bytes(chunk, func(b []byte) { out += len(b) })
		if !bytes.Equal(chunk, before) {
			t.Error("the sender's own bytes were changed")
		}
		c := l.Counters()
		overrun := int(c.BytesIn+c.Inserted-c.Dropped) - out
		if most := OverrunBytes * int(c.Overruns); overrun < 0 || overrun > most || c.BytesOut != uint64(out) {
			t.Errorf("got %+v and %d bytes out: %d unaccounted for, want 0 to %d", c, out, overrun, most)
		}
	})
}
