package opcua

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/servertest"
)

func TestAConditionIsStateToo(t *testing.T) {
	p := &port{}
	l := reporter(t, p)
	l.notifiers = l.notifiers[:1]
	alarm := ua.NewStringNodeID(1, "alarm")
	key := payload.ConditionKey(7, named("alarm"), rawvalue.NodeID{}.AppendTo(nil))
	l.report(t, 0, "on", id.AlarmConditionType, alarm, true)
	if _, retained := p.state[string(key)]; !retained || p.puts != 1 {
		t.Fatalf("retained %v after %d records, want one record that is event and state", retained, p.puts)
	}
	l.report(t, 0, "off", id.AlarmConditionType, alarm, false)
	if _, retained := p.state[string(key)]; retained || p.puts != 2 {
		t.Errorf("retained %v after %d records, want the state to be gone with the second", retained, p.puts)
	}
}

func TestARefreshSendsEachStateThatWasMissed(t *testing.T) {
	p := &port{}
	l := reporter(t, p)
	l.notifiers = l.notifiers[:1]
	report := func(name, condition string, retain bool) {
		l.report(t, 0, name, id.AlarmConditionType, ua.NewStringNodeID(1, condition), retain)
	}
	for _, name := range []string{"stays", "changes", "disabled", "absent"} {
		report(name, name, true)
	}
	report("over", "over", false)
	before := p.puts
	p.ended = nil
	for range 2 { // the second one repeats nothing
		l.report(t, 0, "start", id.RefreshStartEventType, nil, false)
		report("stays", "stays", true)
		report("changed", "changes", true)
		report("new", "new", true)
		report("no longer retained", "disabled", false)
		report("over", "over", false)
		l.report(t, 0, "end", id.RefreshEndEventType, nil, false)
	}
	if got := p.puts - before; got != 4 {
		t.Errorf("%d records, want four: what changed, what is new, and the two that are over", got)
	}
	if names, want := conditions(t, p.state, l.table), []string{"changed", "new", "stays"}; !slices.Equal(names, want) {
		t.Errorf("retained are %v, want %v", names, want)
	}
	p.events = p.ended
	ended := crossed(t, l, p)
	if len(ended) != 2 {
		t.Fatalf("%d events ended a condition, want two", len(ended))
	}
	for i, want := range []string{"disabled", "absent"} {
		if ev := ended[i]; ev.Retain || ev.Condition != named(want) || string(ev.ID) == "absent" {
			t.Errorf("%v was ended by event %q with Retain %v, want %s, an EventId of its own and false",
				ev.Condition, ev.ID, ev.Retain, want)
		}
	}
}

// conditions returns the EventIds of the retained conditions.
func conditions(t *testing.T, state map[string][]byte, table *event.Table) (names []string) {
	t.Helper()
	for _, content := range state {
		_, raw, _ := payload.ParseEvent(content)
		ev, err := event.Parse(raw, table, rawvalue.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, string(ev.ID))
	}
	slices.Sort(names)
	return names
}

// A source may refresh a condition under the EventId and Time of the state before it.
func TestARefreshSendsAStateWhoseEventIDAndTimeAreConstant(t *testing.T) {
	p := &port{}
	l := reporter(t, p)
	l.notifiers = l.notifiers[:1]
	raise := func(severity uint16) {
		l.Events(0, [][]byte{variant(t, []byte("constant")), variant(t, ua.NewNumericNodeID(0, id.AlarmConditionType)),
			variant(t, named("press").UA()), variant(t, severity), variant(t, true),
			variant(t, ua.NewStringNodeID(1, "alarm"))})
	}
	for _, c := range []struct {
		name     string
		severity uint16
		puts     int
	}{{"event", 500, 1}, {"refreshed as it was", 500, 1}, {"refreshed with another severity", 600, 2}} {
		l.report(t, 0, "start", id.RefreshStartEventType, nil, false)
		raise(c.severity)
		l.report(t, 0, "end", id.RefreshEndEventType, nil, false)
		if p.puts != c.puts {
			t.Errorf("%s: %d records have crossed, want %d", c.name, p.puts, c.puts)
		}
	}
}

