package receive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/klauspost/reedsolomon"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
)

var t0 = time.Unix(1_700_000_000, 0)

func TestWindow(t *testing.T) {
	type step struct {
		seq  uint64
		want bool
	}
	cases := map[string][]step{
		"in order, then repeated":  {{1, true}, {2, true}, {2, false}, {1, false}},
		"out of order":             {{10, true}, {5, true}, {9, true}, {5, false}},
		"zero is never used":       {{0, false}},
		"the edge of the window":   {{windowSize + 10, true}, {11, true}, {10, false}, {11, false}},
		"a leap clears the window": {{1, true}, {1 << 40, true}, {1<<40 - 1, true}, {1<<40 - windowSize, false}},
		"a leap of one window":     {{64, true}, {64 + windowWords*64, true}, {windowWords * 64, true}},
	}
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) {
			var w window
			for i, s := range steps {
				if got := w.accept(s.seq); got != s.want {
					t.Errorf("step %d, %d: got %v, want %v", i, s.seq, got, s.want)
				}
			}
		})
	}
	w := window{floor: 100, highest: 100}
	if w.accept(100) || w.accept(99) || !w.accept(101) {
		t.Error("what was used before a restart was accepted, or what was not refused")
	}
}

func TestWindowAgreesWithASet(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	var w window
	seen := map[uint64]bool{}
	at := uint64(1)
	for i := range 200_000 {
		at += uint64(rnd.IntN(3))
		seq := at - min(at-1, uint64(rnd.IntN(windowSize-10)))
		if got := w.accept(seq); got == seen[seq] {
			t.Fatalf("step %d: %d was seen %v, got %v (seed 5)", i, seq, seen[seq], got)
		}
		seen[seq] = true
	}
}

func TestSequencesUnwrap(t *testing.T) {
	for _, c := range []struct {
		highest uint64
		low     uint32
		want    uint64
	}{
		{5, 6, 6}, {1<<32 - 1, 3, 1<<32 + 3}, {1<<32 + 3, 0xffffffff, 1<<32 - 1}, {0, 0xffffffff, 0xffffffff}, {1 << 40, 5, 1<<40 + 5},
	} {
		w := window{highest: c.highest}
		if got := w.full(c.low); got != c.want {
			t.Errorf("%d near %d: got %d, want %d", c.low, c.highest, got, c.want)
		}
	}
}

// anchor is an Anchor with a fixed answer.
type anchor struct {
	used uint64
	err  error
}

func (a anchor) Admit(uint64, [16]byte) (uint64, error) { return a.used, a.err }

type talker struct {
	*wire.Session
	seq uint64
}

func newTalker(t *testing.T, key wire.PairKey, epoch uint64) *talker {
	t.Helper()
	s, err := wire.NewSession(key, epoch, [16]byte{byte(epoch)})
	if err != nil {
		t.Fatal(err)
	}
	return &talker{Session: s}
}

func (s *talker) hello() []byte {
	s.seq++
	frame := make([]byte, wire.HelloHeaderSize, 128)
	(&wire.HelloHeader{Session: s.ID, Epoch: s.Epoch, Sequence: s.seq, Salt: s.Salt}).Put(frame)
	return s.Seal(frame, wire.HelloHeaderSize, s.seq)
}

func (s *talker) source(payload string) []byte {
	s.seq++
	frame := make([]byte, wire.HeaderSize, 256)
	(&wire.Header{Kind: wire.Source, Lanes: 1, Session: s.ID, Sequence: uint32(s.seq)}).Put(frame)
	return s.Seal(append(frame, payload...), wire.HeaderSize, s.seq)
}

