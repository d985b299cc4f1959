package record

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func newEncoder(t interface{ Fatal(...any) }) *zstd.Encoder {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	return enc
}

func replayed() []Replayed {
	const at = 1_700_000_000_000_000_000
	return []Replayed{
		{Seq: 12, Event: true, Payload: []byte("<13>1 - - - - - - a line")},
		{Seq: 13, Time: at, Key: []byte("k1"), Payload: []byte("v1")},
		{Seq: 14, Time: at + 1_000_000, Key: []byte("k2"), Payload: []byte{}},
		{Seq: 17, Time: at, Event: true, Key: []byte("k1"), Payload: []byte("v2")},
		{Seq: 18, Time: at, Delete: true, Key: []byte("k2"), Payload: []byte{}},
		{Seq: 19, Late: true, Key: []byte(""), Payload: []byte(strings.Repeat("0123456789", 9))},
	}
}

// goldenReplay is a page whose first two numbers, 10 and 11, never left.
func goldenReplay(packed bool) []byte {
	var w ReplayWriter
	w.Reset(10)
	entries := replayed()
	for i := range entries {
		w.Append(&entries[i])
	}
	if !packed {
		return w.AppendReplay(nil, 7, 5, nil)
	}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return w.AppendReplay(nil, 7, 5, enc)
}

func entriesOf(body []byte) (p Replay, got []Replayed, err error) {
	if err = p.Parse(body); err != nil {
		return p, nil, err
	}
	err = new(ReplayReader).Entries(&p, func(e *Replayed) {
		c := *e
		c.Key, c.Payload = bytes.Clone(e.Key), bytes.Clone(e.Payload)
		got = append(got, c)
	})
	return p, got, err
}

func TestReplayRoundTrip(t *testing.T) {
	for _, packed := range []bool{false, true} {
		t.Run(fmt.Sprintf("packed %v", packed), func(t *testing.T) {
			p, got, err := entriesOf(goldenReplay(packed))
			if err != nil || p.Channel != 7 || p.Epoch != 5 || p.First != 10 || p.Last != 19 || p.packed != packed {
				t.Errorf("got %+v, %v", p, err)
			}
			if want := replayed(); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestReplayThatDoesNotShrinkIsNotPacked(t *testing.T) {
	var w ReplayWriter
	w.Reset(1)
	w.Append(&Replayed{Seq: 1, Event: true, Payload: []byte("x")})
	if b := w.AppendReplay(nil, 1, 1, newEncoder(t)); b[2] != 0 {
		t.Errorf("flags are %d, want 0: one byte does not shrink", b[2])
	}
}

func TestMalformedReplayIsRefused(t *testing.T) {
	good := goldenReplay(true)
	for name, body := range map[string][]byte{
		"empty":              {},
		"unknown flag":       {0, 1, 2, 1, 1, 0, 0},
		"epoch 0":            {0, 1, 0, 0, 1, 0, 0},
		"number 0":           {0, 1, 0, 1, 0, 0, 0},
		"larger than any":    {0, 1, 1, 1, 1, 0, 0xff, 0xff, 0xff, 0x7f},
		"size and bytes":     {0, 1, 0, 1, 1, 0, 3, flagEvent, 0},
		"not Zstandard":      {0, 1, 1, 1, 1, 0, 3, 1, 2, 3},
		"cut":                good[:len(good)-1],
		"no entry":           {0, 1, 0, 1, 1, 0, 0},
		"beyond its last":    {0, 1, 0, 1, 1, 0, 4, flagEvent, 0, flagEvent, 0},
		"no key no event":    {0, 1, 0, 1, 1, 0, 2, 0, 0},
		"a key not brought":  {0, 1, 0, 1, 1, 0, 3, flagKeyed | flagKnown, 0, 0},
		"an overlong step":   {0, 1, 0, 1, 1, 0, 3, flagEvent, createdStep, 1},
		"deletes without it": {0, 1, 0, 1, 1, 0, 2, flagEvent | flagDelete, 0},
	} {
		if _, _, err := entriesOf(body); err != ErrMalformed {
			t.Errorf("%s: got %v, want %v", name, err, ErrMalformed)
		}
	}
}

// recodeReplay decodes a page and encodes it again; only pages that are not packed
// have one encoding.
func recodeReplay(body []byte) ([]byte, bool) {
	p, entries, err := entriesOf(body)
	if err != nil {
		return nil, false
	}
	var w ReplayWriter
	w.Reset(p.First)
	for i := range entries {
		w.Append(&entries[i])
	}
	again := w.AppendReplay(nil, p.Channel, p.Epoch, nil)
	if !p.packed {
		return again, true
	}
	_, back, err := entriesOf(again)
	return body, err == nil && reflect.DeepEqual(back, entries)
}

func BenchmarkReplayPage(b *testing.B) {
	var w ReplayWriter
	w.Reset(1)
	for i := range uint64(2000) {
		w.Append(&Replayed{
			Seq: i + 1, Time: 1_700_000_000_000_000_000 + int64(i)*1_000_000,
			Key:     fmt.Appendf(nil, "ns=2;s=tag-%d", i%500),
			Payload: []byte{11, byte(i), byte(i >> 8), 3, 4, 5, 6, 7, 8},
		})
	}
	enc, dst := newEncoder(b), []byte(nil)
	b.SetBytes(int64(len(w.Entries)))
	for b.Loop() {
		dst = w.AppendReplay(dst[:0], 1, 1, enc)
	}
	b.ReportMetric(float64(len(dst))/2000, "wireB/entry")
}
