package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
)

// TestRecordsSentWhileTheLinkIsCutAreAccountedFor sends 300 events over a good link and
// 500, acknowledged in the plant, into a link that is cut; then the transmitter ends. What
// the next run of it says must account for the 500.
func TestRecordsSentWhileTheLinkIsCutAreAccountedFor(t *testing.T) {
	t.Parallel()
	const seen, dark, after = 300, 500, 10
	for name, c := range map[string]struct{ killTX, killRX bool }{
		"link cut, TX killed":              {true, false},
		"link cut, TX ended":               {false, false},
		"link cut, RX killed, TX killed":   {true, true},
		"link cut, RX killed and TX ended": {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, plant, _ := newMQTT(t, linktest.Profile{}, "5")
			g.Start()
			g.Ready()
			client := client5(t, plant, "plant", "", nil)
			publish := func(n int) {
				for i := range n {
					publish5(t, client, message{"plant/a", fmt.Sprint(i), 1, false})
				}
			}
			publish(seen)
			g.settled("cell-1", seen)
			g.Link.Set(linktest.Profile{Cut: true})
			if c.killRX {
				g.RX.Kill()
			}
			publish(dark)
			await.NoError(t, "TX sends while the link is cut", func() error {
				if n := g.TX.Channel("cell-1").Sent; n < seen+dark {
					return fmt.Errorf("%d sent", n)
				}
				return nil
			})
			g.goesOn() // and acknowledges what it has sent
			if c.killTX {
				g.TX.Kill()
			} else {
				g.TX.Stop()
			}
			g.Link.Set(linktest.Profile{})
			if c.killRX {
				g.RX.Start()
			}
			g.TX.Start()
			g.Ready()
			publish(after)
			a := g.settled("cell-1", seen+dark+after)
			if a.Delivered < after || a.Lost+a.Unknown < dark || a.Delivered+a.Unknown < seen+after {
				t.Errorf("got %s; want the %d sent while the link was cut lost or unknown", a, dark)
			}
			if !c.killRX && (a.Delivered != seen+after || a.Lost != dark) {
				t.Errorf("got %s; RX ran all along: want exactly %d lost", a, dark)
			}
		})
	}
}

// A channel that both ends name differently is named in /readyz.
func TestChannelNamesThatDoNotMatchAreNamed(t *testing.T) {
	t.Parallel()
	in, siem := await.FreePort(t), newCollector(t)
	tx, rx := syslogTables(in, siem.port)
	g := newGateway(t, linktest.Profile{}, strings.Replace(tx, `"syslog"`, `"log"`, 1),
		strings.Replace(rx, `"syslog"`, `"logs"`, 1))
	g.Start()
	g.RX.Unready("channel logs: the transmitter has no channel of this name",
		"channel log: arrives, but no sink here takes it")
}

// With another pair key on RX, /readyz names the cause.
func TestAWrongKeyIsNamed(t *testing.T) {
	t.Parallel()
	g, _, _ := newSyslog(t)
	g.TX.Start()
	await.NoError(t, "TX has its key", func() error { _, _, err := g.TX.Get("/healthz"); return err })
	remove(t, filepath.Join(g.Dir, "pair.key"))
	tool(t, "key", "new", filepath.Join(g.Dir, "pair.key"))
	g.RX.Start()
	g.RX.Unready("auth_failure")
}

// A message that the link cannot carry is counted on both sides, and does not
// disturb the next one.
func TestAMessageLargerThanTheLinkCarriesIsCounted(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"5", "3.1.1"} {
		t.Run("MQTT "+version, func(t *testing.T) {
			g, plant, _ := newMQTT(t, linktest.Profile{}, version)
			g.Start()
			g.Ready()
			client := client5(t, plant, "plant", "", nil)
			publish5(t, client, message{"plant/large", strings.Repeat("x", 9_000_000), 1, false})
			publish5(t, client, message{"plant/small", "x", 1, false})
			a := g.settled("cell-1", 2)
			if tx := g.TX.Channel("cell-1"); a.Delivered != 1 || a.Lost != 1 || tx.Refused != 1 {
				t.Errorf("got %s and %d refused on TX; want one delivered, and one refused and lost", a, tx.Refused)
			}
		})
	}
}

// A name that stands for MQTT at one end and for syslog at the other is named.
func TestAChannelOfTwoProtocolsIsNamed(t *testing.T) {
	t.Parallel()
	plant := await.FreePort(t)
	rig.Mosquitto(t, plant, rig.Unlimited)
	tx, _ := mqttTables(plant, plant, "5")
	g := newGateway(t, linktest.Profile{}, tx, fmt.Sprintf("[[syslog]]\nchannel = \"cell-1\"\nforward = "+
		"\"udp://127.0.0.1:%d\"\n", await.FreePort(t)))
	publish5(t, client5(t, plant, "plant", "", nil), message{"plant/a", "retained", 1, true})
	g.Start()
	await.NoError(t, "the protocols in /readyz, and the record refused", func() error {
		body, code, err := g.RX.Get("/readyz")
		a, _ := g.account("cell-1")
		if want := "channel cell-1: is syslog here and mqtt at the transmitter"; err != nil ||
			code != http.StatusServiceUnavailable || !strings.Contains(body, want) || a.Refused != 1 {
			return fmt.Errorf("%d %q %v and %s; want %q and 1 refused", code, body, err, a, want)
		}
		return nil
	})
}
