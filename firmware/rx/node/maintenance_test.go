package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/store"
)

func TestForgedFramesAreAuditedWithTheirCount(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		defer r.end()
		r.transmit(7)
		r.pass(1)
		for range 3 {
			frame := make([]byte, wire.HeaderSize+40)
			(&wire.Header{Kind: wire.Source, Lanes: 1, Session: r.session.ID, Sequence: 99}).Put(frame)
			r.frame(wire.AppendCRC(frame))
		}
		r.pass(1)
		r.audited("rx auth_failure")
		r.pass(2)
		var count uint64
		for _, e := range r.node.state.journal.Events() {
			if e.Event == "auth_failure" {
				count += e.Count
			}
		}
		if count != 3 {
			t.Errorf("got %d audited, want 3", count)
		}
	})
}

func TestTheAccountIsKeptEachSecond(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		defer r.end()
		r.transmit(7)
		r.everything()
		r.pass(1)
		time.Sleep(10 * time.Millisecond)
		if got := r.node.state.memory.Account().Channels["cell"].Delivered; got != 2 {
			t.Errorf("got %d delivered in the account, want 2", got)
		}
	})
}

func TestKeysAreListedOnceAMinute(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		defer r.end()
		r.transmit(7)
		r.heartbeat(0)
		r.state("cell", strings.Repeat("k", 60<<10), "1", strings.Repeat("l", 60<<10), "2")
		list := filepath.Join(r.cfg.RX.State, "keys-cell")
		r.pass(keepKeysEvery - 1)
		if _, err := os.Stat(list); err == nil {
			t.Error("listed before a minute")
		}
		r.pass(2)
		if _, err := os.Stat(list); err != nil {
			t.Errorf("after a minute: %v", err)
		}
	})
}

func TestAStateDirectoryIsLockedOnceItCanBe(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.cfg.RX.State = filepath.Join(filepath.Dir(r.cfg.RX.State), "gone", "state")
		parent := filepath.Dir(r.cfg.RX.State)
		if err := os.WriteFile(parent, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r.cfg.RX.MQTT, r.cfg.RX.Syslog = nil, nil // a spool needs its directory
		r.run()
		defer r.end()
		var locked bool
		for _, reason := range r.node.Ready().Lines() {
			locked = locked || strings.HasPrefix(reason, "state: lock not kept: ")
		}
		if !locked {
			t.Errorf("got %q, want the lock among them", r.node.Ready())
		}
		if err := os.Remove(parent); err != nil {
			t.Fatal(err)
		}
		if err := store.Folder(r.cfg.RX.State); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		for _, reason := range r.node.Ready().Lines() {
			if strings.HasPrefix(reason, "state: lock") {
				t.Errorf("when the directory is there: got %q", reason)
			}
		}
	})
}

// A spool of a channel, and one beside them.
func TestASpoolsFaultIsAReason(t *testing.T) {
	for _, channel := range []string{"log", config.TrustLines} {
		inBubble(t, func(t *testing.T) {
			r := newRig(t, func(c *config.RX) {
				c.MQTT = nil
				c.Announce.Syslog = config.SyslogSink{Channel: config.TrustLines, Forward: "udp://siem:514",
					SpoolBytes: 1 << 20}
			})
			r.run()
			defer r.end()
			dir := filepath.Join(r.cfg.RX.State, "spool", channel)
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(dir, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, q := range r.node.queues {
				if q.channel == channel {
					q.PeerDown(true)
					q.Append(make([]byte, 100))
				}
			}
			time.Sleep(30 * time.Second)
			synctest.Wait()
			var found bool
			for _, reason := range r.node.Ready() {
				found = found || strings.HasPrefix(reason.String(), "state: spool of "+channel+" not kept: ") &&
					reason.Why.Code == cause.StateUnwritable
			}
			if !found {
				t.Errorf("got %q, want the spool of %s among them", r.node.Ready(), channel)
			}
		})
	}
}

func TestALinkThatIsCutIsLoggedOnceAndWhenItIsBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.run()
		defer r.end()
		r.transmit(7)
		r.everything()
		r.pass(2)
		before := r.log.String()
		if !strings.Contains(before, `level=INFO msg=ready component=link state=up`) {
			t.Errorf("no line says that the link is ready:\n%s", before)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		cut := r.log.String()[len(before):]
		if n := strings.Count(cut, `level=WARN msg="not ready" component=link state=down error="silent`); n != 1 {
			t.Errorf("%d lines say that the link is cut, want 1:\n%s", n, cut)
		}
	})
}