func TestOpener(t *testing.T) {
	good := newTalker(t, wire.PairKey{1}, 7)
	stranger := newTalker(t, wire.PairKey{2}, 7)
	later := newTalker(t, wire.PairKey{1}, 8)
	later.seq = 1000
	forged := func(f []byte) []byte { // the CRC holds, the tag does not
		f[wire.HeaderSize] ^= 1
		return wire.AppendCRC(f[:len(f)-wire.CRCSize])
	}
	h1, s1 := good.hello(), good.source("a")
	o := NewOpener(wire.PairKey{1}, anchor{})
	steps := []struct {
		name  string
		frame []byte
		want  Result
		count func(c Counts) uint64
	}{
		{"data before a hello", bytes.Clone(s1), Rejected, func(c Counts) uint64 { return c.NoSession }},
		{"noise", []byte("noise, noise, noise, noise, noise"), Rejected, func(c Counts) uint64 { return c.Noise }},
		{"a stranger's hello", stranger.hello(), Rejected, func(c Counts) uint64 { return c.AuthFailed }},
		{"the first hello", bytes.Clone(h1), Fresh, nil},
		{"data", bytes.Clone(s1), Data, nil},
		{"the same again", bytes.Clone(s1), Rejected, func(c Counts) uint64 { return c.Replayed }},
		{"the same hello again", bytes.Clone(h1), Rejected, func(c Counts) uint64 { return c.Replayed }},
		{"another hello", good.hello(), Known, nil},
		{"a forgery", forged(good.source("b")), Rejected, func(c Counts) uint64 { return c.AuthFailed }},
		{"a session begun long ago", later.hello(), Joined, nil},
		{"the old session's data", good.source("c"), Rejected, func(c Counts) uint64 { return c.NoSession }},
	}
	for _, s := range steps {
		before := o.Counts()
		if _, got := o.Open(t0, s.frame); got != s.want {
			t.Errorf("%s: got %d, want %d", s.name, got, s.want)
		}
		if s.count != nil && s.count(o.Counts()) != s.count(before)+1 {
			t.Errorf("%s: not counted: %+v", s.name, o.Counts())
		}
	}
}

// TestTheKeyIsChanged: both keys open sessions for a while, then the new one alone.
func TestTheKeyIsChangedWithinASession(t *testing.T) {
	was, is := wire.PairKey{1}, wire.PairKey{2}
	before, after := newTalker(t, was, 7), newTalker(t, is, 8)
	o := NewOpener(was, anchor{})
	open := func(when string, frame []byte, want Result) {
		t.Helper()
		if _, got := o.Open(t0, frame); got != want {
			t.Errorf("%s: got %d, want %d", when, got, want)
		}
	}
	open("the old key", before.hello(), Fresh)
	open("the new key, too early", after.hello(), Rejected)
	o.SetKeys(is, was)
	open("the session goes on", before.source("a"), Data)
	open("the new key", after.hello(), Fresh)
	open("its data", after.source("b"), Data)
	if key, ok := o.Key(); !ok || key != is {
		t.Errorf("key of the session: got %x, %v", key, ok)
	}
	back := newTalker(t, was, 9)
	open("a transmitter that was not changed for good", back.hello(), Fresh)
	o.SetKeys(is)
	open("the old key, too late", back.source("c"), Rejected)
	open("its hello", back.hello(), Rejected)
	open("the new key again", newTalker(t, is, 10).hello(), Fresh)
}

func TestOpenerAsksItsAnchor(t *testing.T) {
	s := newTalker(t, wire.PairKey{1}, 7)
	refused := NewOpener(wire.PairKey{1}, anchor{err: errors.New("no")})
	if _, got := refused.Open(t0, s.hello()); got != Rejected || refused.Counts().Refused != 1 {
		t.Errorf("refused epoch: got %d, %+v", got, refused.Counts())
	}
	resumed := NewOpener(wire.PairKey{1}, anchor{used: 3})
	if _, got := resumed.Open(t0, s.hello()); got != Rejected { // its number is 2
		t.Errorf("a hello used before the restart: got %d, want it rejected", got)
	}
	s.seq = 3
	if _, got := resumed.Open(t0, s.hello()); got != Fresh {
		t.Errorf("the next hello: got %d, want a session", got)
	}
}

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
	r.Decoder = NewDecoder(&r.counts, func(p []byte) { r.got = append(r.got, string(bytes.TrimRight(p, "\x00"))) }, func() { r.got = append(r.got, "hole") })
	r.Reset(true)
	return r
}

