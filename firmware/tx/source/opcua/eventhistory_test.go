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
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/servertest"
	"heliograph/firmware/opcua/uabinary"
)

// withEventHistory runs a test with a source of a plant whose Server has a history of its
// events.
func withEventHistory(t *testing.T, off time.Duration, notifier byte, test func(t *testing.T, h *historian)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := eventful()
		f.add(ns0(id.Server_ServerStatus_CurrentTime), ua.NodeClassVariable, "CurrentTime")
		attributes := f.nodes[ns0(id.Server)].Attributes
		for i, a := range attributes {
			if a.ID == ua.AttributeIDEventNotifier {
				attributes[i].Value = encoded(notifier)
			}
		}
		h := &historian{plc: newPLC(t, f), History: &servertest.History{}, t: t, folder: t.TempDir(), off: off,
			link: &port{}, sent: map[int32]time.Time{}}
		h.ServeHistory(h.History)
		h.plc.clock = h.now
		h.start(h.link)
		h.settle(20 * time.Second)
		test(t, h)
	})
}

// report has events happen, a second apart: they are recorded, and reported to who is
// there.
func (h *historian) report(names ...string) {
	h.t.Helper()
	for _, name := range names {
		time.Sleep(time.Second)
		h.Change(func(r *servertest.History) {
			if r.Events == nil {
				r.Events = map[rawvalue.NodeID][]servertest.Event{}
			}
			at := uabinary.Ticks(h.now())
			r.Events[ns0(id.Server)] = append(r.Events[ns0(id.Server)], servertest.Event{At: at,
				Fields: map[string][]byte{
					"EventId": variant(h.t, []byte(name)), "EventType": variant(h.t, named("kind").UA()),
					"SourceNode": variant(h.t, named("press").UA()), "Message": variant(h.t, name+"Message"),
					"Time": variant(h.t, name+"Time"), // as raise has it: not a time
				}})
		})
		h.raise(h.t, name, nil)
	}
	synctest.Wait()
}

// crossedEvents returns the EventIds that crossed live and late.
func (h *historian) crossedEvents() (live, late []string) {
	h.t.Helper()
	h.link.mu.Lock()
	defer h.link.mu.Unlock()
	tables := map[uint64]*event.Table{}
	for key, content := range h.link.state {
		if k, err := payload.ParseKey([]byte(key)); err == nil && k.Kind == payload.Table {
			table, err := event.ParseTable(content)
			if err != nil {
				h.t.Fatal(err)
			}
			tables[table.ID()] = table
		}
	}
	parse := func(content []byte) string {
		_, raw, err := payload.ParseEvent(content)
		if err != nil {
			h.t.Fatal(err)
		}
		table, err := event.TableID(raw)
		if err != nil {
			h.t.Fatal(err)
		}
		ev, err := event.Parse(raw, tables[table], rawvalue.Limits{})
		if err != nil {
			h.t.Fatal(err)
		}
		return string(ev.ID)
	}
	for _, content := range h.link.events {
		live = append(live, parse(content))
	}
	for _, u := range h.link.late {
		if !u.Event || u.Key != nil {
			h.t.Errorf("got a late record %+v, want an event without a key", u)
		}
		late = append(late, parse(u.Payload))
	}
	return live, late
}

// missed returns how many events count as missed.
func (h *historian) missed() uint64 {
	h.link.mu.Lock()
	defer h.link.mu.Unlock()
	return h.link.missed[lostEvents]
}

func numbered(prefix string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("%s%d", prefix, i))
	}
	return names
}

