package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/paho"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/trend"
)

// TestAnOperatorSees has both programs show what an operator asks of a pair: each key of
// the contract is filled by the roles as they are shipped.
func TestAnOperatorSees(t *testing.T) {
	t.Parallel()
	plant, it := await.FreePort(t), await.FreePort(t)
	rig.Mosquitto(t, plant, rig.Unlimited)
	g := newGateway(t, linktest.Profile{},
		fmt.Sprintf("[[mqtt]]\nchannel = \"cell\"\nbroker = \"mqtt://127.0.0.1:%d\"\ntopics = [\"#\"]\n", plant),
		fmt.Sprintf("[[mqtt]]\nchannel = \"cell\"\nlisten = \"mqtt://127.0.0.1:%d\"\n", it))
	g.Start()
	g.Ready()
	subscriber5(t, it, "hmi-7", "#", func(*paho.Publish) {})
	var s status.Snapshot
	await.NoError(t, "all that an operator asks", func() error {
		body, _, err := g.RX.Get("/status.json")
		if err == nil {
			s = status.Snapshot{}
			err = json.Unmarshal([]byte(body), &s)
		}
		c := s.Channels["cell"]
		switch {
		case err != nil:
			return err
		case s.Trust == nil || s.Trust.Since.IsZero() || s.Trust.Sentence == "":
			return fmt.Errorf("trust: %+v", s.Trust)
		case s.ClockSet == nil || s.Link.LatencyP99Seconds == nil || c.Rate == nil:
			return fmt.Errorf("clock %v, link %+v, channel %+v", s.ClockSet, s.Link, c)
		case len(s.Boards) != 2 || s.Boards[0].Role != "tx" || s.Boards[0].Name == "" || s.Boards[1].UptimeSeconds == 0:
			return fmt.Errorf("boards: %+v", s.Boards)
		case len(s.Clients) != 1 || s.Clients[0].Application != "hmi-7" || s.Clients[0].Address != "127.0.0.1":
			return fmt.Errorf("clients: %+v", s.Clients)
		}
		return nil
	})
	// The build machine's clock may not be synchronized, which is a reason not to trust the times.
	others := slices.DeleteFunc(s.Trust.Reasons, func(r status.TrustReason) bool {
		return strings.Contains(r.Text, "clock")
	})
	if len(others) > 0 {
		t.Errorf("a pair without trouble: got %+v", others)
	}
	for _, r := range []*rig.Role{g.TX, g.RX} {
		for _, span := range trend.Spans() {
			body, _, err := r.Get("/history.json?span=" + span)
			var h trend.History
			if err == nil {
				err = json.Unmarshal([]byte(body), &h)
			}
			if err != nil || h.Span != span || len(h.Series) == 0 || h.Series[0].Name != "frames" {
				t.Errorf("history of %s: got %v, %+v", span, err, h)
			}
		}
	}
	g.TX.Stop()
	await.NoError(t, "that the link is silent", func() error {
		body, _, err := g.RX.Get("/status.json")
		if err == nil {
			err = json.Unmarshal([]byte(body), &s)
		}
		if err == nil && (s.Trust.Level != status.No || !strings.Contains(s.Trust.Reasons[0].Text, "silent")) {
			return fmt.Errorf("got %+v", s.Trust)
		}
		return err
	})
}
