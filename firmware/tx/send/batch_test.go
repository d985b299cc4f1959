package send

import (
	"fmt"
	"strings"
	"testing"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
)

// sent fills frames until nothing waits and describes them.
func sent(t *testing.T, m *Mux) string {
	t.Helper()
	var words []string
	for {
		items, _, ok := frame(t, m)
		if !ok {
			return strings.Join(words, ", ")
		}
		for _, it := range items {
			words = append(words, word(t, it))
		}
	}
}

func word(t *testing.T, it record.Item) string {
	var u record.Update
	var b record.Batch
	switch {
	case !it.First || !it.Last:
		return "piece"
	case it.Kind == record.KindTotals:
		return "totals"
	case it.Kind == record.KindUpdate && u.Parse(it.Body) == nil:
		return fmt.Sprintf("%d %s=%s", u.Seq, u.Key, u.Payload)
	case it.Kind == record.KindBatch && b.Parse(it.Body) == nil:
		out := fmt.Sprintf("%d:", b.Seq)
		if err := b.Changes(func(e *record.Entry) { out += fmt.Sprintf(" %d=%s", e.Created, e.Payload) }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	t.Fatalf("got %+v", it)
	return ""
}

func TestNewValuesOfKnownKeysGoInBatches(t *testing.T) {
	set := func(key, value string) Record { return Record{Key: []byte(key), Payload: []byte(value)} }
	event := func(r Record) Record { r.Event = true; return r }
	gone := func(r Record) Record { r.Delete = true; return r }
	alarm := func(r Record) Record { r.Urgent = true; return r }
	large := strings.Repeat("x", 300)
	for _, c := range []struct {
		name string
		puts []Record
		want string
	}{
		{"a run of them", []Record{set("a", "2"), set("c", "2"), set("b", "2")}, "4: 1=2 3=2 2=2"},
		{"one alone", []Record{set("a", "2")}, "4: 1=2"},
		{"conflated, where it stands", []Record{set("a", "2"), set("b", "2"), set("a", "3")}, "4: 1=3 2=2"},
		{"not across a new key", []Record{set("a", "2"), set("d", "1"), set("b", "2"), set("d", "2")},
			"4: 1=2, 5 d=2, 6: 2=2"},
		{"not across an event", []Record{set("a", "2"), event(set("a", "3")), set("a", "4")}, "4: 1=2, 5 a=3, 6: 1=4"},
		{"not across an event without a key",
			[]Record{set("a", "2"), event(Record{Payload: []byte("e")}), set("b", "2")}, "4: 1=2, 5 =e, 6: 2=2"},
		{"not across a deletion", []Record{set("b", "2"), gone(set("a", "")), set("c", "2")}, "4: 2=2, 5 a=, 6: 3=2"},
		{"behind an alarm", []Record{set("a", "2"), alarm(set("b", "2")), set("c", "2")}, "4 b=2, 5: 1=2 3=2"},
		{"as many as a frame has room for", []Record{set("a", large[:115]), set("b", large[:115]), set("c", "2")},
			"4: 1=" + large[:115] + ", 5: 2=" + large[:115] + " 3=2"},
		{"except one larger than a frame", []Record{set("a", "2"), set("b", large), set("c", "2")},
			"4: 1=2, piece, piece, piece, piece, 6: 3=2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := idleMux(150)
			ch := m.Channel("a", wire.LowLatency)
			for _, key := range []string{"a", "b", "c"} {
				mustPut(t, m, ch, set(key, "1"))
			}
			if got, want := sent(t, m), "1 a=1, 2 b=1, 3 c=1"; got != want {
				t.Fatalf("new keys: got %s, want %s", got, want)
			}
			for _, r := range c.puts {
				mustPut(t, m, ch, r)
			}
			if got := sent(t, m); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if m.Waiting() || ch.queue.bytes != 0 {
				t.Errorf("%d bytes still wait", ch.queue.bytes)
			}
		})
	}
}

func TestAKeyCreatedAgainIsANewOne(t *testing.T) {
	m := idleMux(150)
	ch := m.Channel("a", wire.LowLatency)
	for _, r := range []Record{{Delete: true}, {Payload: []byte("2")}, {Payload: []byte("3")}} {
		r.Key = []byte("a")
		mustPut(t, m, ch, Record{Key: []byte("a"), Payload: []byte("1")})
		sent(t, m)
		mustPut(t, m, ch, r)
		sent(t, m)
	}
	mustPut(t, m, ch, Record{Key: []byte("a"), Payload: []byte("4")})
	if got, want := sent(t, m), "7: 3=4"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestABatchStopsWhereTheSnapshotIsComplete(t *testing.T) {
	m := idleMux(150)
	ch := m.Channel("a", wire.LowLatency)
	for _, key := range []string{"a", "b"} {
		mustPut(t, m, ch, Record{Key: []byte(key)})
	}
	sent(t, m)
	mustPut(t, m, ch, Record{Key: []byte("a"), Payload: []byte("2")})
	m.SetComplete(ch, true)
	mustPut(t, m, ch, Record{Key: []byte("b"), Payload: []byte("2")})
	if got, want := sent(t, m), "3: 1=2, 4: 2=2, totals"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEveryChangeOfABatchHasItsLeft(t *testing.T) {
	m := idleMux(1400)
	ch := m.Channel("a", wire.LowLatency)
	for range 2 {
		for key := range 10 {
			mustPut(t, m, ch, Record{Key: fmt.Append(nil, key), Left: func(error) {}})
		}
		if f, _ := m.Fill(t0, nil, nil, ReplayTurn{Idle: true}); len(f.Lefts) != 10 {
			t.Errorf("got %d, want 10", len(f.Lefts))
		}
	}
}

func TestAChangeDoesNotAllocate(t *testing.T) {
	m := idleMux(1400)
	ch := m.Channel("a", wire.LowLatency)
	burst := make([]Record, 100)
	for i := range burst {
		burst[i] = Record{Key: fmt.Append(nil, i), Payload: []byte("value"), Time: int64(i)}
	}
	var buf []byte
	if got := testing.AllocsPerRun(100, func() {
		for _, r := range burst {
			_, _ = m.Put(ch, r) // whose error would show as nothing sent
		}
		for ok := true; ok; {
			var f Filled
			f, ok = m.Fill(t0, buf[:0], nil, ReplayTurn{Idle: true})
			buf = f.Payload
		}
	}); got != 0 {
		t.Errorf("got %v allocations for %d changes, want none", got, len(burst))
	}
}
