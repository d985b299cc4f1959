package send

import (
	"testing"

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
