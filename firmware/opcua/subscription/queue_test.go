package subscription

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
)

func queueOf(n uint32) func(*ua.MonitoredItemCreateRequest) {
	return func(r *ua.MonitoredItemCreateRequest) {
		r.RequestedParameters.QueueSize, r.RequestedParameters.DiscardOldest,
			r.RequestedParameters.SamplingInterval = n, true, 0
	}
}

// A queue is as long as a client wants it, up to 10,000 values, and gives all of them.
func TestAQueueHoldsTenThousandValues(t *testing.T) {
	r := newRig(t, Limits{})
	c := &Client{Session: 1}
	r.put(tag(1), float64(-1))
	sub := r.subscribe(c, nil)
	got := r.monitor(c, sub, watch(tag(1), 1, queueOf(50_000)))[0]
	if got.StatusCode != ua.StatusOK || got.RevisedQueueSize != 10_000 {
		t.Fatalf("got %+v, want a queue of 10,000", got)
	}
	const changes = 10_050
	for i := range changes {
		r.set(tag(1), float64(i))
	}
	answers := r.publish(c)
	r.pass(2 * time.Second)
	text := notifications(answers)
	if n := strings.Count(text, "1="); n != 10_000 {
		t.Errorf("got %d values, want 10,000", n)
	}
	if first := fmt.Sprint(changes - 10_000); !strings.Contains(text, first) ||
		!strings.Contains(text, fmt.Sprint(changes-1)) {
		t.Errorf("got %.200s …, want %s to %d", text, first, changes-1)
	}
	if r.e.Stats().Dropped != changes+1-10_000 {
		t.Errorf("%d were dropped, want %d", r.e.Stats().Dropped, changes+1-10_000)
	}
}

// A value that finds a long queue full costs no more than one that finds a short one full.
func TestALongQueueThatIsFullIsNotCopied(t *testing.T) {
	cost := func(size uint32) float64 {
		r := newRig(t, Limits{})
		c := &Client{Session: 1}
		r.put(tag(1), float64(-1))
		r.monitor(c, r.subscribe(c, nil), watch(tag(1), 1, queueOf(size)))
		next := 0.0
		change := func() { next++; r.set(tag(1), next) }
		for range 2 * size {
			change()
		}
		const n = 20_000
		began := time.Now()
		for range n {
			change()
		}
		return float64(time.Since(began)) / n
	}
	short, long := cost(10), cost(10_000)
	for range 4 { // the best of five: the machine has other things to do
		short, long = min(short, cost(10)), min(long, cost(10_000))
	}
	if long > 5*short {
		t.Errorf("a change costs %.0f ns with a queue of 10,000, and %.0f ns with one of 10", long, short)
	}
}

// Queues are bounded by what they hold together, however long each may be.
func TestLongQueuesAreBoundedTogether(t *testing.T) {
	r := newRig(t, Limits{Held: 1 << 20})
	c := &Client{Session: 1}
	sub := r.subscribe(c, nil)
	var items []*ua.MonitoredItemCreateRequest
	for i := range uint32(50) {
		r.put(tag(i), float64(-1))
		items = append(items, watch(tag(i), i, queueOf(10_000)))
	}
	r.monitor(c, sub, items...)
	for i := range 1000 {
		for n := range uint32(50) {
			r.set(tag(n), float64(i))
		}
	}
	st := r.e.Stats()
	if st.Held > 1<<20+50*(entryCost+guaranteedSize) || st.Dropped == 0 {
		t.Errorf("got %+v, want at most 1 MiB held, and what found no room counted", st)
	}
}

// A value that finds a short queue full, as most do, costs no memory but its own.
func TestAShortQueueThatIsFullAllocatesNothing(t *testing.T) {
	for _, size := range []uint32{1, 2, 10} {
		r := newRig(t, Limits{})
		c := &Client{Session: 1}
		first, second := r.put(tag(1), float64(1)), r.put(tag(1), float64(2))
		r.monitor(c, r.subscribe(c, nil), watch(tag(1), 1, queueOf(size)))
		change := func() { r.e.Changed(tag(1), first); r.e.Changed(tag(1), second) }
		for range size {
			change()
		}
		if n := testing.AllocsPerRun(100, change); n > 0 {
			t.Errorf("a queue of %d: two changes make %v allocations, want none", size, n)
		}
	}
}
