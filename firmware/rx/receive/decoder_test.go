package receive

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/reedsolomon"

	"heliograph/firmware/conduit/wire"
)

// block is a generation as a transmitter sends it.
type block struct {
	sources, parity [][]byte
	lanes, rows     int
}

func newBlock(t *testing.T, n, lanes, rows int) block {
	t.Helper()
	b := block{lanes: lanes, rows: rows, parity: make([][]byte, rows*lanes)}
	size := 0
	for i := range n {
		s := append(fmt.Appendf(nil, "source %d ", i), make([]byte, i%5)...)
		b.sources = append(b.sources, s)
		size = max(size, len(s))
	}
	for lane := range lanes {
		var all [][]byte
		for i := lane; i < n; i += lanes {
			all = append(all, append(bytes.Clone(b.sources[i]), make([]byte, size-len(b.sources[i]))...))
		}
		k := len(all)
		for range rows {
			all = append(all, make([]byte, size))
		}
		enc, err := reedsolomon.New(k, rows)
		if err == nil {
			err = enc.Encode(all)
		}
		if err != nil {
			t.Fatal(err)
		}
		for row := range rows {
			b.parity[row*lanes+lane] = append(binary.BigEndian.AppendUint16(nil, uint16(n)), all[k+row]...)
		}
	}
	return b
}

// rig is a decoder that notes what it delivers.
type rig struct {
	*Decoder
	counts Counts
	got    []string
	now    time.Time
}

func newRig() *rig {
	r := &rig{now: t0}
	r.Decoder = NewDecoder(&r.counts, func(p []byte) { r.got = append(r.got, string(bytes.TrimRight(p, "\x00"))) },
		func() { r.got = append(r.got, "hole") })
	r.Reset(true)
	return r
}

func (r *rig) send(gen int, b block, i int) {
	if i < len(b.sources) {
		r.Add(r.now, &wire.Header{Kind: wire.Source, Lanes: 1, Generation: uint16(gen), Index: uint16(i)}, b.sources[i])
		return
	}
	i -= len(b.sources)
	r.Add(r.now, &wire.Header{Kind: wire.Parity, Lanes: b.lanes, Generation: uint16(gen), Index: uint16(i)},
		b.parity[i])
}

func (b block) frames() int { return len(b.sources) + len(b.parity) }

// want is what the block delivers with the given sources lost for good.
func (b block) want(lost map[int]bool) []string {
	var out []string
	for i, s := range b.sources {
		if !lost[i] {
			out = append(out, string(bytes.TrimRight(s, "\x00")))
		} else if i == 0 || !lost[i-1] {
			out = append(out, "hole")
		}
	}
	return out
}

// TestAnyEnoughFramesRestoreAGeneration is the law of the code: any k of a lane.
func TestAnyEnoughFramesRestoreAGeneration(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		n := 1 + rnd.IntN(100)
		lanes := (n+wire.MaxSources-1)/wire.MaxSources + rnd.IntN(3)
		lanes = min(lanes, n)
		b := newBlock(t, n, lanes, 1+rnd.IntN(8))
		lost := map[int]bool{} // exactly as many of each lane as it has rows
		for lane := range lanes {
			var members []int
			for i := lane; i < n; i += lanes {
				members = append(members, i)
			}
			for row := range b.rows {
				members = append(members, n+row*lanes+lane)
			}
			for _, j := range rnd.Perm(len(members))[:b.rows] {
				lost[members[j]] = true
			}
		}
		r := newRig()
		for i := range b.frames() {
			if !lost[i] {
				r.send(0, b, i)
			}
		}
		if want := b.want(nil); fmt.Sprint(r.got) != fmt.Sprint(want) {
			t.Fatalf("seed %d, %d sources, %d lanes, %d rows: got %q\nwant %q", seed, n, lanes, b.rows, r.got, want)
		}
	}
}

func TestBeyondParityOnlyTheLostIsLost(t *testing.T) {
	b, next := newBlock(t, 10, 1, 2), newBlock(t, 3, 1, 1)
	lost := map[int]bool{2: true, 3: true, 7: true}
	r := newRig()
	for i := range b.frames() {
		if !lost[i] {
			r.send(0, b, i)
		}
	}
	for i := range next.frames() {
		r.send(1, next, i)
	}
	if got, want := fmt.Sprint(r.got), fmt.Sprint(b.want(nil)[:2]); got != want {
		t.Errorf("while a repair may still come: got %s, want %s", got, want)
	}
	r.now = r.now.Add(lateGrace)
	r.Tick(r.now, false)
	want := append(b.want(lost), next.want(nil)...)
	if fmt.Sprint(r.got) != fmt.Sprint(want) || r.counts.Lost != 3 {
		t.Errorf("got  %q, %d lost\nwant %q, 3", r.got, r.counts.Lost, want)
	}
}

func TestALostGenerationIsAHole(t *testing.T) {
	b := newBlock(t, 2, 1, 1)
	r := newRig()
	for gen := range 8 {
		if gen == 2 || gen == 3 {
			continue
		}
		for i := range b.frames() {
			r.send(gen, b, i)
		}
	}
	want := append(append(append(b.want(nil), b.want(nil)...), "hole", "hole"), b.want(nil)...)
	if len(r.got) < len(want) || fmt.Sprint(r.got[:len(want)]) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q …", r.got, want)
	}
}

