package receive

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"heliograph/firmware/conduit/wire"
)

var t0 = time.Unix(1_700_000_000, 0)

// anchor is an Anchor with a fixed answer.
type anchor struct {
	used uint64
	err  error
}

func (a anchor) Admit(uint64, [16]byte) (uint64, error) { return a.used, a.err }

type transmitter struct {
	*wire.Session
	seq uint64
}

func newTransmitter(t *testing.T, key wire.PairKey, epoch uint64) *transmitter {
	t.Helper()
	s, err := wire.NewSession(key, epoch, [16]byte{byte(epoch)})
	if err != nil {
		t.Fatal(err)
	}
	return &transmitter{Session: s}
}

func (s *transmitter) hello() []byte {
	s.seq++
	frame := make([]byte, wire.HelloHeaderSize, 128)
	(&wire.HelloHeader{Session: s.ID, Epoch: s.Epoch, Sequence: s.seq, Salt: s.Salt}).Put(frame)
	return s.Seal(frame, wire.HelloHeaderSize, s.seq)
}

func (s *transmitter) source(payload string) []byte {
	s.seq++
	frame := make([]byte, wire.HeaderSize, 256)
	(&wire.Header{Kind: wire.Source, Lanes: 1, Session: s.ID, Sequence: uint32(s.seq)}).Put(frame)
	return s.Seal(append(frame, payload...), wire.HeaderSize, s.seq)
}

func TestOpener(t *testing.T) {
	good := newTransmitter(t, wire.PairKey{1}, 7)
	stranger := newTransmitter(t, wire.PairKey{2}, 7)
	later := newTransmitter(t, wire.PairKey{1}, 8)
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
	before, after := newTransmitter(t, was, 7), newTransmitter(t, is, 8)
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
	back := newTransmitter(t, was, 9)
	open("a transmitter that was not changed for good", back.hello(), Fresh)
	o.SetKeys(is)
	open("the old key, too late", back.source("c"), Rejected)
	open("its hello", back.hello(), Rejected)
	open("the new key again", newTransmitter(t, is, 10).hello(), Fresh)
}

func TestOpenerAsksItsAnchor(t *testing.T) {
	s := newTransmitter(t, wire.PairKey{1}, 7)
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
