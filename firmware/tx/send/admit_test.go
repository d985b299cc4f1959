package send

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
)

func TestARefusedRecordCountsAsLost(t *testing.T) {
	m := idleMux(1400)
	c := m.Channel("a", wire.LowLatency)
	mustPut(t, m, c, ev("1"))
	for _, r := range []Record{
		{Payload: make([]byte, record.MaxRecord+1), Event: true},
		{Key: make([]byte, record.MaxKey+1), Payload: []byte("x")},
	} {
		if _, err := m.Put(c, r); !errors.Is(err, ErrTooLarge) {
			t.Fatalf("got %v, want %v", err, ErrTooLarge)
		}
	}
	mustPut(t, m, c, ev("2"))
	if got := m.Counts(c); got.Sent != 4 || got.TooLarge != 2 {
		t.Errorf("got %+v, want 4 sent, 2 of them too large", got)
	}
	items, _, _ := frame(t, m)
	updates, _ := parsed(t, items)
	if len(updates) != 2 || updates[1].Seq != 4 {
		t.Errorf("got %+v, want two records, the second with number 4: the receiver counts two as lost", updates)
	}
}

func TestAKnownKeyIsNotRefused(t *testing.T) {
	m := NewMux(MuxConfig{Room: 1400, Start: idleMux(1400).start, Limits: Limits{Keys: 2}})
	c := m.Channel("a", wire.LowLatency)
	mustPut(t, m, c, st("a", "1"))
	mustPut(t, m, c, st("b", "1"))
	frame(t, m)
	for i := range 3 { // known, and known and waiting
		mustPut(t, m, c, st("a", fmt.Sprint(i)))
		mustPut(t, m, c, keyed("b", fmt.Sprint(i)))
	}
	if _, err := m.Put(c, st("c", "1")); !errors.Is(err, ErrStateFull) {
		t.Errorf("a third key: got %v, want %v", err, ErrStateFull)
	}
	mustPut(t, m, c, Record{Key: []byte("b"), Delete: true})
	mustPut(t, m, c, st("c", "1"))
	if got := m.Counts(c).StateFull; got != 1 {
		t.Errorf("got %d refused, want 1", got)
	}
}

// TestClaimsAreExact checks the running account of a channel's state against
// what the queue and the table hold, for random operations in random order.
func TestClaimsAreExact(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	m := idleMux(1400)
	c := m.Channel("a", wire.LowLatency)
	key := func() []byte { return fmt.Append(nil, random.IntN(12)) }
	for step := range 50_000 {
		r := Record{
			Key: key(), Payload: make([]byte, random.IntN(60)),
			Event: random.IntN(2) == 0, Urgent: random.IntN(10) == 0, Delete: random.IntN(6) == 0,
		}
		switch n := random.IntN(10); {
		case n < 6:
			mustPut(t, m, c, r)
		case n < 7 && c.queue.normal.n+c.queue.urgent.n > 0:
			if r, k, removed := c.queue.dropOldest(); removed {
				c.keys.release(k, r.Key)
				m.classes[c.class].waiting--
			}
		case n < 8:
			frame(t, m)
		}
		var want claims
		for i := range 12 {
			want = want.plus(c.keys.find(fmt.Append(nil, i)).claim())
		}
		if c.claims != want || m.state != want.bytes {
			t.Fatalf("step %d: got %+v and %d in all, want %+v", step, c.claims, m.state, want)
		}
	}
	for i := range 12 { // delete all: the index keeps nothing
		mustPut(t, m, c, Record{Key: fmt.Append(nil, i), Delete: true})
	}
	for m.Waiting() {
		frame(t, m)
	}
	if len(c.keys.keys) != 0 || c.table.Len() != 0 || c.claims != (claims{}) {
		t.Errorf("everything deleted: got %d keys in the index, %d in the table, %+v; want none",
			len(c.keys.keys), c.table.Len(), c.claims)
	}
}

// TestStateHasABound checks the bytes that a channel's state may take, and all
// channels' together; what does not fit counts, and what is there stays.
func TestStateHasABound(t *testing.T) {
	const size = 10_000 - stateOverhead - 2
	m := NewMux(MuxConfig{Room: 1400, Start: idleMux(1400).start, Limits: Limits{ChannelState: 50_000, State: 70_000}})
	a, b := m.Channel("a", wire.LowLatency), m.Channel("b", wire.LowLatency)
	fill := func(c *Channel, event bool) (n int) {
		for i := range 10 {
			_, err := m.Put(c, Record{Key: fmt.Appendf(nil, "%02d", i), Payload: make([]byte, size), Event: event})
			if err == nil {
				n++
			} else if !errors.Is(err, ErrStateFull) {
				t.Fatal(err)
			}
		}
		return n
	}
	if got := fill(a, false); got != 5 {
		t.Errorf("one channel: got %d keys, want 5", got)
	}
	if got := fill(b, true); got != 2 {
		t.Errorf("both channels: got %d keys of the second, want 2", got)
	}
	if got := fill(a, false); got != 5 {
		t.Errorf("new values of the same size: got %d, want all 5", got)
	}
	mustPut(t, m, a, Record{Key: []byte("00"), Delete: true})
	mustPut(t, m, b, Record{Key: []byte("99"), Payload: make([]byte, size)})
	if got := m.Counts(b).StateFull; got != 8 {
		t.Errorf("got %d refused, want 8", got)
	}
	mustPut(t, m, b, ev("an event without a key is no state"))
}

