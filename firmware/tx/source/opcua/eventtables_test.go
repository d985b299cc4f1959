package opcua

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/event"
)

// growConditions gives the server a type of conditions that it did not have, with a field of its own.
func (p *plc) growConditions(name string) {
	p.quirk(func() {
		p.add(named(name), ua.NodeClassObjectType, name)
		p.refer(ns0(id.ConditionType), id.HasSubtype, named(name))
		p.add(named(name+"Field"), ua.NodeClassVariable, name+"Field")
		p.refer(named(name), id.HasProperty, named(name+"Field"))
	})
}

// tables returns how many tables the state has, and of how many conditions it does not have the table.
func (p *port) tables(t *testing.T) (tables, without int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	ids := map[uint64]bool{}
	for key, content := range p.state {
		if k, err := payload.ParseKey([]byte(key)); err == nil && k.Kind == payload.Table {
			table, err := event.ParseTable(content)
			if err != nil {
				t.Fatal(err)
			}
			ids[table.ID()] = true
			tables++
		}
	}
	for key, content := range p.state {
		if k, err := payload.ParseKey([]byte(key)); err == nil && k.Kind == payload.Condition {
			_, raw, err := payload.ParseEvent(content)
			if err != nil {
				t.Fatal(err)
			}
			if name, _ := event.TableID(raw); !ids[name] {
				without++
			}
		}
	}
	return tables, without
}

// TestTheStateHasTheTableOfEachCondition although the fields of events change, and sessions end.
func TestTheStateHasTheTableOfEachCondition(t *testing.T) {
	for name, refreshed := range map[string]bool{"refreshed": true, "never refreshed": false} {
		t.Run(name, func(t *testing.T) {
			follows(t, alarms(), func(p *plc, _ *port) {
				if p.refreshes(t, map[string]bool{"stays": true}); !refreshed {
					p.inProgress = 1 << 30
				}
			}, func(t *testing.T, p *plc, link *port, s *Source) {
				for i := range 2 * maxTables {
					if !refreshed && i == 0 {
						p.quirk(func() {
							for _, sub := range p.subs {
								p.reportEvents(t, sub, func(plcItem) bool { return true },
									alarmEvent{id.ConditionType, "stays", true})
							}
						})
					}
					p.growConditions(fmt.Sprintf("Kind%02d", i))
					for _, again := range []func(){s.Browse, s.Reconnect} {
						again()
						time.Sleep(20 * time.Second)
						synctest.Wait()
					}
					tables, without := link.tables(t)
					if without != 0 || tables > maxTables || len(s.known) != 1 {
						t.Fatalf("after %d changes: %d conditions, %d of them without their table, and %d tables; "+
							"want one, none and at most %d", i+1, len(s.known), without, tables, maxTables)
					}
				}
			})
		})
	}
}

// TestAChangeOfTheFieldsIsMissed: no subscription reports what is raised while another one is made.
func TestAChangeOfTheFieldsIsMissed(t *testing.T) {
	follows(t, alarms(), nil, func(t *testing.T, p *plc, link *port, s *Source) {
		for i, change := range []bool{false, true, false} {
			if change {
				p.growConditions("Kind")
			}
			s.Browse()
			time.Sleep(20 * time.Second)
			synctest.Wait()
			link.mu.Lock()
			got := link.missed[lostEvents]
			link.mu.Unlock()
			if want := uint64(min(i, 1)); got != want {
				t.Errorf("browse %d: got %d missed, want %d", i+1, got, want)
			}
		}
	})
}

// TestConditionsGoWithTheirTable: a server raises one with each table, and repeats none.
func TestConditionsGoWithTheirTable(t *testing.T) {
	p := &port{}
	l := reporter(t, p)
	l.sent = &sentTables{}
	l.notifiers = l.notifiers[:1]
	operands := l.table.Operands()
	for i := range maxTables + 3 {
		table, err := event.NewTable(append(slices.Clip(operands),
			event.Operand{Type: named(fmt.Sprint(i)), Attribute: ua.AttributeIDValue}))
		if err != nil || !l.send(table) {
			t.Fatal(err)
		}
		l.table, l.layout = table, newLayout(table, 1000)
		fields := [][]byte{variant(t, []byte("on")), variant(t, ua.NewNumericNodeID(0, id.AlarmConditionType)),
			variant(t, named("press").UA()), variant(t, uint16(500)), variant(t, true),
			variant(t, ua.NewStringNodeID(1, fmt.Sprint(i))), {0}}
		l.Events(0, fields)
	}
	if tables, without := p.tables(t); tables != maxTables || without != 0 || len(l.known) != maxTables {
		t.Errorf("%d tables, %d conditions of which %d are without theirs; want %d, as many, and none", tables,
			len(l.known), without, maxTables)
	}
}
