package send

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
)

func ev(v string) Record       { return Record{Payload: []byte(v), Event: true} }
func st(k, v string) Record    { return Record{Key: []byte(k), Payload: []byte(v)} }
func keyed(k, v string) Record { return Record{Key: []byte(k), Payload: []byte(v), Event: true} }
func gone(k, v string) Record {
	return Record{Key: []byte(k), Payload: []byte(v), Event: true, Delete: true}
}
func urgent(r Record) Record { r.Urgent = true; return r }

// indexedQueue is a queue with the index of its keys.
type indexedQueue struct {
	queue
	keys keyIndex
}

func (q *indexedQueue) put(r Record) (conflated bool) {
	if r.Key == nil {
		return q.add(&r, nil)
	}
	k := q.keys.find(r.Key)
	if k == nil {
		k = q.keys.add(r.Key)
	}
	return q.add(&r, k)
}

func (q *indexedQueue) next() Record {
	r, k := q.pop()
	q.keys.release(k, r.Key)
	return r
}

func (q *indexedQueue) drain() (out []string) {
	for !q.empty() {
		r := q.next()
		out = append(out, string(r.Payload))
	}
	return out
}

func TestQueueOrder(t *testing.T) {
	cases := []struct {
		name      string
		put       []Record
		conflated int
		want      []string
	}{
		{"events in order", []Record{ev("1"), ev("2"), ev("3")}, 0, []string{"1", "2", "3"}},
		{"a newer state takes the place of the older", []Record{st("k", "1"), ev("2"), st("k", "3")}, 1,
			[]string{"3", "2"}},
		{"keys do not touch each other", []Record{st("a", "1"), st("b", "2")}, 0, []string{"1", "2"}},
		{"a state does not overtake its key's event", []Record{st("k", "1"), keyed("k", "2"), st("k", "3")},
			0, []string{"1", "2", "3"}},
		{"urgent records first", []Record{ev("1"), urgent(ev("2")), ev("3")}, 0, []string{"2", "1", "3"}},
		{"an urgent record replaces the state that waits", []Record{st("k", "1"), ev("2"), urgent(st("k", "3"))},
			1, []string{"3", "2"}},
		{"a state becomes part of the urgent record that waits",
			[]Record{urgent(st("k", "1")), st("k", "2")}, 1, []string{"2"}},
		{"an urgent event is behind its key's older event, before others",
			[]Record{ev("1"), keyed("k", "2"), ev("3"), urgent(keyed("k", "4"))}, 0, []string{"2", "4", "1", "3"}},
		{"an urgent state is behind its key's older event, and replaces the state behind that",
			[]Record{ev("1"), keyed("k", "2"), st("k", "3"), urgent(st("k", "4"))}, 1, []string{"2", "4", "1"}},
		{"an urgent deletion is behind its key's older records",
			[]Record{ev("1"), st("k", "2"), keyed("k", "3"), urgent(gone("k", "4"))}, 0, []string{"2", "3", "4", "1"}},
		{"an urgent event is behind a deletion of its key",
			[]Record{ev("1"), gone("k", "2"), urgent(keyed("k", "3"))}, 0, []string{"2", "3", "1"}},
		{"an event between two urgent ones of its key stays between them",
			[]Record{ev("1"), urgent(keyed("k", "2")), urgent(ev("3")), keyed("k", "4"), urgent(keyed("k", "5"))}, 0,
			[]string{"2", "3", "4", "5", "1"}},
		{"an event behind an urgent one of its key waits its turn",
			[]Record{ev("1"), urgent(keyed("k", "2")), keyed("k", "3")}, 0, []string{"2", "1", "3"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var q indexedQueue
			conflated := 0
			for _, r := range c.put {
				if q.put(r) {
					conflated++
				}
			}
			if got := q.drain(); fmt.Sprint(got) != fmt.Sprint(c.want) || conflated != c.conflated {
				t.Errorf("got %q, %d conflated; want %q, %d", got, conflated, c.want, c.conflated)
			}
			if n, _ := q.droppable(); q.bytes != 0 || len(q.keys.keys) != 0 || n != 0 {
				t.Errorf("empty queue: %d bytes, %d keys, %d events", q.bytes, len(q.keys.keys), n)
			}
		})
	}
}

