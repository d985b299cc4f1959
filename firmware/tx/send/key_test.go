package send

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"heliograph/firmware/conduit/wire"
)

// An older event of a key can leave after a newer urgent record deleted the key:
// the key that it waits under must stay the one that new records find.
func TestAKeyStaysWhileAnOlderRecordWaits(t *testing.T) {
	m := idleMux(1400)
	c := m.Channel("a", wire.LowLatency)
	mustPut(t, m, c, keyed("k", "old event"))
	mustPut(t, m, c, urgent(Record{Key: []byte("k"), Delete: true, Event: true}))
	r, k := m.nextRecord(c)
	c.number(t0, &r, k)
	if !r.Delete || c.keys.find([]byte("k")) != k {
		t.Fatalf("got %+v, and another key than the one that waits", r)
	}
	mustPut(t, m, c, st("k", "new value"))
	for !c.queue.empty() {
		r, k := m.nextRecord(c)
		c.number(t0, &r, k)
	}
	got := ""
	m.Range(c, func(key, payload []byte) bool { got += fmt.Sprintf("%s=%s ", key, payload); return true })
	if got != "k=new value " || len(c.keys.keys) != 1 {
		t.Errorf("got %q and %d keys, want the new value alone", got, len(c.keys.keys))
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
