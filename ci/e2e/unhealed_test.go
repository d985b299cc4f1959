package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/platform/status"
)

// TestAnOutageThatDoesNotHealIsShown has TX keep nothing of what has left.
func TestAnOutageThatDoesNotHealIsShown(t *testing.T) {
	t.Parallel()
	const before, during, after = 5, 20, 5
	g, s, l := newOutage(t, "[replay]\nmemory = \"0\"\n")
	began := time.Now().Add(-time.Second)
	s.say(before)
	g.left(s)
	g.arrived(s)
	g.dark(s, during)
	g.Link.SetCut(false)
	s.say(after)
	g.Ready()
	for channel, each := range map[string]uint64{"cell-1": 2, "syslog": 1} {
		a := g.settled(channel, each*uint64(s.said))
		lost, missing := each*during, uint64(0)
		for _, h := range holesOf(t, g.RX, channel) {
			missing += h.Records
			if !h.From.After(began) || !h.To.After(h.From) || h.To.After(time.Now()) {
				t.Errorf("%s: got a hole from %v to %v, want it within the outage", channel, h.From, h.To)
			}
		}
		if a.Lost != lost || a.Unknown != 0 || a.Healed != 0 || missing != lost {
			t.Errorf("%s: got %s, %d healed, %d in holes; want %d lost, all in holes", channel, a, a.Healed, missing,
				lost)
		}
	}
	await.NoError(t, "Bad_DataLost in the mirror's history", func() error {
		got := historian(t, l.mirror, reading{Kind: "raw", Node: tag("Tag1").String(), From: began.UnixMilli(),
			To: time.Now().Add(time.Hour).UnixMilli()})[0]
		var lost []int64
		for _, v := range got.decoded(t) {
			if v.Status == "BadDataLost" {
				lost = append(lost, v.At)
			}
		}
		if len(lost) != 1 {
			return fmt.Errorf("got %q; want one Bad_DataLost", got.values(t))
		}
		return nil
	})
	l.newest(t, s.said)
}

// arrived waits until all messages and lines that left are accounted for as delivered.
func (g *gateway) arrived(s *senders) {
	g.t.Helper()
	g.settled("cell-1", uint64(2*s.said))
	g.settled("syslog", uint64(s.said))
}

// holesOf returns what RX shows of a channel's holes.
func holesOf(t *testing.T, r *rig.Role, channel string) []status.Hole {
	t.Helper()
	body, _, err := r.Get("/status.json")
	var s status.Snapshot
	if err == nil {
		err = json.Unmarshal([]byte(body), &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.Channels[channel].Holes
}