// alarms is a plant whose Server reports conditions.
func alarms() *fake {
	f := plant()
	f.nodes[ns0(id.Server)].Attributes = append(f.nodes[ns0(id.Server)].Attributes,
		addrspace.Attribute{ID: ua.AttributeIDEventNotifier, Value: encoded(uint8(1))})
	f.add(ns0(id.BaseEventType), ua.NodeClassObjectType, "BaseEventType")
	f.refer(ns0(id.TypesFolder), id.Organizes, ns0(id.BaseEventType))
	f.add(ns0(id.ConditionType), ua.NodeClassObjectType, "ConditionType")
	f.refer(ns0(id.BaseEventType), id.HasSubtype, ns0(id.ConditionType))
	for i, name := range []string{"Severity", "EventType", "SourceNode", "EventId", "Retain"} {
		f.add(ns0(90_000+uint32(i)), ua.NodeClassVariable, name)
		f.refer(ns0(id.ConditionType), id.HasProperty, ns0(90_000+uint32(i)))
	}
	return f
}

// refreshes has the server answer ConditionRefresh with the states of conditions, in one
// notification.
func (p *plc) refreshes(t *testing.T, states map[string]bool) {
	p.On(id.CallRequest_Encoding_DefaultBinary, func(request) ([]byte, ua.StatusCode) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.inProgress > 0 {
			p.inProgress--
			return called(ua.StatusBadRefreshInProgress), 0
		}
		for _, sub := range p.subs {
			var list []alarmEvent
			if p.overflows {
				list = append(list, alarmEvent{kind: id.EventQueueOverflowEventType})
			} else {
				list = append(list, alarmEvent{kind: id.RefreshStartEventType})
			}
			for condition, retain := range states {
				list = append(list, alarmEvent{id.ConditionType, condition, retain})
			}
			p.reportEvents(t, sub, func(plcItem) bool { return true },
				append(list, alarmEvent{kind: id.RefreshEndEventType})...)
		}
		return called(ua.StatusOK), 0
	})
}

// called is the response to a Call of one method.
func called(code ua.StatusCode) []byte {
	b := u32(u32(nil, 1), uint32(code))
	for range 4 { // arrays
		b = u32(b, servertest.Null)
	}
	return b
}

// alarmEvent is an event of the press, of a condition or of none.
type alarmEvent struct {
	kind      uint32
	condition string
	retain    bool
}

// reportEvents sends events of some items in one notification. mu is held.
func (p *plc) reportEvents(t *testing.T, sub *plcSubscription, of func(plcItem) bool, list ...alarmEvent) {
	count, b := uint32(0), []byte(nil)
	for _, ev := range list {
		for h, it := range sub.items {
			if len(it.fields) == 0 || !of(it) {
				continue
			}
			count++
			b = u32(u32(b, h), uint32(len(it.fields)))
			for _, field := range it.fields {
				b = append(b, variant(t, alarmField(field, ev.kind, ev.condition, ev.retain))...)
			}
		}
	}
	if count > 0 {
		p.say(sub, servertest.Extension(id.EventNotificationList_Encoding_DefaultBinary,
			append(u32(nil, count), b...)))
	}
}

func alarmField(field string, kind uint32, condition string, retain bool) any {
	switch field {
	case "EventId":
		return []byte("id of " + condition)
	case "EventType":
		return ua.NewNumericNodeID(0, kind)
	case "SourceNode":
		return named("press").UA()
	case "Severity":
		return uint16(500)
	case "Retain":
		return retain
	case "": // ConditionId
		if condition != "" {
			return named(condition).UA()
		}
	}
	return nil
}