// TestEventsShareTheirSpace checks that all channels' events have one bound, and
// that the channel that has most of them drops its own.
func TestEventsShareTheirSpace(t *testing.T) {
	m := NewMux(MuxConfig{Room: 1400, Start: idleMux(1400).start, Limits: Limits{Queued: 100_000}})
	busy, idle := m.Channel("busy", wire.LowLatency), m.Channel("idle", wire.LowLatency)
	mustPut(t, m, idle, ev("kept"))
	for range 200 {
		mustPut(t, m, busy, Record{Payload: make([]byte, 1000), Event: true})
	}
	mustPut(t, m, idle, ev("kept"))
	if b, i := m.Counts(busy), m.Counts(idle); b.Dropped < 100 || i.Dropped != 0 || m.bytes() > 100_000 {
		t.Errorf("got %d and %d dropped, %d bytes; want the busy channel's alone, at most 100,000",
			b.Dropped, i.Dropped, m.bytes())
	}
}

// TestUrgentEventsHaveABoundToo checks that urgent events share the space of the others, are
// dropped after these in their channel, and that state still has room.
func TestUrgentEventsHaveABoundToo(t *testing.T) {
	limits := Limits{Queued: 100_000, State: 100_000, Beside: 5000}
	m := NewMux(MuxConfig{Room: 1400, Start: idleMux(1400).start, Limits: limits})
	c := m.Channel("a", wire.LowLatency)
	mustPut(t, m, c, Record{Payload: []byte("held"), Event: true, Left: func(error) {}})
	mustPut(t, m, c, ev("plain"))
	var dropped []Record
	for i := range 200 {
		r := Record{Payload: make([]byte, 1000), Event: true, Urgent: true}
		r.Payload[0] = byte(i)
		d, err := m.Put(c, r)
		if err != nil {
			t.Fatal(err)
		}
		dropped = append(dropped, d...)
	}
	n := uint64(len(dropped))
	if got := m.Counts(c); got.Dropped != n || n < 100 || n > 150 || m.bytes() > limits.Queued+100 {
		t.Fatalf("got %d dropped, %d of them returned, %d bytes; want what does not fit into %d bytes", got.Dropped, n,
			m.bytes(), limits.Queued)
	}
	if string(dropped[0].Payload) != "plain" || dropped[1].Payload[0] != 0 || dropped[2].Payload[0] != 1 {
		t.Error("want the plain event dropped first, then the oldest urgent ones")
	}
	mustPut(t, m, c, st("k", "state"))
	if got := nextPayload(m, c); got[0] != byte(n-1) {
		t.Errorf("first comes urgent event %d, want the oldest that was not dropped, %d", got[0], n-1)
	}
	m.Drain()
	if n, bytes := c.queue.droppable(); n != 0 || bytes != 0 || c.queue.bytes != 0 {
		t.Errorf("empty queue: got %d events of %d bytes, %d bytes in all", n, bytes, c.queue.bytes)
	}
}

// TestDeletionsOfUnknownKeysAreDropped checks that the deletion of a key that was never sent
// does not become state, which has no bound of its own; other deletions do.
func TestDeletionsOfUnknownKeysAreDropped(t *testing.T) {
	m := NewMux(MuxConfig{Room: 1400, Start: idleMux(1400).start, Limits: Limits{Queued: 10_000}})
	c := m.Channel("a", wire.LowLatency)
	mustPut(t, m, c, st("known", "1"))
	frame(t, m)
	remove := func(key string) { mustPut(t, m, c, Record{Key: []byte(key), Event: true, Delete: true}) }
	remove("known")
	for i := range 5000 {
		remove(fmt.Sprintf("topic %d", i))
	}
	if got := m.Counts(c); m.bytes() > 11_000 || got.Dropped < 4000 || len(c.keys.keys) > 5001-int(got.Dropped) {
		t.Errorf("got %d bytes, %d dropped, %d keys; want about 10,000 bytes, and the other deletions dropped",
			m.bytes(), got.Dropped, len(c.keys.keys))
	}
	items, _, _ := frame(t, m)
	if updates, _ := parsed(t, items); len(updates) == 0 || string(updates[0].Key) != "known" || !updates[0].Delete {
		t.Errorf("got %+v, want the deletion of the key that was sent first", updates)
	}
}
