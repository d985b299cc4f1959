package opcua

import (
	"fmt"
	"slices"
	"strings"
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

const ownFields = 200

// eventful is a plant whose Server reports events, of a type with many fields.
func eventful() *fake {
	f := plant()
	f.nodes[ns0(id.Server)].Attributes = append(f.nodes[ns0(id.Server)].Attributes,
		addrspace.Attribute{ID: ua.AttributeIDEventNotifier, Value: encoded(uint8(1))})
	f.add(ns0(id.BaseEventType), ua.NodeClassObjectType, "BaseEventType")
	f.refer(ns0(id.TypesFolder), id.Organizes, ns0(id.BaseEventType))
	for i, name := range []string{"Message", "Time", "Severity", "EventType", "SourceNode", "EventId"} {
		f.add(ns0(90_000+uint32(i)), ua.NodeClassVariable, name)
		f.refer(ns0(id.BaseEventType), id.HasProperty, ns0(90_000+uint32(i)))
	}
	f.add(named("kind"), ua.NodeClassObjectType, "Kind")
	f.refer(ns0(id.BaseEventType), id.HasSubtype, named("kind"))
	for i := range ownFields {
		node := named(fmt.Sprintf("F%d", i))
		f.add(node, ua.NodeClassVariable, node.Text)
		f.refer(named("kind"), id.HasProperty, node)
	}
	return f
}

// raise reports an event to all items, or to those with these numbers of the first.
func (p *plc) raise(t *testing.T, name string, skip func(item int) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sub := range p.subs {
		var handles []uint32
		for h, it := range sub.items {
			if len(it.fields) > 0 && (skip == nil || !skip(int(h))) {
				handles = append(handles, h)
			}
		}
		if len(handles) == 0 {
			continue
		}
		slices.Sort(handles)
		b := u32(nil, uint32(len(handles)))
		for _, h := range handles {
			it := sub.items[h]
			b = u32(u32(b, h), uint32(len(it.fields)))
			for _, field := range it.fields {
				switch field {
				case "EventId":
					b = append(b, variant(t, []byte(name))...)
				case "EventType":
					b = append(b, variant(t, named("kind").UA())...)
				case "SourceNode":
					b = append(b, variant(t, named("press").UA())...)
				default:
					b = append(b, variant(t, name+field)...)
				}
			}
		}
		p.say(sub, servertest.Extension(id.EventNotificationList_Encoding_DefaultBinary, b))
	}
}

// parsed returns the events that crossed.
func (p *port) parsed(t *testing.T) (list []*event.Event) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	tables := map[uint64]*event.Table{}
	for key, content := range p.state {
		if k, err := payload.ParseKey([]byte(key)); err == nil && k.Kind == payload.Table {
			table, err := event.ParseTable(content)
			if err != nil {
				t.Fatal(err)
			}
			tables[table.ID()] = table
		}
	}
	for _, b := range p.events {
		_, raw, err := payload.ParseEvent(b)
		if err != nil {
			t.Fatal(err)
		}
		name, _ := event.TableID(raw)
		ev, err := event.Parse(raw, tables[name], rawvalue.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, ev)
	}
	return list
}

func TestAServerThatTakesFewSelectClausesStillSendsAllFields(t *testing.T) {
	for _, clauses := range []int{0, 64, fewestClauses} {
		t.Run(fmt.Sprint(clauses), func(t *testing.T) {
			follows(t, eventful(), func(p *plc, link *port) { p.clauses = clauses },
				func(t *testing.T, p *plc, link *port, s *Source) {
					if err := s.Ready(); err != nil {
						t.Errorf("not ready: %v", err)
					}
					for _, name := range []string{"a", "b", "b", "c"} { // one EventId twice
						p.raise(t, name, nil)
						synctest.Wait() // another Publish waits at the server
					}
					time.Sleep(time.Second)
					synctest.Wait()
					got := link.parsed(t)
					if len(got) != 4 {
						t.Fatalf("%d events crossed, want 4", len(got))
					}
					for i, name := range []string{"a", "b", "b", "c"} {
						fields := 0
						for k, o := range got[i].Table.Operands() {
							field := string(o.Path[len(o.Path)-1].Name)
							if strings.HasPrefix(field, "F") &&
								string(got[i].Values[k]) == string(variant(t,
									name+field)) {
								fields++
							}
						}
						if fields != ownFields || string(got[i].ID) != name {
							t.Errorf("event %d is %q with %d of its own fields, want %q "+
								"with all %d", i, got[i].ID, fields, name, ownFields)
						}
					}
				})
		})
	}
}

func TestAnEventOfWhichPartsDoNotComeCrossesWithoutThem(t *testing.T) {
	follows(t, eventful(), func(p *plc, link *port) { p.clauses = 64 },
		func(t *testing.T, p *plc, link *port, s *Source) {
			p.raise(t, "a", func(item int) bool { return item == 1 })
			time.Sleep(joinWithin + time.Second)
			synctest.Wait()
			if got := link.parsed(t); len(got) != 1 || string(got[0].ID) != "a" ||
				s.stats.UnreadableEvents.Load() != 1 {
				t.Errorf("%d events crossed, %d counted; want it, and that it was not whole", len(got),
					s.stats.UnreadableEvents.Load())
			}
		})
}

func TestAServerThatRefusesEveryFilterIsReported(t *testing.T) {
	follows(t, eventful(), func(p *plc, link *port) { p.clauses = 1 },
		func(t *testing.T, p *plc, link *port, s *Source) {
			if err := s.Ready(); err == nil || !strings.Contains(err.Error(),
				"events: the server does not report those of 1 nodes") ||
				!strings.Contains(link.reason, "events:") {
				t.Errorf("/readyz: %v, reason %q; want that no events cross", err, link.reason)
			}
		})
}

func TestEventsThatWaitForTheirPartsAreBounded(t *testing.T) {
	follows(t, eventful(), func(p *plc, link *port) { p.clauses = 64 },
		func(t *testing.T, p *plc, link *port, s *Source) {
			for i := range 40 {
				p.raise(t, strings.Repeat(fmt.Sprint(i%10), 8<<10),
					func(item int) bool { return item == 1 })
				synctest.Wait()
			}
			// 40 events of 64 fields of 8 kB are more than may wait
			if got := link.parsed(t); len(got) == 0 {
				t.Error("no event crossed before its time was over")
			}
		})
}
