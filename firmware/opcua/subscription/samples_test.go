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
