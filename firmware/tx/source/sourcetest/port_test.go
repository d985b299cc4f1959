package sourcetest_test

import (
	"errors"
	"testing"

	"heliograph/firmware/tx/source"
	"heliograph/firmware/tx/source/sourcetest"
)

var _ source.Holder = (*sourcetest.Discard)(nil)

func TestLateIsNotNew(t *testing.T) {
	var p sourcetest.Port
	for _, u := range []source.Update{
		{Key: []byte("a"), Payload: []byte("2")}, {Key: []byte("a"), Payload: []byte("1"), Late: true},
	} {
		if err := p.Put(u); err != nil {
			t.Fatal(err)
		}
	}
	if got := string(p.Newest("a")); got != "2" || len(p.Updates()) != 2 {
		t.Errorf("got %q as the newest of %d updates, want 2 of 2", got, len(p.Updates()))
	}
}

func put(t *testing.T, p source.Port, u source.Update) {
	t.Helper()
	if err := p.Put(u); err != nil {
		t.Fatal(err)
	}
}

func TestPortKeepsTheNewestValueOfEachKeyInOrder(t *testing.T) {
	p := &sourcetest.Port{}
	put(t, p, source.Update{Key: []byte("b"), Payload: []byte("1")})
	put(t, p, source.Update{Key: []byte("a"), Payload: []byte("2")})
	put(t, p, source.Update{Key: []byte("b"), Payload: []byte("3")})
	put(t, p, source.Update{Payload: []byte("event"), Event: true})
	got := ""
	p.Range(func(key, payload []byte) bool { got += string(key) + string(payload) + " "; return true })
	if got != "b3 a2 " || len(p.Updates()) != 4 {
		t.Errorf("got %q of %d updates, want b3 a2 of 4", got, len(p.Updates()))
	}
	put(t, p, source.Update{Key: []byte("b"), Delete: true})
	if p.Keys() != 1 || p.Newest("b") != nil || string(p.Newest("a")) != "2" {
		t.Errorf("after a deletion: got %d keys", p.Keys())
	}
}

func TestPortLeavesAndRefusesAsTheTestSays(t *testing.T) {
	p := &sourcetest.Port{Refuse: func(u source.Update) error {
		if u.Urgent {
			return source.ErrTooLarge
		}
		return nil
	}}
	left := 0
	u := source.Update{Event: true, Left: func(error) { left++ }}
	p.Hold()
	put(t, p, u)
	if left != 0 {
		t.Error("a held record left")
	}
	p.Unhold()
	if put(t, p, u); left != 1 {
		t.Errorf("got %d records that left, want 1", left)
	}
	if err := p.Put(source.Update{Urgent: true}); !errors.Is(err, source.ErrTooLarge) || len(p.Updates()) != 2 {
		t.Errorf("got %v and %d updates, want the refusal, and nothing recorded", err, len(p.Updates()))
	}
}

func TestPortHasRoomUnlessItIsFull(t *testing.T) {
	p := &sourcetest.Port{}
	<-p.Room()
	p.SetFull(true)
	room := p.Room()
	select {
	case <-room:
		t.Error("there is room")
	default:
	}
	p.SetFull(false)
	<-room
}

func TestPortRemembersReports(t *testing.T) {
	p := &sourcetest.Port{}
	p.Report(source.Connecting, "starting")
	p.Report(source.Up, "MQTT 5")
	p.SetComplete(true)
	p.Conflated(2)
	p.Conflated(3)
	if p.Last().State != source.Up || p.Reports() != "connecting starting\nup MQTT 5" || !p.Complete() ||
		p.ConflatedTotal() != 5 {
		t.Errorf("got %q, complete %v, %d conflated", p.Reports(), p.Complete(), p.ConflatedTotal())
	}
}
