package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
)

// rough is the link of the acceptance: 5 % random loss and 1 % corruption.
var rough = linktest.Profile{Loss: 0.05, Corrupt: 0.01}

// TestTwentyThousandOfEach is the acceptance of the link: everything arrives
// complete, in order and unchanged through loss and corruption.
func TestTwentyThousandOfEach(t *testing.T) {
	t.Parallel()
	const n = 20_000
	plant, it, in, siem := await.FreePort(t), await.FreePort(t), await.FreePort(t), newCollector(t)
	rig.Mosquitto(t, plant, rig.Unlimited)
	rig.Mosquitto(t, it, rig.Unlimited)
	tx, rx := mqttTables(plant, it, "5")
	txLines, rxLines := syslogTables(in, siem.port)
	g := newGateway(t, rough, tx+txLines, rx+"late = \"same\"\n"+rxLines)
	var got inbox
	client5(t, it, "it", "plant/#", &got)
	g.Start()
	g.Ready()

	var lines []string
	var messages []message
	for i := range n {
		lines = append(lines, longLine(i))
		messages = append(messages, message{fmt.Sprintf("plant/%d", i%50),
			fmt.Sprintf("message %06d %s", i, strings.Repeat("y", i%120)), 1, i%10 == 0})
	}
	sent := make(chan error, 1)
	go func() { sent <- sendLines(in, lines) }()
	client := client5(t, plant, "plant", "", nil)
	for _, m := range messages {
		publish5(t, client, m)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	await.NoError(t, "messages and lines", func() error {
		if m, l := len(got.all()), len(siem.all()); m < n || l < n {
			return fmt.Errorf("got %d messages and %d lines of %d", m, l, n)
		}
		return nil
	})
	sameButLate(t, "message", got.all(), messages, g.RX.Channel("cell-1").Healed,
		func(m message) string { return m.payload })
	sameButLate(t, "line", siem.all(), lines, g.RX.Channel("syslog").Healed, itself)
	for _, channel := range []string{"cell-1", "syslog"} {
		if a := g.balanced(channel); a.Sent != n || a.Delivered != n || a.Lost != 0 {
			t.Errorf("%s: got %s; want all %d delivered", channel, a, n)
		}
	}
	s := g.RX.Status()
	if s.Link.Repaired == 0 || s.Link.CRCErrors == 0 || s.Link.AuthFailures != 0 {
		t.Errorf("link: got %+v; want repairs and CRC errors, and no authentication failures", s.Link)
	}
	g.TX.Stop()
	g.RX.Stop()
}

func sendLines(port int, lines []string) error {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	defer c.Close()
	for i, l := range lines {
		if _, err := fmt.Fprintf(c, "%d %s", len(l), l); err != nil {
			return err
		}
		if i%200 == 0 {
			time.Sleep(10 * time.Millisecond) // 20,000 a second: a busy plant, not a flood
		}
	}
	return nil
}

// retained are what a broker holds, as a client that comes new sees it.
func retained(t *testing.T, port int, filter string, want map[string]string) {
	t.Helper()
	await.NoError(t, "retained messages", func() error {
		var in inbox
		c := client3(t, port, fmt.Sprintf("look-%d", time.Now().UnixNano()), filter, &in)
		time.Sleep(200 * time.Millisecond)
		c.Disconnect(0)
		got := map[string]string{}
		for _, m := range in.all() {
			if !m.retain {
				return fmt.Errorf("%s came without its retain flag", m.topic)
			}
			got[m.topic] = m.payload
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("got %d messages %.300v, want %d", len(got), got, len(want))
		}
		return nil
	})
}

// TestAKilledReceiverHasItsStateAgain kills RX and empties its broker, so that
// the state can come from the carousel alone; in both versions of MQTT.
func TestAKilledReceiverHasItsStateAgain(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"5", "3.1.1"} {
		t.Run("MQTT "+version, func(t *testing.T) {
			plant, it := await.FreePort(t), await.FreePort(t)
			rig.Mosquitto(t, plant, rig.Unlimited)
			broker := rig.Mosquitto(t, it, rig.Unlimited)
			tx, rx := mqttTables(plant, it, version)
			g := newGateway(t, rough, tx, rx)
			g.Start()
			g.Ready()
			client := client3(t, plant, "plant", "", nil)
			want := map[string]string{}
			for i := range 500 {
				topic, value := fmt.Sprintf("plant/tag/%d", i), fmt.Sprint(i*i)
				wait3(t, client.Publish(topic, 1, true, value))
				want[topic] = value
			}
			for i := range 100 { // cleared again
				topic := fmt.Sprintf("plant/tag/%d", i*3)
				wait3(t, client.Publish(topic, 1, true, ""))
				delete(want, topic)
			}
			retained(t, it, "plant/#", want)
			g.RX.Kill()
			broker.Kill()
			wait3(t, client.Publish("plant/tag/1", 1, true, "while RX was away"))
			want["plant/tag/1"] = "while RX was away"
			rig.Mosquitto(t, it, rig.Unlimited)
			g.RX.Start()
			retained(t, it, "plant/#", want)
			g.Ready()
			g.balanced("cell-1")
		})
	}
}

