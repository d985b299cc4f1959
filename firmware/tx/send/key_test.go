package send

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/conduit/wire"
)

// TestRecordsOfAKeyKeepTheirOrder passes random records through the queue, which may be
// so full that it drops some. The payload is the record's number.
func TestRecordsOfAKeyKeepTheirOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	m := NewMux(MuxConfig{Room: 1400, Start: t0.Add(time.Hour), Limits: Limits{Queued: 2000}})
	c := m.Channel("a", wire.LowLatency)
	last, put := map[string]int{}, map[string]Record{}
	leave := func(step int) {
		if c.queue.empty() {
			return
		}
		r, k := m.nextRecord(c)
		c.number(t0, &r, k)
		n, err := strconv.Atoi(string(r.Payload))
		if err != nil || n < last[string(r.Key)] {
			t.Fatalf("step %d: record %q of key %s leaves behind %d", step, r.Payload, r.Key, last[string(r.Key)])
		}
		last[string(r.Key)] = n
	}
	for step := range 50_000 {
		r := Record{
			Key: fmt.Append(nil, random.IntN(10)), Payload: fmt.Append(nil, step),
			Event: random.IntN(3) > 0, Urgent: random.IntN(5) == 0, Delete: random.IntN(6) == 0,
		}
		if r.Event && random.IntN(4) == 0 {
			r.Left = func(error) {}
		}
		mustPut(t, m, c, r)
		put[string(r.Key)] = r
		for range random.IntN(3) {
			leave(step)
		}
	}
	for !c.queue.empty() {
		leave(50_000)
	}
	if n, bytes := c.queue.droppable(); n+bytes+c.queue.bytes != 0 || len(c.keys.keys) != c.table.Len() {
		t.Errorf("empty queue: got %d events of %d bytes, %d bytes in all, %d keys of which %d have a value",
			n, bytes, c.queue.bytes, len(c.keys.keys), c.table.Len())
	}
	m.Range(c, func(key, payload []byte) bool {
		if r := put[string(key)]; r.Delete || string(payload) != string(r.Payload) {
			t.Errorf("key %s is %s, want its newest record, %s (a deletion: %v)", key, payload, r.Payload, r.Delete)
		}
		delete(put, string(key))
		return true
	})
	for key, r := range put {
		if !r.Delete {
			t.Errorf("key %s is deleted, want its newest record, %s", key, r.Payload)
		}
	}
}

func TestAnUrgentEventIsBehindTheRecordInPiecesOfItsKey(t *testing.T) {
	m := idleMux(150)
	c := m.Channel("a", wire.LowLatency)
	mustPut(t, m, c, keyed("k", strings.Repeat("old", 100)))
	if items, _, _ := frame(t, m); len(items) != 1 || word(t, items[0]) != "piece" {
		t.Fatalf("got %v, want a piece of the first", items)
	}
	mustPut(t, m, c, urgent(keyed("k", "new")))
	if got, want := sent(t, m), "piece, piece, piece, 2 k=new"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestTheIndexAgreesWithQueueAndTable compares the index with what waits and with
// what was sent, in any order of records.
func TestTheIndexAgreesWithQueueAndTable(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	m := idleMux(300)
	c := m.Channel("a", wire.LowLatency)
	for step := range 20_000 {
		mustPut(t, m, c, Record{
			Key: fmt.Append(nil, random.IntN(20)), Payload: make([]byte, random.IntN(40)),
			Event: random.IntN(2) == 0, Urgent: random.IntN(10) == 0, Delete: random.IntN(4) == 0,
		})
		if random.IntN(3) == 0 {
			frame(t, m)
		}
		waiting := map[*key]int{}
		for _, l := range []*list{&c.queue.urgent, &c.queue.normal} {
			for it := l.head; it != nil; it = it.next {
				waiting[it.key]++
			}
		}
		sent := 0
		for name, k := range c.keys.keys {
			if k.waiting != waiting[k] || k.sent == nil && k.waiting == 0 {
				t.Fatalf("step %d: key %s: %d wait by the index, %d in the queue; sent %v",
					step, name, k.waiting, waiting[k], k.sent)
			}
			delete(waiting, k)
			if k.sent != nil {
				sent++
			}
		}
		if len(waiting) > 0 || sent != c.table.Len() {
			t.Fatalf("step %d: %d keys wait that the index does not have; %d sent, %d in the table",
				step, len(waiting), sent, c.table.Len())
		}
	}
}