func TestAFullQueueDropsTheOldestEvent(t *testing.T) {
	m := idleMux(1400)
	c := m.Channel("a", wire.LowLatency)
	mustPut(t, m, c, st("k", "state"))
	big := make([]byte, MaxQueuedBytes/4-1<<10)
	var dropped []Record
	for i := range 7 {
		r := ev(fmt.Sprint(i))
		r.Payload = append(r.Payload, big...)
		d, err := m.Put(c, r)
		if err != nil {
			t.Fatal(err)
		}
		dropped = append(dropped, d...)
	}
	if len(dropped) != 3 || dropped[0].Payload[0] != '0' || dropped[2].Payload[0] != '2' {
		t.Errorf("dropped %d, want the oldest 3", len(dropped))
	}
	if c.queue.bytes > MaxQueuedBytes {
		t.Errorf("got %d bytes, want at most %d", c.queue.bytes, MaxQueuedBytes)
	}
	if got := nextPayload(m, c); got != "state" {
		t.Errorf("got %.10q, want the state, which is never dropped", got)
	}
}

func TestTheLeftOfAConflatedRecordIsCalled(t *testing.T) {
	for name, second := range map[string]Record{
		"in its place": st("k", "2"), "by an urgent record": urgent(st("k", "2")),
	} {
		t.Run(name, func(t *testing.T) {
			var q indexedQueue
			var got []string
			note := func(r Record, name string) Record {
				r.Left = func(err error) { got = append(got, fmt.Sprint(name, err)) }
				return r
			}
			q.put(note(st("k", "1"), "first "))
			q.put(note(second, "second "))
			q.next().Left(nil)
			if fmt.Sprint(got) != "[first <nil> second <nil>]" {
				t.Errorf("got %q, want both to have left", got)
			}
		})
	}
}

func TestAMarkKeepsItsPlace(t *testing.T) {
	var q indexedQueue
	q.put(ev("1"))
	q.addMark()
	q.put(ev("2"))
	if q.removeMark() {
		t.Fatal("the mark came before what waited")
	}
	q.next()
	if !q.removeMark() || q.removeMark() {
		t.Error("the mark must come once, behind what waited")
	}
	if got := q.drain(); fmt.Sprint(got) != "[2]" {
		t.Errorf("got %q, want [2]", got)
	}
}

func TestQueueDoesNotAllocateInSteadyState(t *testing.T) {
	var q indexedQueue
	r := ev("x")
	for range 100 {
		q.put(r)
	}
	if n := testing.AllocsPerRun(1000, func() { q.put(r); q.next() }); n != 0 {
		t.Errorf("got %v allocations per event, want 0", n)
	}
}

func nextPayload(m *Mux, c *Channel) string {
	r, _ := m.nextRecord(c)
	return string(r.Payload)
}

// TestLateRecordsCrossLikeEvents: none replaces another, nor the newest value of its
// key, and the carousel does not have them.
func TestLateRecordsCrossLikeEvents(t *testing.T) {
	m := NewMux(MuxConfig{Room: 1000, CarouselShare: 0.1, Start: time.Unix(0, 0)})
	c := m.Channel("c", wire.LowLatency)
	for _, r := range []Record{
		{Key: []byte("k"), Payload: []byte("new")},
		{Key: []byte("k"), Payload: []byte("old 1"), Time: 1, Late: true},
		{Key: []byte("k"), Payload: []byte("old 2"), Time: 2, Late: true},
	} {
		if _, err := m.Put(c, r); err != nil {
			t.Fatal(err)
		}
	}
	frame, _ := m.Fill(time.Unix(0, 0), nil, nil, ReplayTurn{Idle: true})
	var got []string
	for rest := frame.Payload; ; {
		it, more, err := record.NextItem(rest)
		if err != nil {
			break
		}
		var u record.Update
		if rest = more; it.Kind == record.KindUpdate && u.Parse(it.Body) == nil {
			got = append(got, fmt.Sprintf("%d %s late %v", u.Seq, u.Payload, u.Late))
		}
	}
	want := []string{"1 new late false", "2 old 1 late true", "3 old 2 late true"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	m.Range(c, func(_, payload []byte) bool {
		if string(payload) != "new" {
			t.Errorf("the carousel has %q, want the newest value", payload)
		}
		return true
	})
	if n := m.Counts(c); n.Sent != 3 || n.Conflated != 0 || n.Keys != 1 {
		t.Errorf("got %+v, want 3 sent of 1 key", n)
	}
}