// Alarms end while the source is not connected: the server reports one of them with
// Retain false in the refresh, and the other one not at all.
func TestAlarmsThatEndedDuringAnOutageCrossAsEvents(t *testing.T) {
	states := map[string]bool{"stays": true, "disabled": true, "absent": true}
	follows(t, alarms(), func(p *plc, link *port) { p.refreshes(t, states) },
		func(t *testing.T, p *plc, link *port, s *Source) {
			if n := len(s.known); n != 3 {
				t.Fatalf("%d conditions are retained, want 3", n)
			}
			p.mu.Lock()
			states["disabled"] = false
			delete(states, "absent")
			p.mu.Unlock()
			for range 2 {
				s.Reconnect()
				time.Sleep(20 * time.Second)
				synctest.Wait()
			}
			link.events = link.ended
			ended := map[rawvalue.NodeID]int{}
			for _, ev := range link.parsed(t) {
				if ended[ev.Condition]++; ev.Retain {
					t.Errorf("%v was ended by an event with Retain true", ev.Condition)
				}
			}
			if len(ended) != 2 || ended[named("disabled")] != 1 || ended[named("absent")] != 1 {
				t.Errorf("got ends of %v, want one of disabled and one of absent", ended)
			}
			if n := len(s.known); n != 1 {
				t.Errorf("%d conditions are retained, want 1", n)
			}
		})
}

// A server drains the queues of its items one after the other. The conditions of a notifier are
// those that it reports.
func TestARefreshOfANotifierEndsNoConditionOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &port{}
		l := reporter(t, p)
		raise := func(notifier uint32, names ...string) {
			for _, name := range names {
				l.report(t, notifier, name, id.AlarmConditionType, ua.NewStringNodeID(1, name), true)
			}
		}
		refresh := func(notifier uint32, names ...string) {
			l.report(t, notifier, "start", id.RefreshStartEventType, nil, false)
			raise(notifier, names...)
			l.report(t, notifier, "end", id.RefreshEndEventType, nil, false)
		}
		pause := func() {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		expect := func(when string, ends int, retained ...string) {
			t.Helper()
			pause()
			if got := conditions(t, p.state, l.table); len(p.ended) != ends || !slices.Equal(got, retained) {
				t.Errorf("%s: %d ended and %v are retained, want %d and %v", when, len(p.ended), got, ends, retained)
			}
		}
		raise(0, "both", "first", "stays")
		raise(1, "both", "second", "stays")
		pause()
		for range 2 {
			refresh(0, "both", "first", "stays")
			refresh(1, "both", "second", "stays")
			expect("all repeated", 0, "both", "first", "second", "stays")
		}
		refresh(0, "first", "stays")
		refresh(1, "both", "second")
		expect("each by one notifier", 0, "both", "first", "second", "stays")
		refresh(0, "first", "stays")
		refresh(1, "second")
		expect("one by none", 1, "first", "second", "stays")
		refresh(0, "stays")
		expect("the one of one notifier alone", 2, "second", "stays")
	})
}

// The mirror repeats a condition at all nodes that reported it.
func TestARefreshAddsTheNotifiersOfAState(t *testing.T) {
	for name, between := range map[string]time.Duration{"at once": 0, "later": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &port{}
				l := reporter(t, p)
				for notifier := range uint32(2) {
					l.report(t, notifier, "start", id.RefreshStartEventType, nil, false)
					l.report(t, notifier, "on", id.AlarmConditionType, ua.NewStringNodeID(1, "alarm"), true)
					l.report(t, notifier, "end", id.RefreshEndEventType, nil, false)
					time.Sleep(between)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				for _, content := range p.state {
					if ev := parseEvent(content, l.table); len(ev.Notifiers) != 2 {
						t.Errorf("the state has the notifiers %v, want both", ev.Notifiers)
					}
				}
				if len(p.state) != 1 || between == 0 && p.puts != 1 {
					t.Errorf("%d states with %d records, want one", len(p.state), p.puts)
				}
			})
		})
	}
}