func (r *rig) send(gen int, b block, i int) {
	if i < len(b.sources) {
		r.Add(r.now, &wire.Header{Kind: wire.Source, Lanes: 1, Generation: uint16(gen), Index: uint16(i)}, b.sources[i])
		return
	}
	i -= len(b.sources)
	r.Add(r.now, &wire.Header{Kind: wire.Parity, Lanes: b.lanes, Generation: uint16(gen), Index: uint16(i)}, b.parity[i])
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
	r.now = r.now.Add(settle)
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

func TestAnIdleLinkGivesUpAfterAWhile(t *testing.T) {
	b := newBlock(t, 4, 1, 1)
	r := newRig()
	r.send(0, b, 0)
	r.send(0, b, 3)
	r.Tick(r.now.Add(giveUp-time.Millisecond), true)
	if len(r.got) != 1 {
		t.Errorf("gave up too early: got %q", r.got)
	}
	r.Tick(r.now.Add(giveUp), true)
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
			r.now = r.now.Add(settle)
			r.Tick(r.now, false)
			if want := fmt.Sprint(b.want(nil)); len(r.got) < 4 || fmt.Sprint(r.got[len(r.got)-4:]) != want {
				t.Errorf("got %q, want %s at the end", r.got, want)
			}
		})
	}
}

func TestDemux(t *testing.T) {
	item := func(first, last bool, body string) record.Item {
		return record.Item{Kind: record.KindUpdate, First: first, Last: last, Body: []byte(body)}
	}
	hole := record.Item{}
	cases := map[string]struct {
		items []record.Item
		want  []string
	}{
		"whole":                  {[]record.Item{item(true, true, "a"), item(true, true, "b")}, []string{"a", "b"}},
		"pieces":                 {[]record.Item{item(true, false, "a"), item(false, false, "b"), item(false, true, "c")}, []string{"abc"}},
		"whole between pieces":   {[]record.Item{item(true, false, "a"), item(true, true, "x"), item(false, true, "b")}, []string{"x", "ab"}},
		"a piece lost":           {[]record.Item{item(true, false, "a"), hole, item(false, true, "c"), item(true, true, "d")}, []string{"d"}},
		"joined in the middle":   {[]record.Item{item(false, false, "b"), item(false, true, "c")}, nil},
		"begun again":            {[]record.Item{item(true, false, "a"), item(true, false, "b"), item(false, true, "c")}, []string{"bc"}},
		"the beginning was lost": {[]record.Item{hole, item(false, true, "c")}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var counts Counts
			var got []string
			d := NewDemux(&counts, func(_ record.Kind, body []byte) { got = append(got, string(body)) })
			for _, it := range c.items {
				if it.Body == nil {
					d.Hole()
					continue
				}
				d.Payload(append(record.AppendItem(nil, it), 0, 0))
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAnEndlessRecordIsBounded(t *testing.T) {
	var counts Counts
	d := NewDemux(&counts, func(record.Kind, []byte) { t.Error("delivered") })
	piece := make([]byte, 1<<16)
	first := true
	for range 3 * record.MaxRecord / len(piece) {
		d.Payload(record.AppendItem(nil, record.Item{Kind: record.KindUpdate, First: first, Body: piece}))
		first = false
	}
	if cap(d.partial) > 2*record.MaxRecord {
		t.Errorf("buffers %d bytes, want at most about %d", cap(d.partial), record.MaxRecord)
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
	r.send(0, b, 1) // 2, 3 and the parity are lost: nobody knows that they were
	for i := range next.frames() {
		r.send(1, next, i)
	}
	r.now = r.now.Add(settle)
	r.Tick(r.now, false)
	want := append(append(b.want(nil)[:2:2], "hole"), next.want(nil)...)
	if fmt.Sprint(r.got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", r.got, want)
	}
}