func TestAnIdleLinkEndsAGenerationAfterAWhile(t *testing.T) {
	b := newBlock(t, 4, 1, 1)
	r := newRig()
	r.send(0, b, 0)
	r.send(0, b, 3)
	r.Tick(r.now.Add(abandonAfter-time.Millisecond), true)
	if len(r.got) != 1 {
		t.Errorf("gave up too early: got %q", r.got)
	}
	r.Tick(r.now.Add(abandonAfter), true)
	if want := b.want(map[int]bool{1: true, 2: true}); fmt.Sprint(r.got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", r.got, want)
	}
}

func TestGenerationNumbersWrap(t *testing.T) {
	b := newBlock(t, 1, 1, 1)
	r := newRig()
	for gen := range 1<<16 + 10 {
		for i := range b.frames() {
			r.send(gen, b, i)
		}
	}
	if len(r.got) != 1<<16+10 || r.counts.Lost != 0 {
		t.Errorf("got %d deliveries, %d lost; want %d, 0", len(r.got), r.counts.Lost, 1<<16+10)
	}
}

// Generation numbers have 16 bits on the wire. After an outage any of them may be next.
func TestTheLinkGoesOnAfterAnOutageOfAnyLength(t *testing.T) {
	b := newBlock(t, 2, 1, 1)
	for _, passed := range []int{2, 5, 1<<15 - 1, 1 << 15, 40_000, 1<<16 - older - 1, 1<<16 + 3, 3<<16 + 40_000} {
		r := newRig()
		send := func(gen int) {
			for i := range b.frames() {
				r.send(gen, b, i)
			}
		}
		send(0)
		r.now = r.now.Add(time.Hour)
		for gen := range 4 {
			send(passed + gen)
		}
		r.Tick(r.now.Add(abandonAfter), true)
		want := b.want(nil)
		if len(r.got) < 11 || r.got[2] != "hole" || fmt.Sprint(r.got[len(r.got)-8:]) !=
			fmt.Sprint(slices.Repeat(want, 4)) {
			t.Errorf("%d generations later: got %q, want %q, holes, and it four times", passed, r.got, want)
		}
	}
}

func TestTheRestOfAGenerationThatIsOverIsNotTakenForALaterOne(t *testing.T) {
	b := newBlock(t, 2, 1, 2)
	r := newRig()
	for i := range b.frames() - 1 {
		r.send(0, b, i)
	}
	r.now = r.now.Add(time.Hour) // the transmitter stood still
	r.send(0, b, b.frames()-1)
	r.send(1, b, 0)
	r.send(1, b, 1)
	if want := append(b.want(nil), b.want(nil)...); fmt.Sprint(r.got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", r.got, want)
	}
}

func TestHostileFramesAreCountedOrIgnored(t *testing.T) {
	b := newBlock(t, 4, 1, 2)
	parity := func(sources, lanes, index int, coded string) func(*rig) {
		return func(r *rig) {
			r.Add(r.now, &wire.Header{Kind: wire.Parity, Lanes: lanes, Index: uint16(index)},
				append(binary.BigEndian.AppendUint16(nil, uint16(sources)), coded...))
		}
	}
	for name, f := range map[string]func(*rig){
		"no sources":        parity(0, 1, 0, "x"),
		"too many sources":  parity(65, 1, 0, "x"),
		"too many rows":     parity(4, 1, wire.MaxParity, "x"),
		"source beyond all": func(r *rig) { r.send(0, block{sources: make([][]byte, 60000)}, maxSources) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig()
			f(r)
			if r.counts.Malformed != 1 {
				t.Errorf("malformed: got %d, want 1", r.counts.Malformed)
			}
			for i := range b.frames() {
				r.send(1, b, i) // the next generation is not harmed
			}
			r.now = r.now.Add(lateGrace)
			r.Tick(r.now, false)
			if want := fmt.Sprint(b.want(nil)); len(r.got) < 4 || fmt.Sprint(r.got[len(r.got)-4:]) != want {
				t.Errorf("got %q, want %s at the end", r.got, want)
			}
		})
	}
}

// FuzzDecoder feeds frames in any order and shape: it must not panic, and must
// not keep more than its reach.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 1, 0, 1, 1, 9})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := newRig()
		for ; len(in) >= 8; in = in[8:] {
			h := wire.Header{
				Kind: wire.Source + wire.Kind(in[0]&1), Lanes: int(in[1]&127) + 1, Generation: uint16(in[2]),
				Index: binary.BigEndian.Uint16(in[3:5]) % 9000,
			}
			r.Add(r.now, &h, append([]byte{0, in[5] & 15}, in[6:8]...))
			r.now = r.now.Add(time.Duration(in[7]) * time.Millisecond)
			r.Tick(r.now, in[0]&2 != 0)
			for _, g := range r.gens {
				if g != nil && len(g.shards) > maxSources {
					t.Fatalf("a generation of %d sources", len(g.shards))
				}
			}
		}
	})
}

func TestALostEndOfAGenerationIsAHole(t *testing.T) {
	b, next := newBlock(t, 4, 1, 1), newBlock(t, 2, 1, 1)
	r := newRig()
	r.send(0, b, 0)
	r.send(0, b, 1) // 2, 3 and the parity are lost: which nothing reveals
	for i := range next.frames() {
		r.send(1, next, i)
	}
	r.now = r.now.Add(lateGrace)
	r.Tick(r.now, false)
	want := append(append(b.want(nil)[:2:2], "hole"), next.want(nil)...)
	if fmt.Sprint(r.got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", r.got, want)
	}
}
