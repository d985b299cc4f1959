package subscription

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// naive is an item as the standard describes it: a list with a bound.
type naive struct {
	handle  uint32
	size    int
	oldest  bool
	last    int32
	queue   []string
	reports bool
}

func (n *naive) sample(x int32, first bool) {
	if x == n.last && !first {
		return
	}
	n.last = x
	s := fmt.Sprintf("%d=%d", n.handle, x)
	const overflow = "/00000480"
	switch {
	case len(n.queue) < n.size:
		n.queue = append(n.queue, s)
	case n.size == 1:
		n.queue[0] = s
	case n.oldest:
		n.queue = append(n.queue[1:], s)
		n.queue[0] = strings.TrimSuffix(n.queue[0], overflow) + overflow
	default:
		n.queue[n.size-1] = s + overflow
	}
}

// TestQueuesAgreeWithAModel drives random changes and modes; per item the order counts.
func TestQueuesAgreeWithAModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	for round := range 80 {
		r := newRig(t, Limits{})
		sub := r.subscribe(alice,
			func(q *ua.CreateSubscriptionRequest) { q.MaxNotificationsPerPublish = uint32(rnd.IntN(5)) })
		var items []*naive
		var ids []uint32
		nodes := 1 + rnd.IntN(4)
		for n := range nodes {
			r.put(tag(uint32(n)), int32(0))
		}
		for n := range 1 + rnd.IntN(6) {
			m := &naive{handle: uint32(n), size: 1 + rnd.IntN(4), oldest: rnd.IntN(2) == 0, reports: true}
			m.sample(0, true)
			ids = append(ids,
				r.monitor(alice, sub, watch(tag(uint32(n%nodes)), m.handle, func(c *ua.MonitoredItemCreateRequest) {
					c.RequestedParameters.QueueSize, c.RequestedParameters.DiscardOldest = uint32(m.size), m.oldest
				}))[0].MonitoredItemID)
			items = append(items, m)
		}
		got, want := map[string][]string{}, map[string][]string{}
		var answers []*[]any
		for range 60 {
			switch rnd.IntN(10) {
			case 0, 1:
				for range 20 {
					answers = append(answers, r.publish(alice))
				}
				r.pass(100 * time.Millisecond)
				for _, m := range items {
					if m.reports {
						h := fmt.Sprint(m.handle)
						want[h], m.queue = append(want[h], m.queue...), nil
					}
				}
			case 2:
				i := rnd.IntN(len(items))
				items[i].reports = !items[i].reports
				mode := ua.MonitoringModeSampling
				if items[i].reports {
					mode = ua.MonitoringModeReporting
				}
				r.ask(alice,
					&ua.SetMonitoringModeRequest{SubscriptionID: sub, MonitoringMode: mode,
						MonitoredItemIDs: ids[i : i+1]})
			default:
				n, x := rnd.IntN(nodes), int32(rnd.IntN(4))
				r.set(tag(uint32(n)), x)
				for i, m := range items {
					if i%nodes == n {
						m.sample(x, false)
					}
				}
			}
		}
		for _, w := range strings.Fields(notifications(answers...)) {
			if h, _, ok := strings.Cut(w, "="); ok {
				got[h] = append(got[h], w)
			}
		}
		for h := range want {
			if fmt.Sprint(got[h]) != fmt.Sprint(want[h]) {
				t.Fatalf("seed %d, round %d, item %s:\ngot  %v\nwant %v", seed, round, h, got[h], want[h])
			}
		}
	}
}

func TestFilteredChangesDoNotAllocate(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	r.put(tag(2), []int32{1, 2})
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, watch(tag(1), 7, nil),
		watch(tag(2), 8, func(m *ua.MonitoredItemCreateRequest) { m.ItemToMonitor.IndexRange = "1" }))
	for _, c := range []struct {
		name string
		node rawvalue.NodeID
		dv   []byte
	}{
		{"not monitored", tag(99), dataValue(t, int32(1), 0)},
		{"the filter refuses", tag(1), dataValue(t, int32(1), 0)},
		{"the filter refuses a part", tag(2), dataValue(t, []int32{5, 2}, 0)},
	} {
		if got := testing.AllocsPerRun(100, func() { r.e.Changed(c.node, c.dv) }); got != 0 {
			t.Errorf("%s: got %v allocations, want none", c.name, got)
		}
	}
}

func BenchmarkChanged(b *testing.B) {
	r := newRig(b, Limits{})
	var values [2][][]byte
	for n := range uint32(20_000) {
		values[0] = append(values[0], r.put(tag(n), int32(0)))
		values[1] = append(values[1], dataValue(b, int32(n+1), 0))
	}
	for c := range uint32(200) {
		who := &Client{Session: c + 1}
		sub := r.subscribe(who, func(q *ua.CreateSubscriptionRequest) { q.RequestedLifetimeCount = 1000 })
		var items []*ua.MonitoredItemCreateRequest
		for n := range uint32(500) {
			items = append(items, watch(tag((c*500+n)%20_000), n, nil))
		}
		r.e.Serve(who, &ua.CreateMonitoredItemsRequest{RequestHeader: head(), SubscriptionID: sub,
			ItemsToCreate: items}, func([]byte) {})
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		r.e.Changed(tag(uint32(i%20_000)), values[1-i/20_000%2][i%20_000])
		i++
	}
	b.ReportMetric(5*float64(b.N)/b.Elapsed().Seconds(), "items/s")
}

// BenchmarkAdvance is one tick in which all 200 subscriptions publish all 500 items.
func BenchmarkAdvance(b *testing.B) {
	r := newRig(b, Limits{})
	for n := range uint32(500) {
		r.put(tag(n), int32(0))
	}
	for c := range uint32(200) {
		who := &Client{Session: c + 1}
		sub := r.subscribe(who, func(q *ua.CreateSubscriptionRequest) { q.RequestedLifetimeCount = 1000 })
		var items []*ua.MonitoredItemCreateRequest
		for n := range uint32(500) {
			items = append(items, watch(tag(n), n, nil))
		}
		r.e.Serve(who, &ua.CreateMonitoredItemsRequest{RequestHeader: head(), SubscriptionID: sub,
			ItemsToCreate: items}, func([]byte) {})
	}
	i := int32(0)
	for b.Loop() {
		b.StopTimer()
		i++
		for n := range uint32(500) {
			r.set(tag(n), i)
		}
		for c := range uint32(200) {
			r.e.Serve(&Client{Session: c + 1}, &ua.PublishRequest{RequestHeader: head()}, func([]byte) {})
		}
		r.at = r.at.Add(100 * time.Millisecond)
		b.StartTimer()
		r.e.Advance(r.at)
	}
}

// BenchmarkIdleTick is a tick with 100 000 sampled attributes of which none is due.
func BenchmarkIdleTick(b *testing.B) {
	r := newRig(b, Limits{})
	sub := uint32(0)
	for n := range uint32(100_000) {
		r.put(tag(n), int32(0))
		if n%10_000 == 0 {
			sub = r.subscribe(alice,
				func(q *ua.CreateSubscriptionRequest) { q.RequestedPublishingInterval = 3_600_000 })
		}
		r.monitor(alice, sub, watch(tag(n), n, func(m *ua.MonitoredItemCreateRequest) {
			m.ItemToMonitor.AttributeID, m.RequestedParameters.SamplingInterval = ua.AttributeIDNodeClass, 3_600_000
		}))
	}
	for b.Loop() {
		r.e.Advance(r.at)
	}
}
