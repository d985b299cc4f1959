package opcua

import (
	"errors"
	"hash/maphash"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source/opcua/absence"
)

// reporter is a server's events with two notifiers.
func reporter(t *testing.T, p *port) *eventHandler {
	t.Helper()
	field := func(name string) event.Operand {
		return event.Operand{Path: []rawvalue.QualifiedName{{Name: []byte(name)}},
			Attribute: ua.AttributeIDValue}
	}
	table, err := event.NewTable([]event.Operand{field("EventId"), field("EventType"), field("SourceNode"),
		field("Severity"), field("Retain"), event.ConditionID()})
	if err != nil {
		t.Fatal(err)
	}
	e := &events{
		port: p, stats: &sourceStats{}, setTrouble: func(topic, string) {}, generation: 7,
		interval: 100 * time.Millisecond, space: addrspace.New(), all: true,
		log:     slog.New(slog.DiscardHandler),
		changed: make(chan struct{}, 1), refresh: make(chan struct{}, 1), merging: map[string]heldEvent{},
		known: map[string]condition{}, seed: maphash.MakeSeed(), recent: newRecentEvents(),
		lost:      new(atomic.Uint64),
		book:      absence.New(time.Second),
		notifiers: []rawvalue.NodeID{ns0(id.Server), named("press")},
	}
	e.handler = &eventHandler{events: e, table: table, layout: newLayout(table, 1000)}
	return e.handler
}

func variant(t *testing.T, v any) []byte {
	t.Helper()
	if v == nil {
		return []byte{0}
	}
	raw, err := ua.MustVariant(v).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// report has a notifier report an event; condition may be nil.
func (l *eventHandler) report(t *testing.T, handle uint32, name string, kind uint32, condition any, retain bool) {
	t.Helper()
	l.Events(handle, [][]byte{
		variant(t, []byte(name)), variant(t, ua.NewNumericNodeID(0, kind)), variant(t, named("press").UA()),
		variant(t, uint16(500)), variant(t, retain),
		variant(t, condition),
	})
}

// crossed parses the events that the port took.
func crossed(t *testing.T, l *eventHandler, p *port) (list []*event.Event) {
	t.Helper()
	for _, b := range p.events {
		generation, raw, err := payload.ParseEvent(b)
		if err != nil || generation != 7 {
			t.Fatalf("event of generation %d crossed: %v", generation, err)
		}
		ev, err := event.Parse(raw, l.table, rawvalue.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, ev)
	}
	return list
}

func TestAnEventCrossesOnceWithAllItsNotifiers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &port{}
		l := reporter(t, p)
		l.report(t, 1, "a", id.BaseEventType, nil, false)
		l.report(t, 1, "b", id.BaseEventType, nil, false)
		l.report(t, 0, "a", id.BaseEventType, nil, false)
		time.Sleep(time.Second)
		synctest.Wait()
		got := crossed(t, l, p)
		if len(got) != 2 || string(got[0].ID) != "a" || string(got[1].ID) != "b" {
			t.Fatalf("%d events crossed, want a and b in order", len(got))
		}
		if want := []rawvalue.NodeID{named("press"), ns0(id.Server)}; !slices.Equal(got[0].Notifiers, want) {
			t.Errorf("a was reported by %v, want %v", got[0].Notifiers, want)
		}
	})
}

func TestEventsOfWhatDoesNotCrossDoNotCross(t *testing.T) {
	p := &port{}
	l := reporter(t, p)
	l.notifiers, l.all = l.notifiers[:1], false
	l.report(t, 0, "a", id.BaseEventType, nil, false)
	if len(p.events) != 0 {
		t.Error("an event of an excluded node crossed")
	}
	if _, err := l.space.Apply([]addrspace.Change{{Kind: addrspace.Put,
		Node: addrspace.Node{ID: named("press")}}}); err != nil {
		t.Fatal(err)
	}
	l.report(t, 0, "b", id.BaseEventType, nil, false)
	if len(p.events) != 1 {
		t.Errorf("%d events of a node that crosses crossed, want 1", len(p.events))
	}
}

func TestModelChangesAreBrowsedAndDoNotCross(t *testing.T) {
	p := &port{}
	l := reporter(t, p)
	l.report(t, 0, "a", id.BaseModelChangeEventType, nil, false)
	select {
	case <-l.changed:
	default:
		t.Error("a model change was not noticed")
	}
	if p.puts != 0 {
		t.Error("a model change crossed")
	}
}