// A server may send the events around a refresh to one of its notifiers alone.
func TestANotifierWithoutRefreshesKeepsNoCondition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &port{}
		l := reporter(t, p)
		for notifier := range uint32(2) {
			l.report(t, notifier, "on", id.AlarmConditionType, ua.NewStringNodeID(1, "alarm"), true)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for n := range 2 {
			if len(p.state) != 1 {
				t.Errorf("the condition ended after %d refreshes, want 2", n)
			}
			l.report(t, 0, "start", id.RefreshStartEventType, nil, false)
			l.report(t, 0, "end", id.RefreshEndEventType, nil, false)
		}
		if len(p.state) != 0 || len(p.ended) != 1 {
			t.Errorf("%d conditions are retained, %d ended; want none, and one", len(p.state), len(p.ended))
		}
	})
}

// A refresh that was not received as a whole ends no condition; the next one does.
func TestARefreshThatLostEventsEndsNothing(t *testing.T) {
	for name, lose := range map[string]func(l *eventHandler){
		"a message": func(l *eventHandler) { l.Lost(1) },
		"an event":  func(l *eventHandler) { l.Fault(0, 0, errors.New("cut short")) },
		"the server": func(l *eventHandler) {
			l.report(t, 0, "overflow", id.EventQueueOverflowEventType, nil, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := &port{}
			l := reporter(t, p)
			l.notifiers = l.notifiers[:1]
			l.report(t, 0, "on", id.AlarmConditionType, ua.NewStringNodeID(1, "alarm"), true)
			l.report(t, 0, "start", id.RefreshStartEventType, nil, false)
			lose(l)
			l.report(t, 0, "end", id.RefreshEndEventType, nil, false)
			if len(p.state) != 1 || len(p.ended) != 0 {
				t.Errorf("%d conditions are retained, %d ended; want one, and none", len(p.state), len(p.ended))
			}
			l.report(t, 0, "start", id.RefreshStartEventType, nil, false)
			l.report(t, 0, "end", id.RefreshEndEventType, nil, false)
			if len(p.state) != 0 || len(p.ended) != 1 {
				t.Errorf("after the next: %d are retained, %d ended; want none, and one", len(p.state), len(p.ended))
			}
		})
	}
}

// TestWhatARefreshBringsIsBounded: a server begins one, does not end it, and raises ever new conditions
// that the link has no room for.
func TestWhatARefreshBringsIsBounded(t *testing.T) {
	p := &port{keys: 10}
	l := reporter(t, p)
	brought := func() (n int) {
		for _, keys := range l.refreshing {
			n += len(keys)
		}
		return n
	}
	refresh := func(notifier, from, to int) {
		l.notifiers = []rawvalue.NodeID{named(fmt.Sprint(notifier))} // that of each is handed over at once
		l.report(t, 0, "start", id.RefreshStartEventType, nil, false)
		for i := from; i < to; i++ {
			l.report(t, 0, "on", id.AlarmConditionType, ua.NewNumericNodeID(1, uint32(i)), true)
		}
	}
	const part = 100_000
	for i := range 3 {
		refresh(i, i*part, (i+1)*part)
		if n := brought(); n > maxBrought {
			t.Fatalf("%d conditions are noted, want at most %d", n, maxBrought)
		}
	}
	l.report(t, 0, "end", id.RefreshEndEventType, nil, false)
	if len(p.state) != 10 || len(p.ended) != 0 {
		t.Errorf("%d are retained, %d ended; want 10, and none: the refresh did not bring all", len(p.state),
			len(p.ended))
	}
	refresh(0, 0, 5)
	l.report(t, 0, "end", id.RefreshEndEventType, nil, false)
	if len(p.state) != 5 || brought() != 0 || l.brought != 0 {
		t.Errorf("after the next: %d are retained, %d noted, %d counted; want 5, none and none", len(p.state),
			brought(), l.brought)
	}
}
