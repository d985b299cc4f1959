package send

import (
	"encoding/binary"
	"testing"

	"heliograph/firmware/conduit/wire"
)

// BenchmarkStateChange takes new values of known keys from Put to a frame, in
// bursts as a subscription delivers them.
func BenchmarkStateChange(b *testing.B) {
	const tags, burst = 100_000, 100
	m := idleMux(1400)
	c := m.Channel("a", wire.LowLatency)
	records := make([]Record, tags)
	for i := range records {
		key := binary.BigEndian.AppendUint32([]byte("value\x00\x00\x00\x01"), uint32(i))
		records[i] = Record{Key: key, Payload: []byte("\x0bvalue..."), Time: int64(i+1) * 1_000_000}
	}
	var frame []byte
	send := func() {
		for ok := true; ok; {
			var f Filled
			f, ok = m.Fill(t0, frame[:0], nil, ReplayTurn{Idle: true})
			frame = f.Payload
		}
	}
	for _, r := range records {
		if _, err := m.Put(c, r); err != nil {
			b.Fatal(err)
		}
	}
	send()
	b.ReportAllocs()
	next, waiting := 0, 0
	for b.Loop() {
		if _, err := m.Put(c, records[next]); err != nil {
			b.Fatal(err)
		}
		if next++; next == tags {
			next = 0
		}
		if waiting++; waiting == burst {
			send()
			waiting = 0
		}
	}
}

// BenchmarkEvent takes events without a key from Put to a frame.
func BenchmarkEvent(b *testing.B) {
	const burst = 100
	m := idleMux(1400)
	c := m.Channel("a", wire.LowLatency)
	r := Record{Payload: []byte("a line of a log, of a common length, with some words"), Event: true}
	var frame []byte
	b.ReportAllocs()
	waiting := 0
	for b.Loop() {
		if _, err := m.Put(c, r); err != nil {
			b.Fatal(err)
		}
		if waiting++; waiting < burst {
			continue
		}
		waiting = 0
		for ok := true; ok; {
			var f Filled
			f, ok = m.Fill(t0, frame[:0], nil, ReplayTurn{Idle: true})
			frame = f.Payload
		}
	}
}
