package subscription

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// TestSamplesComeInOrder: items are sampled when they are due, the earliest first, as often as
// they are scheduled, and not after they were removed.
func TestSamplesComeInOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	start := time.Unix(1_700_000_000, 0)
	var q sampleQueue
	samples := make([]*sample, 200)
	for i := range samples {
		samples[i] = &sample{it: &item{}}
		q.schedule(samples[i], start.Add(time.Duration(rnd.IntN(1000))*time.Millisecond))
	}
	for i, s := range samples {
		switch {
		case i%3 == 0:
			q.remove(s)
			q.remove(s)
		case i%3 == 1: // once more, at another time
			q.schedule(s, start.Add(time.Duration(rnd.IntN(1000))*time.Millisecond))
		}
	}
	if s := q.next(start.Add(-time.Second)); s != nil {
		t.Errorf("got a sample due at %v before its time", s.due)
	}
	var last time.Time
	n := 0
	for s := q.next(start.Add(time.Hour)); s != nil; s = q.next(start.Add(time.Hour)) {
		if s.due.Before(last) {
			t.Fatalf("got a sample due at %v after one due at %v", s.due, last)
		}
		last = s.due
		q.remove(s)
		n++
	}
	if want := 200 - 67; n != want {
		t.Errorf("got %d samples, want %d", n, want)
	}
}

// An item that is to be sampled more often does not wait until its old interval has passed.
func TestAModifiedSamplingIntervalCountsAtOnce(t *testing.T) {
	r := newRig(t, Limits{})
	r.still = map[rawvalue.NodeID]bool{tag(1): true}
	r.put(tag(1), int32(1))
	sub := r.subscribe(alice, func(q *ua.CreateSubscriptionRequest) { q.RequestedLifetimeCount = 1000 })
	every := func(interval time.Duration) func(*ua.MonitoredItemCreateRequest) {
		return func(m *ua.MonitoredItemCreateRequest) {
			m.RequestedParameters.SamplingInterval = milliseconds(interval)
		}
	}
	made := r.monitor(alice, sub, watch(tag(1), 7, every(time.Hour)))[0]
	first, second := r.publish(alice), r.publish(alice)
	r.pass(100 * ms)
	r.put(tag(1), int32(2))
	r.ask(alice, &ua.ModifyMonitoredItemsRequest{SubscriptionID: sub, TimestampsToReturn: ua.TimestampsToReturnNeither,
		ItemsToModify: []*ua.MonitoredItemModifyRequest{{MonitoredItemID: made.MonitoredItemID,
			RequestedParameters: watch(tag(1), 7, every(200*ms)).RequestedParameters}}})
	r.pass(299 * ms)
	if got := notifications(first, second); got != "#1 7=1 #2 7=2" {
		t.Errorf("got %q, want both values", got)
	}
}

// Items that are sampled cost time at each interval, so there are fewer of them.
func TestItemsThatAreSampledAreLimited(t *testing.T) {
	nodeClass := func(m *ua.MonitoredItemCreateRequest) { m.ItemToMonitor.AttributeID = ua.AttributeIDNodeClass }
	for name, c := range map[string]struct {
		lim   Limits
		other func(n int) rawvalue.NodeID
		want  int // items that are created
	}{
		"on one node":  {Limits{ItemsPerNode: 3}, func(int) rawvalue.NodeID { return tag(1) }, 3},
		"of a session": {Limits{Sampled: 7}, func(n int) rawvalue.NodeID { return tag(uint32(n % 9)) }, 5},
		"in total":     {Limits{Sampled: 1}, func(n int) rawvalue.NodeID { return tag(uint32(n % 9)) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.lim)
			var items []*ua.MonitoredItemCreateRequest
			for n := range 9 {
				r.put(tag(uint32(n)), int32(1))
			}
			for n := range 20 {
				items = append(items, watch(c.other(n), 7, nodeClass))
			}
			sub := r.subscribe(alice, nil)
			var made []uint32
			for _, result := range r.monitor(alice, sub, items...) {
				if result.StatusCode == ua.StatusOK {
					made = append(made, result.MonitoredItemID)
				} else if result.StatusCode != ua.StatusBadTooManyMonitoredItems {
					t.Errorf("got %v, want Bad_TooManyMonitoredItems", result.StatusCode)
				}
			}
			if len(made) != c.want {
				t.Fatalf("got %d items, want %d", len(made), c.want)
			}
			if got := r.monitor(alice, sub, watch(tag(1), 7, nil))[0].StatusCode; got != ua.StatusOK {
				t.Errorf("an item that is not sampled: got %v, want Good", got)
			}
			r.ask(alice, &ua.DeleteMonitoredItemsRequest{SubscriptionID: sub, MonitoredItemIDs: made})
			if got := r.monitor(alice, sub, items[0])[0].StatusCode; got != ua.StatusOK {
				t.Errorf("after all are deleted: got %v, want Good", got)
			}
		})
	}
}

// One Advance samples a part of many items that are due, so that it ends soon, and the next ones
// sample the others.
func TestOneAdvanceSamplesABoundedNumberOfItems(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		items int
		most  int // samples of one Advance
	}{
		"small values": {int32(1), 1000, 200}, "large values": {make([]byte, 256<<10), 100, 4},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Limits{})
			var list []*ua.MonitoredItemCreateRequest
			for n := range uint32(c.items) {
				r.still[tag(n)] = true
				r.put(tag(n), int32(0))
				list = append(list, watch(tag(n), n, nil))
			}
			r.monitor(alice, r.subscribe(alice, nil), list...)
			for n := range uint32(c.items) {
				r.put(tag(n), c.value)
			}
			sampled := 0
			for r.at = r.at.Add(50 * ms); sampled < c.items; r.at = r.at.Add(tick) {
				r.reads = 0
				r.e.Advance(r.at)
				if r.reads == 0 || r.reads > c.most {
					t.Fatalf("got %d samples of one Advance, want 1 to %d", r.reads, c.most)
				}
				sampled += r.reads
			}
			for _, s := range r.e.subs {
				for _, it := range s.items {
					if len(it.queue) != 2 {
						t.Fatalf("item %d has %d values, want the first one and a sample", it.handle, len(it.queue))
					}
				}
			}
		})
	}
}
