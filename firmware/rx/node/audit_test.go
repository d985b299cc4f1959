package node

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/counter"
)

func forwarding(c *config.RX) {
	c.Audit = config.SyslogSink{Forward: "tcp://siem:601", SpoolBytes: 1 << 20}
}

func TestTheTransmittersTrailIsTakenOver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		defer r.end()
		r.transmit(7)
		r.everything()
		r.pass(1)
		r.audited("tx login_refused")
		if _, shown := r.node.Snapshot().Transmitter["audit/1"]; shown {
			t.Error("the event is among what the transmitter reports, beside the trail")
		}
	})
}

func TestTheTrailOfBothBoardsIsForwarded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, forwarding)
		r.run()
		defer r.end()
		r.transmit(7)
		r.everything()
		r.pass(40) // events are on the disk before they are forwarded
		lines := strings.Join(r.sinks[record.Gateway].delivered(), "\n")
		for _, want := range []string{"role_started", "login_refused", "user ann: wrong password"} {
			if !strings.Contains(lines, want) {
				t.Errorf("%q is not forwarded: %s", want, lines)
			}
		}
	})
}

func TestEntriesThatWereNotForwardedAreCounted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, forwarding)
		n := r.run()
		defer r.end()
		r.sinks[record.Gateway].account.Refused(2)
		r.sinks[record.Gateway].account.Expired(1)
		if got := unforwarded(n); got != 3 {
			t.Errorf("got %d, want 3", got)
		}
	})
}

func TestATrailThatIsNotForwardedHasNoCounters(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		n := r.run()
		defer r.end()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := unforwarded(n); got != -1 {
			t.Errorf("got %d, want no counter", got)
		}
	})
}

// unforwarded returns the counter of entries that were not forwarded, −1 without one.
func unforwarded(n *Node) int64 {
	for _, set := range counter.Gather(n.Tasks()) {
		for _, v := range set.Values {
			if v.Name == "unforwarded_events" {
				return int64(v.Value)
			}
		}
	}
	return -1
}