// TestAKilledTransmitterResumes kills TX, and then plays back what its first
// epoch sent.
func TestAKilledTransmitterResumes(t *testing.T) {
	t.Parallel()
	g, plant, it := newMQTT(t, linktest.Profile{}, "5")
	tap := g.tap()
	var got inbox
	client5(t, it, "it", "plant/#", &got)
	g.Start()
	g.Ready()
	client := client5(t, plant, "plant", "", nil)
	publish5(t, client, message{"plant/a", "before", 1, false})
	await.NoError(t, "the first message", func() error { return arrived(&got, "before") })
	old := tap.frames()
	g.TX.Kill()
	publish5(t, client, message{"plant/a", "while TX was away", 1, false}) // the broker keeps it
	g.TX.Start()
	g.Ready()
	await.NoError(t, "the second message", func() error { return arrived(&got, "while TX was away") })
	before := g.RX.Status()
	if before.Link.Epoch != 2 {
		t.Errorf("epoch after the restart: got %d, want 2", before.Link.Epoch)
	}
	tap.play(t, old)
	publish5(t, client, message{"plant/a", "after", 1, false})
	await.NoError(t, "the third message", func() error { return arrived(&got, "after") })
	// What had left when TX was killed, but was not acknowledged yet, comes twice.
	sameInOrder(t, "message", slices.Compact(payloads(got.all())), []string{"before", "while TX was away", "after"})
	after := g.RX.Status()
	if after.Link.Epoch != 2 || after.Channels["cell-1"].Delivered != before.Channels["cell-1"].Delivered+1 {
		t.Errorf("after a playback of %d frames: got %+v, want nothing of it accepted", len(old), after)
	}
}

func arrived(in *inbox, payload string) error {
	if got := payloads(in.all()); !slices.Contains(got, payload) {
		return fmt.Errorf("got %q, not %q yet", got, payload)
	}
	return nil
}

func payloads(in []message) (out []string) {
	for _, m := range in {
		out = append(out, m.payload)
	}
	return out
}

