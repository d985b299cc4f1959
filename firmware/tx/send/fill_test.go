package send

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
)

func TestChannelsShareFairly(t *testing.T) {
	m := idleMux(1400)
	busy, idle := m.Channel("busy", wire.LowLatency), m.Channel("idle", wire.LowLatency)
	for range 10000 {
		mustPut(t, m, busy, Record{Payload: make([]byte, 200), Event: true})
	}
	mustPut(t, m, idle, Record{Payload: []byte("hello"), Event: true})
	for n := 0; n < 2*quantum/1400+2; n++ {
		items, _, _ := frame(t, m)
		for _, it := range items {
			var u record.Update
			if err := u.Parse(it.Body); err != nil {
				t.Fatal(err)
			}
			if u.Channel == idle.id {
				return
			}
		}
	}
	t.Error("a busy channel kept an idle one waiting for more than its turn")
}

func TestALargeRecordLeavesRoomForOthers(t *testing.T) {
	m := idleMux(200)
	a, b := m.Channel("a", wire.LowLatency), m.Channel("b", wire.LowLatency)
	mustPut(t, m, a, Record{Payload: make([]byte, 1<<20), Event: true})
	frame(t, m)
	mustPut(t, m, b, Record{Payload: []byte("small"), Event: true})
	items, _, _ := frame(t, m)
	complete := 0
	for _, it := range items {
		if it.First && it.Last {
			complete++
		}
	}
	if complete != 1 {
		t.Errorf("got %d complete records beside the large one's piece, want 1: %v", complete, items)
	}
}

// TestALargeRecordDelaysNoStatement checks that heartbeats and totals are sent between the
// pieces of a record that takes many seconds of a slow line, be it urgent or not.
func TestALargeRecordDelaysNoStatement(t *testing.T) {
	for name, r := range map[string]Record{
		"plain":  {Payload: make([]byte, 60_000), Event: true},
		"urgent": {Payload: make([]byte, 60_000), Event: true, Urgent: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMux(MuxConfig{Room: 200, CarouselShare: 0.1, Start: t0})
			large, other := m.Channel("large", wire.LowLatency), m.Channel("other", wire.LowLatency)
			m.Describe(other, record.SourceDown, strings.Repeat("x", 120)) // more than half of a frame
			fillLive(m, t0)
			mustPut(t, m, large, r)
			var got []byte
			beats, totals := 0, map[uint16]int{}
			d := joined{t: t, record: func(kind record.Kind, body []byte) {
				var u record.Update
				if kind != record.KindUpdate || u.Parse(body) != nil {
					t.Errorf("got a record of kind %d in pieces", kind)
				}
				got = u.Payload
			}}
			now := t0
			for ; got == nil; now = now.Add(20 * time.Millisecond) { // a frame of a line with 100 kBd
				f, ok := fillLive(m, now)
				if !ok || now.Sub(t0) > time.Minute {
					t.Fatalf("after %s: nothing to send, or still not all", now.Sub(t0))
				}
				if f.Class != wire.LowLatency {
					continue
				}
				d.payload(complete(t, f.Payload, func(it record.Item) {
					var tot record.Totals
					if it.Kind == record.KindHeartbeat {
						beats++
					} else if it.Kind == record.KindTotals && tot.Parse(it.Body) == nil {
						totals[tot.Channel]++
					}
				}))
			}
			seconds := int(now.Sub(t0).Seconds())
			if len(got) != 60_000 || seconds < 6 {
				t.Errorf("got %d bytes after %d s, want 60,000 after 6 s and more", len(got), seconds)
			}
			if least := seconds - 1; beats < least || totals[large.id] < least || totals[other.id] < least {
				t.Errorf("in %d s: got %d heartbeats, %d and %d totals; want one each second", seconds, beats,
					totals[large.id], totals[other.id])
			}
		})
	}
}

// TestTheLastTotalsCountTheRecordInPieces that ends in the same frame.
func TestTheLastTotalsCountTheRecordInPieces(t *testing.T) {
	m := NewMux(MuxConfig{Room: 200, CarouselShare: 0.1, Start: t0})
	c := m.Channel("c", wire.LowLatency)
	drainLive(m)
	mustPut(t, m, c, Record{Payload: make([]byte, 250), Event: true})
	fillLive(m, t0)
	if m.classes[c.class].pieces.owner != c {
		t.Fatal("the record is not in pieces: this shows nothing")
	}
	m.End()
	var last record.Totals
	for _, it := range drainLive(m) {
		if it.Kind == record.KindTotals {
			_ = last.Parse(it.Body)
		}
	}
	if last.Seq != 1 || !m.Ended() {
		t.Errorf("got totals up to %d, ended %v; want 1, true", last.Seq, m.Ended())
	}
}

// TestNewerTotalsWaitForThoseInPieces: what arrives last counts.
func TestNewerTotalsWaitForThoseInPieces(t *testing.T) {
	m := NewMux(MuxConfig{Room: 150, CarouselShare: 0.1, Start: t0})
	c := m.Channel("c", wire.LowLatency)
	drainLive(m)
	m.Describe(c, record.SourceDown, strings.Repeat("x", 190))
	fillLive(m, t0)
	m.Describe(c, record.SourceUp, "")
	var got []string
	for _, it := range drainLive(m) {
		if it.Kind == record.KindTotals {
			got = append(got, fmt.Sprintf("first %t last %t", it.First, it.Last))
		}
	}
	if want := []string{"first false last true", "first true last true"}; !slices.Equal(got, want) {
		t.Errorf("got the totals %q, want %q: the rest of the older ones, and then the newer ones", got, want)
	}
}

// drainLive returns the items of all frames that are due.
func drainLive(m *Mux) (items []record.Item) {
	for {
		f, ok := fillLive(m, t0)
		if !ok {
			return items
		}
		for rest := f.Payload; ; {
			it, after, err := record.NextItem(rest)
			if err != nil {
				break
			}
			it.Body = slices.Clone(it.Body)
			items, rest = append(items, it), after
		}
	}
}

// complete calls f with the items of a payload that are complete records, and returns the others.
func complete(t *testing.T, payload []byte, f func(record.Item)) (pieces []byte) {
	t.Helper()
	for {
		it, rest, err := record.NextItem(payload)
		switch {
		case err == io.EOF:
			return pieces
		case err != nil:
			t.Fatal(err)
		case it.First && it.Last:
			f(it)
		default:
			pieces = record.AppendItem(pieces, it)
		}
		payload = rest
	}
}

func TestNothingOvertakesAChannelsRecordInPieces(t *testing.T) {
	m := idleMux(200)
	c := m.Channel("a", wire.LowLatency)
	mustPut(t, m, c, Record{Payload: make([]byte, 2000), Event: true})
	frame(t, m)
	mustPut(t, m, c, Record{Payload: []byte("alarm"), Event: true, Urgent: true})
	m.Describe(c, record.SourceUp, "up") // totals are due at once
	for range 5 {
		items, _, _ := frame(t, m)
		updates, totals := parsed(t, items)
		if len(updates) > 0 {
			t.Fatalf("number %d was sent before number 1 was complete", updates[0].Seq)
		}
		for _, tot := range totals {
			if tot.Seq != 0 {
				t.Errorf("totals state that all up to %d was sent, but 1 is not complete", tot.Seq)
			}
		}
	}
}
