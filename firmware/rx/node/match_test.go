package node

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/platform/status"
)

func TestMismatchesNameChannelsThatOneEndAloneHas(t *testing.T) {
	const (
		noSource = "channel logs: the transmitter has no channel of this name (it has: cell-1, log); use the same " +
			"name in both configurations"
		noSink = "channel log: arrives, but no sink here takes it; add it to this configuration, or remove it from " +
			"the transmitter's"
		another = "channel log: is syslog here and mqtt at the transmitter; use the same name for the same channel " +
			"in both configurations"
	)
	type protocols = map[string]string
	for _, c := range []struct {
		name        string
		here, there protocols
		want        []string
	}{
		{"the same", protocols{"cell-1": "mqtt", "log": "syslog"}, protocols{"cell-1": "mqtt", "log": "syslog"}, nil},
		{"misspelt", protocols{"cell-1": "mqtt", "logs": "syslog"}, protocols{"cell-1": "mqtt", "log": "syslog"},
			[]string{noSource, noSink}},
		{"no sink", protocols{"cell-1": "mqtt"}, protocols{"cell-1": "mqtt", "log": "syslog"}, []string{noSink}},
		{"another protocol", protocols{"log": "syslog"}, protocols{"log": "mqtt"}, []string{another}},
		{"an older transmitter", protocols{"log": "syslog"}, protocols{"log": ""}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := mismatches(c.here, c.there).Lines(); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestAMismatchIsLoggedOnceAndKeepsTheNodeFromBeingReady(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		defer r.end()
		r.transmit(7)
		r.everything()
		synctest.Wait()
		r.state(record.Gateway, "version", "1.2.2", "source/cell", `{"protocol":"mqtt"}`)
		synctest.Wait()
		if got := r.node.Ready(); len(got) != 0 {
			t.Errorf("before the carousel's next round: got %q", got)
		}
		r.transmit(8)
		r.heartbeat(time.Hour)
		r.state(record.Gateway, "source/cell", `{"protocol":"mqtt"}`)
		r.state("cell")
		synctest.Wait()
		if got := r.node.Ready().Lines(); len(got) != 1 || !strings.Contains(got[0], noChannel) {
			t.Errorf("got %q, want that the transmitter has no such channel, without a snapshot to wait for", got)
		}
		r.state("log")
		synctest.Wait()
		r.ready("channel log: the transmitter has no channel of this name (it has: cell); use the same name in both " +
			"configurations")
		s := r.node.Snapshot()
		if c := s.Channels["log"]; c.SourceState != "down" || !strings.HasPrefix(c.SourceReason, noChannel) {
			t.Errorf("got %+v, want the reason of now in place of the last source's", c)
		}
		if v := s.Trust; v.Level != status.No || len(v.Reasons) != 1 || v.Reasons[0].Channel != "log" {
			t.Errorf("got %+v, want one reason, of log", v)
		}
		r.pass(3)
		if got := strings.Count(r.log.String(), "configurations do not match"); got != 1 {
			t.Errorf("logged %d times, want once:\n%s", got, r.log)
		}
	})
}
