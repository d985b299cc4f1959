package status

import (
	"strings"
	"testing"
	"time"
)

// What a peer refuses, or what expires, is taken off those delivered, and a counter never falls.
func TestWhatWasDeliveredOnlyRises(t *testing.T) {
	var o Observer
	see := func(second int, delivered, refused, expired uint64) Snapshot {
		s := well()
		change("cell", func(c *Channel) { c.Delivered, c.Refused, c.Expired = &delivered, &refused, &expired })(&s)
		o.Observe(noon.Add(time.Duration(second)*time.Second), &s, nil)
		return s
	}
	see(0, 1000, 0, 0)
	see(2, 1008, 0, 0)
	s := see(4, 616, 300, 100)
	if got := s.Channels["cell"].Rate; got == nil || *got != 4 {
		t.Errorf("rate: got %v, want 4", got)
	}
	const want = `heliograph_channel_delivered_records_total{channel="cell"} 1016`
	if got := bodyOf(t, get(t, server(s), "GET", "/metrics", nil)); !strings.Contains(got, want+"\n") {
		t.Errorf("/metrics has no %s", want)
	}
}