// A model change may be among the events that were lost.
func TestLostEventsHaveTheAddressSpaceBrowsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := reporter(t, &port{})
		for range 3 {
			l.Lost(1)
			time.Sleep(afterLoss / 4)
		}
		if len(l.changed) != 0 {
			t.Error("a server that loses events is browsed at once")
		}
		for n := range 2 {
			time.Sleep(afterLoss)
			if got := len(l.changed); got != 1-n {
				t.Errorf("%d minutes later: got %d requests to browse, want %d", n+1, got, 1-n)
			}
			if n == 0 {
				<-l.changed
			}
		}
	})
}

func TestMalformedEventsAreCounted(t *testing.T) {
	p := &port{}
	l := reporter(t, p)
	l.Events(0, [][]byte{{0}, {0}, {0}, {0}, {0}, {0}})
	l.Events(0, nil)
	l.Events(1, [][]byte{{0}, {0}, {0}, {0}, {0}, {0}}) // the first one, of another notifier
	if p.missed[lostEvents] != 2 || p.conflated != 0 || p.puts != 0 {
		t.Errorf("%v missed, %d conflated, %d crossed; want 2 missed alone", p.missed, p.conflated, p.puts)
	}
}

// TestEventsThatTheServerLostAreMissed: without a history that brings them.
func TestEventsThatTheServerLostAreMissed(t *testing.T) {
	for name, c := range map[string]struct {
		lose func(*eventHandler)
		want uint64
	}{
		"overflow": {func(l *eventHandler) { l.report(t, 0, "a", id.EventQueueOverflowEventType, nil, false) }, 1},
		"lost":     {func(l *eventHandler) { l.Lost(3) }, 3},
		"fault":    {func(l *eventHandler) { l.Fault(0, 2, errors.New("bad")) }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			p := &port{}
			l := reporter(t, p)
			c.lose(l)
			if p.missed[lostEvents] != c.want || p.conflated != 0 || l.lost.Load() != 0 || len(l.refresh) != 1 {
				t.Errorf("%v missed, %d conflated, %d wait; want %d missed alone", p.missed, p.conflated,
					l.lost.Load(), c.want)
			}
			l.book.Clock(1, time.Now()) // there is a history
			c.lose(l)
			if p.missed[lostEvents] != c.want || l.lost.Load() != c.want {
				t.Errorf("with a history: %v missed, %d wait; want %d to wait", p.missed, l.lost.Load(), c.want)
			}
		})
	}
}

func TestAnEventThatTheLinkRefusesCrossesWithoutItsLargeFields(t *testing.T) {
	p := &port{most: 64 << 10}
	l := reporter(t, p)
	l.notifiers = l.notifiers[:1]
	alarm := ua.NewStringNodeID(1, "alarm")
	large := func(name string, severity any) {
		l.Events(0, [][]byte{
			variant(t, []byte(name)), variant(t, ua.NewNumericNodeID(0, id.AlarmConditionType)),
			variant(t, named("press").UA()), variant(t, severity), variant(t, true),
			variant(t, alarm),
		})
	}
	large("a", make([]byte, 100<<10))
	if n := l.stats.ReducedEvents.Load(); n != 1 || len(p.state) != 1 {
		t.Errorf("got %d reduced events and %d conditions, want the event without its large field", n,
			len(p.state))
	}
	large(string(make([]byte, 70<<10)), uint16(1)) // its EventId is what is large
	if n := l.stats.RefusedEvents.Load(); n != 1 || len(p.state) != 0 {
		t.Errorf("got %d refused events and %d conditions, want it counted, and the state before it gone", n,
			len(p.state))
	}
}

// TestEventIDsThatAreNotUnique: events cross as many times as they were raised.
func TestEventIDsThatAreNotUnique(t *testing.T) {
	for name, id1 := range map[string]string{"used again": "constant", "empty": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &port{}
				l := reporter(t, p)
				for notifier := range uint32(2) { // which both report
					for range 3 {
						l.report(t, notifier, id1, id.BaseEventType, nil, false)
					}
				}
				time.Sleep(time.Second)
				synctest.Wait()
				got := crossed(t, l, p)
				if len(got) != 3 || len(got[2].Notifiers) != 2 {
					t.Fatalf("%d events crossed, want 3 of both notifiers", len(got))
				}
			})
		})
	}
}

