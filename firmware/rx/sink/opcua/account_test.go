package opcua

import (
	"log/slog"
	"testing"
	"time"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/rx/sink"
)

// strayEvent is an event of a generation, of a table that has not come.
func strayEvent(generation uint32) sink.Update {
	return sink.Update{Event: true, Payload: payload.AppendEvent(nil, generation, []byte{1, 9, 0, 0, 0, 0, 0, 0, 0})}
}

// What no client will ever see does not count as delivered.
func TestEventsThatAreLostAreCounted(t *testing.T) {
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
		"that waited when another generation began": {func(l *link) {
			l.deliver(strayEvent(7))
			l.deliver(strayEvent(7))
			l.block(8, "x")
			l.announce(8)
			l.judge(time.Second)
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			l := complete(t)
			c.do(l)
			if l.refused != c.want || l.mirror.bad.Load() != c.want {
				t.Errorf("refused %d, unusable %d; want %d", l.refused, l.mirror.bad.Load(), c.want)
			}
		})
	}
}

func TestSkippedRecordsAreRefusedAndShown(t *testing.T) {
	l := newLink(t)
	s := New(config.OPCUASink{Channel: "hall"}, t.TempDir(), Deps{Server: l.server, Channel: l}, slog.New(slog.DiscardHandler))
	for range maxWaiting + 2 {
		s.Deliver(sink.Update{Event: true})
	}
	if l.refused != 2 {
		t.Errorf("refused %d, want 2", l.refused)
	}
	sets := s.Counters()
	if len(sets) != 2 || sets[0].Part != "opcua_server" || sets[1].Part != "opcua_mirror" || sets[1].Channel != "hall" {
		t.Fatalf("got %+v, want the server's counters and the mirror's", sets)
	}
	want := map[string]uint64{"skipped_records": 2, "waiting_records": maxWaiting, "unusable_records": 0}
	for _, v := range sets[1].Values {
		if n, ok := want[v.Name]; !ok || n != v.Value {
			t.Errorf("%s is %d, want %d", v.Name, v.Value, n)
		}
	}
	if _, ok := any(s).(counter.Source); !ok || len(sets[1].Values) != len(want) {
		t.Errorf("got %+v", sets[1])
	}
}
