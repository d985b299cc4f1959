package e2e

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
	simulated "heliograph/tools/plant"
)

// delays collects how old values are when the mirror publishes them to a client.
type delays struct {
	watcher
	mu     sync.Mutex
	seen   []time.Duration
	newest map[uint32]time.Time // SourceTimestamps by the items' handles
}

func (d *delays) Data(handle uint32, dv rawvalue.DataValue) {
	if at := uabinary.Time(dv.SourceTime); at.Unix() > 1 {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.seen = append(d.seen, time.Since(at))
		d.newest[handle] = at
	}
}

// behind returns how many of the items have no value that is newer than at.
func (d *delays) behind(items int, at time.Time) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, newest := range d.newest {
		if newest.After(at) {
			items--
		}
	}
	return items
}

// drain returns the delays seen since the last call, shortest first.
func (d *delays) drain() []time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := d.seen
	d.seen = nil
	slices.Sort(seen)
	return seen
}

// TestValuesFollow has 2,000 values change each second: the newest of each tag arrives,
// and how many of the others were conflated is logged, for a busy machine conflates more.
// How soon they follow is logged, and judged by how soon a few values follow on the same
// machine: publishing takes 100 ms on either side.
func TestValuesFollow(t *testing.T) {
	const tags, perSecond, seconds = 500, 2000, 5
	for _, medium := range []string{"udp", "uart"} {
		t.Run(medium, func(t *testing.T) {
			p, err := simulated.NewServer(tags)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close() })
			mirror := await.FreePort(t)
			tx, rx := mirrorTables(&plant{url: p.Endpoint}, mirror, false)
			g := (*gateway)(nil)
			if medium == "udp" {
				g = newGateway(t, rough, tx, rx)
			} else {
				g = newSerial(t, noise, tx, rx)
			}
			g.Start()
			g.Ready()
			c := &it{t: t, url: fmt.Sprintf("opc.tcp://127.0.0.1:%d", mirror)}
			c.connect()
			d := &delays{newest: map[uint32]time.Time{}}
			sub, err := c.s.Subscribe(t.Context(),
				client.SubscriptionConfig{Interval: 50 * time.Millisecond, KeepAlive: 20, Lifetime: 1000}, d)
			if err != nil {
				t.Fatal(err)
			}
			items := make([]client.Item, tags)
			for i := range items {
				items[i] = client.Item{Node: simulated.Tag(i), Attribute: ua.AttributeIDValue, Handle: uint32(i),
					Queue: 50, Filter: client.DataChange(ua.DataChangeTriggerStatusValueTimestamp)}
			}
			if err := sub.Monitor(t.Context(), items, func(int, ua.StatusCode, client.Revised) {}); err != nil {
				t.Fatal(err)
			}
			var alone time.Duration // the longest delay of few values
			for range 5 {
				d.drain()
				p.Change(perSecond/100, time.Now())
				await.True(t, "a few values", func() bool {
					d.mu.Lock()
					defer d.mu.Unlock()
					return len(d.seen) > 0
				})
				seen := d.drain()
				alone = max(alone, seen[len(seen)-1])
			}
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			var last time.Time // all tags change after it
			for i := range seconds * 100 {
				at := <-tick.C
				if i == seconds*100-tags*100/perSecond-1 {
					last = at
				}
				p.Change(perSecond/100, at)
			}
			await.NoError(t, "the newest value of each tag", func() error {
				if n := d.behind(tags, last); n > 0 {
					return fmt.Errorf("%d of %d tags have an older one", n, tags)
				}
				return nil
			})
			seen := d.drain()
			n := len(seen)
			p50, p99 := seen[n/2], seen[n*99/100]
			t.Logf("%d of %d values; they follow in p50 %s, p99 %s; few in %s", n, perSecond*seconds,
				p50.Round(time.Millisecond), p99.Round(time.Millisecond), alone.Round(time.Millisecond))
			if limit := 10*time.Second + 10*alone; p99 > limit {
				t.Errorf("values follow in p99 %s, want %s", p99, limit)
			}
		})
	}
}