// TestEventsThatAreHeldBackAreBounded: what a server reports at once is bounded in bytes.
func TestEventsThatAreHeldBackAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &port{}
		l := reporter(t, p)
		for i := range 100 {
			large := variant(t, make([]byte, 1<<20))
			l.Events(0, [][]byte{variant(t, []byte{byte(i), 1}),
				variant(t, ua.NewNumericNodeID(0, id.BaseEventType)), variant(t, named("press").UA()),
				large, variant(t, false), {0}})
			l.mu.Lock()
			held := l.held
			l.mu.Unlock()
			if held > maxHeld {
				t.Fatalf("%d bytes are held", held)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := crossed(t, l, p); len(got) != 100 || got[0].ID[0] != 0 || got[99].ID[0] != 99 {
			t.Errorf("%d events crossed, want all in order", len(got))
		}
	})
}

// TestWhatIsHeldBackCrossesBeforeTheNextSession: an event that one of two notifiers has
// reported.
func TestWhatIsHeldBackCrossesBeforeTheNextSession(t *testing.T) {
	f := alarms()
	f.nodes[named("press")].Attributes = append(f.nodes[named("press")].Attributes,
		addrspace.Attribute{ID: ua.AttributeIDEventNotifier, Value: encoded(uint8(1))})
	follows(t, f, func(p *plc, _ *port) { p.refreshes(t, nil) },
		func(t *testing.T, p *plc, link *port, s *Source) {
			p.quirk(func() {
				p.inProgress = 1000 // a refresh would end what it does not bring
				for _, sub := range p.subs {
					p.reportEvents(t, sub, func(it plcItem) bool { return it.node == ns0(id.Server) },
						alarmEvent{id.ConditionType, "alarm", true})
				}
			})
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			before := len(s.known)
			s.Reconnect()
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			if p.made != 2 || before != 0 || len(s.known) != 1 {
				t.Errorf("%d sessions, %d retained before and %d after; want 2, 0 and 1", p.made, before,
					len(s.known))
			}
		})
}

// TestASessionThatHasEndedChangesNothing: an alarm that it held back is over in the next.
func TestASessionThatHasEndedChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &port{}
		old, next := reporter(t, p), reporter(t, p)
		next.known, next.seed, next.notifiers = old.known, old.seed, next.notifiers[:1]
		old.report(t, 0, "on", id.AlarmConditionType, ua.NewStringNodeID(1, "alarm"), true)
		old.end()
		next.report(t, 0, "off", id.AlarmConditionType, ua.NewStringNodeID(1, "alarm"), false)
		old.report(t, 1, "late", id.AlarmConditionType, ua.NewStringNodeID(1, "alarm"), true)
		time.Sleep(time.Minute)
		synctest.Wait()
		if p.puts != 2 || len(p.state) != 0 || len(old.known) != 0 {
			t.Errorf("%d records, %d conditions are active, %d known; want 2, none and none", p.puts, len(p.state),
				len(old.known))
		}
	})
}

// TestPartsOfEventsCrossAtTheEndOfTheirSession without those that have not come.
func TestPartsOfEventsCrossAtTheEndOfTheirSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &port{}
		l := reporter(t, p)
		l.layout = newLayout(l.table, 4)
		l.Events(0, [][]byte{variant(t, []byte("a")), variant(t, ua.NewNumericNodeID(0, id.BaseEventType)),
			variant(t, named("press").UA()), variant(t, uint16(500))})
		before := p.puts
		l.end()
		if before != 0 || p.puts != 1 {
			t.Errorf("%d records before the end and %d after, want 0 and 1", before, p.puts)
		}
		l.notifiers = nil // a subscription for other fields begins
		l.Events(0, [][]byte{variant(t, []byte("b")), variant(t, ua.NewNumericNodeID(0, id.BaseEventType)),
			variant(t, named("press").UA()), variant(t, uint16(500))})
		time.Sleep(time.Minute)
		synctest.Wait()
		if p.puts != 1 {
			t.Errorf("%d records a minute after the end, want 1", p.puts)
		}
	})
}