// TestLostEpochsAndMarks walks through the cases of lost state.
func TestLostEpochsAndMarks(t *testing.T) {
	t.Parallel()
	g, in, siem := newSyslog(t)
	notes := func(event string) func() error {
		return func() error {
			if g.RX.Notes(event) == 0 {
				return fmt.Errorf("no note %q", event)
			}
			return nil
		}
	}
	g.Start()
	g.Ready()
	await.NoError(t, "the first epoch is accepted and audited", notes("epoch_first"))
	for range 2 { // two more epochs
		g.TX.Stop()
		g.TX.Start()
		g.Ready()
	}

	t.Log("TX lost its epoch, as a card flashed again does")
	g.TX.Stop()
	remove(t, filepath.Join(g.Dir, "state-tx"))
	g.TX.Start()
	await.NoError(t, "the regressed epoch is refused and audited", notes("epoch_regressed"))
	g.RX.Unready("epoch_regressed")
	tool(t, "epoch", "accept", "--config", g.RX.Config)
	g.Ready()
	await.NoError(t, "the acceptance is audited", notes("epoch_accepted"))

	t.Log("RX lost its mark")
	g.RX.Stop()
	remove(t, filepath.Join(g.Dir, "state-rx"))
	g.RX.Start()
	g.Ready()
	await.NoError(t, "the epoch is the first again", notes("epoch_first"))

	t.Log("both got a new pair key and lost all state")
	g.TX.Stop()
	g.RX.Stop()
	for _, name := range []string{"state-rx", "state-tx", "pair.key"} {
		remove(t, filepath.Join(g.Dir, name))
	}
	tool(t, "key", "new", filepath.Join(g.Dir, "pair.key"))
	g.Start()
	g.Ready()
	if err := sendLines(in, []string{longLine(1)}); err != nil {
		t.Fatal(err)
	}
	siem.has(t, 1)

	t.Log("a card of another pair was put into TX")
	g.TX.Stop()
	tool(t, "key", "new", filepath.Join(g.Dir, "other.key")) // heliorx reads a pair.key that changes
	strange := strings.Replace(string(rig.Read(t, g.TX.Config)), `"pair.key"`, `"other.key"`, 1)
	if err := os.WriteFile(g.TX.Config, []byte(strange), 0o600); err != nil {
		t.Fatal(err)
	}
	g.TX.Start()
	await.NoError(t, "the stranger is refused and audited", notes("auth_failure"))
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// TestACutLinkIsSeenAndHeals cuts the link and restores it.
func TestACutLinkIsSeenAndHeals(t *testing.T) {
	t.Parallel()
	g, in, siem := newSyslog(t)
	g.Start()
	g.Ready()
	g.Link.Set(linktest.Profile{Cut: true})
	await.NoError(t, "the source shows as down", func() error {
		if c := g.RX.Channel("syslog"); c.SourceState != "down" || !strings.Contains(c.SourceReason, "silent") {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	missed := []string{"<13>missed 1", "<13>missed 2"}
	if err := sendLines(in, missed); err != nil {
		t.Fatal(err)
	}
	await.NoError(t, "TX has sent while the link is cut", func() error {
		if n := g.TX.Channel("syslog").Sent; n != 2 {
			return fmt.Errorf("sent %d", n)
		}
		return nil
	})
	g.goesOn()
	g.Link.Set(linktest.Profile{})
	g.Ready()
	await.NoError(t, "what was missed heals", func() error {
		if a := g.balanced("syslog"); a.Sent != 2 || a.Delivered != 2 || a.Healed != 2 || a.OpenHoles != 0 {
			return fmt.Errorf("%s, %d healed, %d open holes", a, a.Healed, a.OpenHoles)
		}
		return nil
	})
	siem.has(t, len(missed))
	sameInOrder(t, "line", siem.all(), missed)
}

// TestNothingAcknowledgedIsLost kills the transmitter in the middle of a
// stream, twice: the broker delivers again what had not left.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	const n = 6000
	g, plant, it := newMQTT(t, linktest.Profile{Loss: 0.02}, "5")
	var got inbox
	client5(t, it, "it", "plant/#", &got)
	g.Start()
	g.Ready()
	client := client5(t, plant, "plant", "", nil)
	for i := range n {
		publish5(t, client, message{"plant/a", fmt.Sprint(i), byte(1 + i%2), false})
		if i == n/3 || i == n/2 {
			g.TX.Kill()
			g.TX.Start()
		}
	}
	var missing int
	await.NoError(t, "every message", func() error {
		have := map[string]bool{}
		for _, m := range got.all() {
			have[m.payload] = true
		}
		if missing = n - len(have); missing > 0 {
			return fmt.Errorf("%d of %d are missing", missing, n)
		}
		return nil
	})
	t.Logf("%d messages arrived %d times", n, len(got.all()))
}
