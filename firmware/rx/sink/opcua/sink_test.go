package opcua

import (
	"log/slog"
	"math"
	"testing"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/config"
	"heliograph/firmware/opcua/addrspace"
	opcserver "heliograph/firmware/opcua/server"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/rx/sink"
)

func TestSkippedRecordsAreCounted(t *testing.T) {
	l := newLink(t)
	s := New(config.OPCUASink{Channel: "hall"}, t.TempDir(),
		Deps{Server: l.server, Channel: l}, slog.New(slog.DiscardHandler))
	for range maxQueued + 2 {
		s.Deliver(sink.Update{Event: true})
	}
	if l.refused != 2 {
		t.Errorf("refused %d, want 2", l.refused)
	}
	sets := s.Counters()
	if len(sets) != 2 || sets[0].Part != "opcua_server" || sets[1].Part != "opcua_mirror" || sets[1].Channel != "hall" {
		t.Fatalf("got %+v, want the server's counters and the mirror's", sets)
	}
	want := map[string]uint64{"skipped_records": 2, "waiting_records": maxQueued, "unusable_records": 0,
		"unreadable_history_events": 0}
	for _, v := range sets[1].Values {
		if n, ok := want[v.Name]; !ok || n != v.Value {
			t.Errorf("%s is %d, want %d", v.Name, v.Value, n)
		}
	}
	if _, ok := any(s).(counter.Source); !ok || len(sets[1].Values) != len(want) {
		t.Errorf("got %+v", sets[1])
	}
}

// The state of the channel, which is read again, does not have what was deleted.
func TestDeletionsThatFindTheQueueFullAreMadeGood(t *testing.T) {
	l := newLink(t)
	s := New(config.OPCUASink{Channel: "hall"}, t.TempDir(),
		Deps{Server: l.server, Channel: l}, slog.New(slog.DiscardHandler))
	l.mirror = s.mirror
	l.announce(7)
	l.block(7, "a", "b")
	l.value(7, 0, 1)
	l.value(7, 1, 2)
	l.nodes(1, variableNode(named("c"), 0x01))
	l.value(7, payload.BlockNodes, 3)
	for range maxQueued {
		s.Deliver(sink.Update{Event: true})
	}
	gone := [][]byte{valueKey(7, 0), payload.Key{Kind: payload.Block, Generation: 7, Number: 1}.Append(nil)}
	for _, key := range gone {
		delete(l.state, string(key))
		s.Deliver(sink.Update{Key: key, Delete: true})
	}
	s.Deliver(sink.Update{Key: valueKey(7, 1), Delete: true}) // it was set again since
	seen := s.applyQueued(0)
	l.want("a", math.NaN(), l.server.missing)
	l.want("b", 2, good)
	l.want("c", math.NaN(), l.server.missing)
	l.server.space.View(func(v addrspace.View) {
		if _, exists := v.Lookup(named("c")); exists {
			t.Error("a node that was deleted is served")
		}
	})
	if seen != 3 {
		t.Errorf("%d updates found the queue full, want 3", seen)
	}
	l.value(7, 0, 5)
	s.applyQueued(0) // a deletion is applied once
	l.want("a", 5, good)
	delete(l.state, string(valueKey(7, 0)))
	s.applyQueued(0)
	l.want("a", 5, good)
}

func TestClientsOfTheMirrorAreThoseOfItsServer(t *testing.T) {
	l := newLink(t)
	s := New(config.OPCUASink{Channel: "hall"}, t.TempDir(),
		Deps{Server: l.server, Channel: l}, slog.New(slog.DiscardHandler))
	l.server.clients = []opcserver.Client{{User: "ann", Application: "UaExpert"}}
	if got := s.Clients(); len(got) != 1 || got[0] != (sink.Client{User: "ann", Application: "UaExpert"}) {
		t.Errorf("got %+v", got)
	}
}

// What TX reads from its source's history crosses whether or not this receiver keeps one.
func TestLateRecordsExpireWithoutAHistory(t *testing.T) {
	l := newLink(t)
	s := New(config.OPCUASink{Channel: "hall"}, t.TempDir(),
		Deps{Server: l.server, Channel: l}, slog.New(slog.DiscardHandler))
	s.Deliver(sink.Update{Late: true, Key: []byte("v"), Payload: []byte{1}})
	s.Deliver(sink.Update{Late: true, Event: true})
	if l.expired != 2 || l.refused != 0 || len(s.queue) != 0 {
		t.Errorf("got %d expired, %d refused, %d queued; want 2 expired", l.expired, l.refused, len(s.queue))
	}
}

// The last value stays, for updateQuality, when there was no room for the next one.
func TestAValueWithoutItsSuccessorStays(t *testing.T) {
	l := newLink(t)
	s := New(config.OPCUASink{Channel: "hall"}, t.TempDir(),
		Deps{Server: l.server, Channel: l}, slog.New(slog.DiscardHandler))
	l.mirror = s.mirror
	l.announce(7)
	l.block(7, "a")
	l.value(7, 0, 1)
	s.Deliver(sink.Update{Key: valueKey(7, 0), Delete: true, Valueless: true})
	s.applyQueued(0)
	l.want("a", 1, good)
}
