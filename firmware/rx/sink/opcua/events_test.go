package opcua

import (
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/rx/sink"
)

// conditionEvent is an event of a retained condition.
func conditionEvent(t *testing.T, eventID string, condition, branch uint32, severity uint16) *event.Event {
	t.Helper()
	field := func(name string) event.Operand {
		return event.Operand{Path: []rawvalue.QualifiedName{{Name: []byte(name)}}, Attribute: ua.AttributeIDValue}
	}
	table, err := event.NewTable(
		[]event.Operand{field("EventId"), field("EventType"), field("Severity"), field("Retain"), field("BranchId"),
			event.ConditionID()})
	if err != nil {
		t.Fatal(err)
	}
	var values [][]byte
	for _, x := range []any{[]byte(eventID), ns0(id.ConditionType).UA(), severity, true, ns0(branch).UA(),
		ns0(condition).UA()} {
		raw, err := ua.MustVariant(x).Encode()
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, raw)
	}
	ev, err := event.FromFields(table, values)
	if err != nil {
		t.Fatal(err)
	}
	ev.Notifiers = []rawvalue.NodeID{ns0(id.Server)}
	return ev
}

func conditionUpdate(ev *event.Event, live bool) sink.Update {
	return sink.Update{
		Key:     payload.ConditionKey(7, ev.Condition, ev.Branch.AppendTo(nil)),
		Payload: payload.AppendEvent(nil, 7, ev.Append(nil)), Event: live,
	}
}

// A state that came without its event is emitted if it is new, regardless of its EventId.
func TestNewStatesOfConditionsAreEventsWithAnyEventID(t *testing.T) {
	for name, eventID := range map[string]func(n int) string{
		"unique":     func(n int) string { return string(rune('a' + n)) },
		"constant":   func(int) string { return "constant" },
		"used again": func(n int) string { return string(rune('a' + n%2)) },
	} {
		t.Run(name, func(t *testing.T) {
			l := complete(t)
			first := conditionEvent(t, eventID(0), 1, 0, 500)
			l.deliver(sink.Update{Key: payload.Key{Kind: payload.Table, Generation: 7}.Append(nil),
				Payload: first.Table.Append(nil)})
			l.deliver(conditionUpdate(first, true))
			l.deliver(conditionUpdate(first, false)) // the carousel repeats it
			changed := conditionEvent(t, eventID(1), 1, 0, 600)
			l.deliver(conditionUpdate(changed, false)) // its event was lost
			l.deliver(conditionUpdate(changed, false))
			back := conditionEvent(t, eventID(2), 1, 0, 500)
			l.deliver(conditionUpdate(back, false)) // as it was at first
			l.deliver(conditionUpdate(conditionEvent(t, eventID(0), 1, 9, 500), false))
			l.deliver(conditionUpdate(conditionEvent(t, eventID(0), 2, 0, 500), false))
			var got []uint16
			for _, ev := range l.server.emitted {
				got = append(got, ev.Severity)
			}
			if want := []uint16{500, 600, 500, 500, 500}; len(got) != len(want) || got[1] != 600 {
				t.Errorf("events with severities %v were emitted, want %v", got, want)
			}
			if l.refused != 0 {
				t.Errorf("%d records were refused", l.refused)
			}
		})
	}
}

// A condition that ended while the source was not followed crosses as an event that deletes its
// state. If that is lost too, the carousel drops the state.
func TestTheEndOfAConditionIsReportedOnce(t *testing.T) {
	l := complete(t)
	raised := conditionEvent(t, "raised", 1, 0, 500)
	other := conditionEvent(t, "other", 2, 0, 500)
	l.deliver(sink.Update{Key: payload.Key{Kind: payload.Table, Generation: 7}.Append(nil),
		Payload: raised.Table.Append(nil)})
	l.deliver(conditionUpdate(raised, true))
	l.deliver(conditionUpdate(other, true))
	ended := conditionUpdate(raised.Ended(event.Stamp{ID: [16]byte{'e'}}), true)
	ended.Delete = true
	l.deliver(ended)
	gone := sink.Update{Key: ended.Key, Delete: true}
	l.deliver(gone) // the carousel does not list it either
	if n := len(l.server.emitted); n != 3 || l.server.emitted[2].Retain || l.server.forgot != 0 {
		t.Fatalf("%d events, %d conditions dropped without one; want 3, the last with Retain false, and none",
			n, l.server.forgot)
	}
	gone.Key = conditionUpdate(other, false).Key
	l.deliver(gone)
	l.deliver(gone)
	if n := len(l.server.emitted); n != 3 || l.server.forgot != 1 {
		t.Errorf("%d events, %d conditions dropped without one; want 3 and one", n, l.server.forgot)
	}
}

// strayEvent is an event of a generation, of a table that has not come.
func strayEvent(generation uint32) sink.Update {
	return sink.Update{Event: true, Payload: payload.AppendEvent(nil, generation, []byte{1, 9, 0, 0, 0, 0, 0, 0, 0})}
}

// Records that no client will see do not count as delivered.
func TestLostEventsAreCounted(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(*link)
		want uint64
	}{
		"of another generation": {func(l *link) { l.deliver(strayEvent(8)) }, 1},
		"more than may wait for their table": {func(l *link) {
			for range maxEarly + 3 {
				l.deliver(strayEvent(7))
			}
		}, 3},
		"larger than may wait for their table": {func(l *link) {
			for range 4 {
				u := strayEvent(7)
				u.Payload = append(u.Payload, make([]byte, maxEarlyBytes/3)...)
				l.deliver(u)
			}
		}, 2},
		"that waited when another generation began": {func(l *link) {
			l.deliver(strayEvent(7))
			l.deliver(strayEvent(7))
			l.block(8, "x")
			l.announce(8)
			l.swap()
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			l := complete(t)
			c.do(l)
			if l.refused != c.want || l.mirror.unusable.Load() != c.want {
				t.Errorf("refused %d, unusable %d; want %d", l.refused, l.mirror.unusable.Load(), c.want)
			}
		})
	}
}

// A state of which the source says later that another node reports it too is repeated at that node
// by refreshes.
func TestAStateGetsItsOtherNotifiers(t *testing.T) {
	l := complete(t)
	raised := conditionEvent(t, "raised", 1, 0, 500)
	l.deliver(sink.Update{Key: payload.Key{Kind: payload.Table, Generation: 7}.Append(nil),
		Payload: raised.Table.Append(nil)})
	l.deliver(conditionUpdate(raised, true))
	wider := conditionEvent(t, "raised", 1, 0, 500)
	wider.Notifiers = append(wider.Notifiers, ns0(id.Server+1))
	for range 2 { // the carousel repeats it
		l.deliver(conditionUpdate(wider, false))
	}
	if n := len(l.server.emitted); n != 2 || len(l.server.emitted[1].Notifiers) != 2 {
		t.Errorf("%d events were emitted, want two, the second of both notifiers", n)
	}
}