func TestEventsThatWereMissedAreReadFromHistory(t *testing.T) {
	for name, off := range map[string]time.Duration{"right clock": 0, "clock ahead": 3 * time.Hour,
		"clock behind": -3 * time.Hour} {
		t.Run("source down, "+name, func(t *testing.T) {
			withEventHistory(t, off, 5, func(t *testing.T, h *historian) {
				h.report(numbered("before", 30)...)
				up := h.cut()
				h.report(numbered("missed", 230)...)
				up()
				h.settle(time.Minute)
				h.report(numbered("after", 30)...)
				h.settle(time.Minute)
				live, late := h.crossedEvents()
				if want := numbered("missed", 230); !slices.Equal(late, want) {
					t.Errorf("got %d late events %v, want those missed", len(late), late)
				}
				if len(live) != 60 {
					t.Errorf("got %d live events, want 60", len(live))
				}
				if open, _ := h.Open(); open != 0 || h.source.Ready() != nil {
					t.Errorf("got %d points open, %v", open, h.source.Ready())
				}
			})
		})
		t.Run("restart, "+name, func(t *testing.T) {
			withEventHistory(t, off, 5, func(t *testing.T, h *historian) {
				h.report(numbered("long before", 120)...)
				h.report(numbered("before", 80)...)
				h.stop()
				h.report(numbered("missed", 100)...)
				h.start(&port{})
				h.settle(time.Minute)
				_, late := h.crossedEvents()
				at := slices.Index(late, "missed0")
				if at < 0 || !slices.Equal(late[at:], numbered("missed", 100)) || at > 80 {
					t.Errorf("got %d late events %v, want those missed, and few before", len(late), late)
				}
			})
		})
	}
}

func TestLostEventNotificationsAreReadFromHistory(t *testing.T) {
	withEventHistory(t, 0, 5, func(t *testing.T, h *historian) {
		h.report(numbered("before", 30)...)
		h.quirk(func() { h.dropNext = 2 })
		h.report("lost0", "lost1")
		h.report(numbered("after", 30)...)
		h.settle(time.Minute)
		if live, late := h.crossedEvents(); !slices.Equal(late, []string{"lost0", "lost1"}) {
			t.Errorf("got %v late, want what was lost; live %v", late, live)
		}
		if missed, wait := h.missed(), h.source.history.lost.Load(); missed != 0 || wait != 0 {
			t.Errorf("got %d missed, and %d that wait; the history brought them", missed, wait)
		}
	})
}

func TestEventsWithoutAHistoryAreNotReadFromOne(t *testing.T) {
	for name, test := range map[string]struct {
		notifier byte
		do       func(h *historian)
	}{
		"no history": {1, func(h *historian) {
			h.report("a")
			up := h.cut()
			h.report("b")
			up()
		}},
		"a first start": {5, func(h *historian) { h.report("a", "b") }},
		"few select clauses": {5, func(h *historian) {
			h.quirk(func() { h.clauses = 64 })
			h.report("a")
			up := h.cut()
			h.report("b")
			up()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			withEventHistory(t, 0, test.notifier, func(t *testing.T, h *historian) {
				test.do(h)
				h.settle(2 * time.Minute)
				if n := h.Count(historyKind); n > 0 {
					t.Errorf("got %d HistoryRead", n)
				}
			})
		})
	}
}

func TestARefusedHistoryOfEventsIsReported(t *testing.T) {
	withEventHistory(t, 0, 5, func(t *testing.T, h *historian) {
		h.Change(func(r *servertest.History) {
			r.Refuse = map[rawvalue.NodeID]ua.StatusCode{ns0(id.Server): ua.StatusBadHistoryOperationUnsupported}
		})
		for range 5 {
			h.report(numbered("a", 12)...)
			up := h.cut()
			h.report("b")
			up()
			h.settle(time.Minute)
		}
		h.link.mu.Lock()
		reason := h.link.reason
		h.link.mu.Unlock()
		if n := h.Count(historyKind); n != 1 || !strings.Contains(reason, "the history of events is not read") {
			t.Errorf("got %d requests and %q", n, reason)
		}
		if s := &h.source.stats; s.HistoryRefused.Load() != 1 || s.HistoryGivenUp.Load() != 5 {
			t.Errorf("got %d refused and %d given up, want 1 and 5", s.HistoryRefused.Load(), s.HistoryGivenUp.Load())
		}
		if n := h.missed(); n != 0 { // it is not known of any
			t.Errorf("got %d missed, want none", n)
		}
		h.quirk(func() { h.dropNext = 2 })
		h.report("lost0", "lost1")
		h.report(numbered("after", 12)...)
		h.settle(time.Minute)
		if n := h.missed(); n != 2 {
			t.Errorf("got %d missed, want the 2 lost", n)
		}
	})
}
