package send

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
)

var t0 = time.Unix(1_700_000_000, 0)

// idleMux is a mux whose heartbeat, totals and carousel are not due.
func idleMux(room int) *Mux {
	m := NewMux(MuxConfig{Room: room, CarouselShare: 0.1, Start: t0.Add(time.Hour)})
	return m
}

func mustPut(t *testing.T, m *Mux, c *Channel, r Record) {
	t.Helper()
	if _, err := m.Put(c, r); err != nil {
		t.Fatal(err)
	}
}

// frame fills one frame and returns its items.
func frame(t *testing.T, m *Mux) (items []record.Item, in wire.Class, ok bool) {
	t.Helper()
	f, ok := m.Fill(t0, nil, nil, ReplayTurn{Idle: true})
	payload := f.Payload
	for len(payload) > 0 {
		it, rest, err := record.NextItem(payload)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, it)
		payload = rest
	}
	return items, f.Class, ok
}

func TestLargeRecordsFillTheirFrames(t *testing.T) {
	m := idleMux(200)
	c := m.Channel("a", wire.LowLatency)
	const records, size = 20, 1000
	for range records {
		mustPut(t, m, c, Record{Payload: make([]byte, size), Event: true})
	}
	frames := 0
	for ; ; frames++ {
		if _, _, ok := frame(t, m); !ok {
			break
		}
	}
	if most := records*size/200*110/100 + 1; frames > most {
		t.Errorf("%d records of %d bytes took %d frames of 200, want at most %d", records, size, frames, most)
	}
}

func TestAnAlarmGoesFirst(t *testing.T) {
	m := idleMux(1400)
	a, b := m.Channel("a", wire.LowLatency), m.Channel("b", wire.LowLatency)
	for range 1000 {
		mustPut(t, m, a, Record{Payload: make([]byte, 1000), Event: true})
	}
	mustPut(t, m, b, Record{Payload: []byte("alarm"), Event: true, Urgent: true})
	items, _, _ := frame(t, m)
	var u record.Update
	if err := u.Parse(items[0].Body); err != nil || u.Channel != b.id {
		t.Errorf("first item: got %+v, %v; want the alarm", u, err)
	}
}

func TestTheCarouselKeepsItsShare(t *testing.T) {
	m := NewMux(MuxConfig{Room: 1400, CarouselShare: 0.1, Start: t0})
	c := m.Channel("a", wire.LowLatency)
	for i := range 20000 {
		c.seq++
		c.table.Create(fmt.Append(nil, i), make([]byte, 100), 0, c.seq)
	}
	bytes := [wire.Classes]int{}
	for range 1500 {
		for c.queue.bytes < 100_000 {
			mustPut(t, m, c, Record{Payload: make([]byte, 200), Event: true})
		}
		f, _ := m.Fill(t0.Add(time.Second), nil, nil, ReplayTurn{Idle: true})
		bytes[f.Class] += len(f.Payload)
	}
	share := float64(bytes[wire.Bulk]) / float64(bytes[wire.LowLatency]+bytes[wire.Bulk])
	if share < 0.095 || share > 0.2 {
		t.Errorf("share of the carousel on a full line: got %.3f, want 0.1 at least and not much more", share)
	}
}

func TestCompletenessIsStatedAfterWhatWaits(t *testing.T) {
	m := idleMux(200)
	c := m.Channel("a", wire.LowLatency)
	for i := range 50 {
		mustPut(t, m, c, Record{Key: fmt.Append(nil, i), Payload: make([]byte, 50)})
	}
	m.SetComplete(c, true)
	keys := 0
	for {
		items, _, ok := frame(t, m)
		if !ok {
			break
		}
		for _, it := range items {
			var tot record.Totals
			if it.Kind == record.KindTotals && tot.Parse(it.Body) == nil && !tot.Partial && keys < 50 {
				t.Fatalf("stated to be complete after %d of 50 keys", keys)
			}
			if it.Kind == record.KindUpdate && it.Last {
				keys++
			}
		}
	}
	if m.Counts(c).Partial || keys != 50 {
		t.Errorf("partial %v after %d keys", m.Counts(c).Partial, keys)
	}
	m.SetComplete(c, false)
	if !m.Counts(c).Partial {
		t.Error("not partial although the source is not complete any more")
	}
}

// parsed returns the complete updates among items, and the totals.
func parsed(t *testing.T, items []record.Item) (updates []record.Update, totals []record.Totals) {
	t.Helper()
	for _, it := range items {
		var u record.Update
		var tot record.Totals
		switch {
		case it.Kind == record.KindUpdate && it.First && it.Last && u.Parse(it.Body) == nil:
			updates = append(updates, u)
		case it.Kind == record.KindTotals && tot.Parse(it.Body) == nil:
			totals = append(totals, tot)
		}
	}
	return updates, totals
}

func TestAnIdleFlowSavesNothingUp(t *testing.T) {
	m := NewMux(MuxConfig{Room: 1400, CarouselShare: 0.1, Start: t0})
	c := m.Channel("a", wire.LowLatency)
	fill := func(frames int, now time.Time) (bulk float64) {
		for range frames {
			for c.queue.bytes < 100_000 {
				mustPut(t, m, c, Record{Payload: make([]byte, 200), Event: true})
			}
			if f, _ := m.Fill(now, nil, nil, ReplayTurn{Idle: true}); f.Class == wire.Bulk {
				bulk++
			}
		}
		return bulk / float64(frames)
	}
	fill(5000, t0) // with nothing in the carousel
	for i := range 20000 {
		c.seq++
		c.table.Create(fmt.Append(nil, i), make([]byte, 100), 0, c.seq)
	}
	if share := fill(100, t0.Add(2*time.Second)); share > 0.3 {
		t.Errorf("after a pause the carousel takes %.2f of the line, want about its share", share)
	}
}

// TestTheEndReturnsARecordInPieces: its source is informed once that it has not left, and
// sends it again; a record of which the last piece has gone is for the sender to report.
func TestTheEndReturnsARecordInPieces(t *testing.T) {
	for frames, want := range map[int]int{1: 1, 20: 0} {
		m := idleMux(200)
		c := m.Channel("a", wire.Bulk)
		const before = 3
		for range before {
			mustPut(t, m, c, Record{Payload: []byte("short"), Event: true})
		}
		mustPut(t, m, c, Record{Payload: make([]byte, 1000), Event: true, Left: func(error) {}})
		for range frames {
			frame(t, m)
		}
		returned := 0
		for _, r := range append(m.Drain(), m.Drain()...) {
			if r.Left != nil {
				returned++
			}
		}
		sent := m.AppendTotals(nil)[0].Records
		if returned != want || sent != uint64(before+1-want) || m.Waiting() {
			t.Errorf("after %d frames: got %d returned and %d counted, waiting %v; want %d and %d", frames, returned,
				sent, m.Waiting(), want, before+1-want)
		}
	}
}

func TestTheLastTotalsAreNoRecord(t *testing.T) {
	m := idleMux(150)
	c := m.Channel("a", wire.Bulk)
	m.Describe(c, record.SourceUp, strings.Repeat("x", record.MaxReason))
	m.End()
	frame(t, m)
	if m.Ended() {
		t.Error("ended, though a part of the totals has not been sent")
	}
	if out, sent := m.Drain(), m.AppendTotals(nil)[0].Records; len(out) > 0 || sent != 0 {
		t.Errorf("got %d records that wait, %d sent; want none", len(out), sent)
	}
}
