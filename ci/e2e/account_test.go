package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/conduit/linktest"
)

// account is a channel's account as RX alone states it.
func (g *gateway) account(channel string) (a channelAccount, err error) {
	a.channelStatus = statusOf(g.t, g.rxStatus).Channels[channel]
	a.sum = a.Delivered + a.Refused + a.Expired + a.Conflated + a.Lost + a.Unknown
	if a.Sent != a.sum {
		err = fmt.Errorf("the identity does not hold: %s", a)
	}
	return a, err
}

type channelAccount struct {
	channelStatus
	sum uint64
}

func (a channelAccount) String() string {
	return fmt.Sprintf("sent %d, sum %d (delivered %d, refused %d, expired %d, conflated %d, lost %d, unknown %d)",
		a.Sent, a.sum, a.Delivered, a.Refused, a.Expired, a.Conflated, a.Lost, a.Unknown)
}

// TestRecordsSentIntoTheDarkAreAccountedFor sends 300 events over a good link and
// 500, acknowledged in the plant, into a dark one; then the transmitter ends. What
// the next run of it says must account for the 500.
func TestRecordsSentIntoTheDarkAreAccountedFor(t *testing.T) {
	const seen, dark, after = 300, 500, 10
	for name, c := range map[string]struct{ killTX, killRX bool }{
		"link cut, TX killed":              {true, false},
		"link cut, TX ended":               {false, false},
		"link cut, RX killed, TX killed":   {true, true},
		"link cut, RX killed and TX ended": {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			plant, it := port(t), port(t)
			mosquitto(t, plant)
			mosquitto(t, it)
			tx, rx := mqttTables(plant, it, "5")
			g := newGateway(t, linktest.Profile{}, tx, rx)
			g.startRX()
			g.startTX()
			g.ready()
			client := client5(t, plant, "plant", "", nil)
			publish := func(n int) {
				for i := range n {
					publish5(t, client, message{"plant/a", fmt.Sprint(i), 1, false})
				}
			}
			publish(seen)
			g.settled("cell-1", seen)
			g.link.Set(linktest.Profile{Cut: true})
			if c.killRX {
				g.rx.kill()
			}
			publish(dark)
			eventually(t, "TX sends into the dark", func() error {
				if n := statusOf(t, g.txStatus).Channels["cell-1"].Sent; n < seen+dark {
					return fmt.Errorf("%d sent", n)
				}
				return nil
			})
			time.Sleep(time.Second) // longer than parity takes to follow, and with it the acknowledgements
			if c.killTX {
				g.tx.kill()
			} else {
				g.tx.stop()
			}
			g.link.Set(linktest.Profile{})
			if c.killRX {
				g.startRX()
			}
			g.startTX()
			g.ready()
			publish(after)
			a := g.settled("cell-1", seen+dark+after)
			if a.Delivered < after || a.Lost+a.Unknown < dark || a.Delivered+a.Unknown < seen+after {
				t.Errorf("got %s; want the %d sent into the dark lost or unknown", a, dark)
			}
			if !c.killRX && (a.Delivered != seen+after || a.Lost != dark) {
				t.Errorf("got %s; RX ran all along: want exactly %d lost", a, dark)
			}
		})
	}
}

// settled waits until RX's account says that n were sent, and returns it. The
// identity has to hold each time anyone looks.
func (g *gateway) settled(channel string, n uint64) (a channelAccount) {
	g.t.Helper()
	eventually(g.t, fmt.Sprintf("%d records on %s", n, channel), func() (err error) {
		if a, err = g.account(channel); err != nil {
			g.t.Error(err)
		}
		if a.Sent < n {
			return errors.New(a.String())
		}
		return nil
	})
	if a.Sent != n {
		g.t.Errorf("%s: got %s, want %d sent", channel, a, n)
	}
	return a
}

// A channel that both ends name differently is named in /readyz.
func TestChannelNamesThatDoNotMatchAreNamed(t *testing.T) {
	in, out := port(t), port(t)
	g := newGateway(t, linktest.Profile{},
		fmt.Sprintf("[[syslog]]\nchannel = \"log\"\nlisten = [\"tcp://127.0.0.1:%d\"]\n", in),
		fmt.Sprintf("[[syslog]]\nchannel = \"logs\"\nforward = \"tcp://127.0.0.1:%d\"\n", out))
	var siem collector
	siem.listen(t, out)
	g.startRX()
	g.startTX()
	eventually(t, "both names in /readyz", func() error {
		body, code, err := get(g.rxStatus, "/readyz")
		for _, want := range []string{"channel logs: the transmitter has no channel of this name", "channel log: arrives, but no sink here takes it"} {
			if err != nil || code != http.StatusServiceUnavailable || !strings.Contains(body, want) {
				return fmt.Errorf("%d %q %v, want %q", code, body, err, want)
			}
		}
		return nil
	})
}

// With another pair key on RX, /readyz names the cause.
func TestAWrongKeyIsNamed(t *testing.T) {
	in, out := port(t), port(t)
	g := newGateway(t, linktest.Profile{},
		fmt.Sprintf("[[syslog]]\nchannel = \"log\"\nlisten = [\"tcp://127.0.0.1:%d\"]\n", in),
		fmt.Sprintf("[[syslog]]\nchannel = \"log\"\nforward = \"tcp://127.0.0.1:%d\"\n", out))
	g.startTX()
	eventually(t, "TX has its key", func() error { _, _, err := get(g.txStatus, "/healthz"); return err })
	if err := os.Remove(filepath.Join(g.dir, "pair.key")); err != nil {
		t.Fatal(err)
	}
	g.tool("key", "new", filepath.Join(g.dir, "pair.key"))
	g.startRX()
	eventually(t, "auth_failure in /readyz", func() error {
		body, code, err := get(g.rxStatus, "/readyz")
		if err != nil || code != http.StatusServiceUnavailable || !strings.Contains(body, "auth_failure") {
			return fmt.Errorf("%d %q %v", code, body, err)
		}
		return nil
	})
}

// A message that the link cannot carry is counted on both sides, and does not
// disturb the next one.
func TestAMessageLargerThanTheLinkCarriesIsCounted(t *testing.T) {
	for _, version := range []string{"5", "3.1.1"} {
		t.Run("MQTT "+version, func(t *testing.T) {
			plant, it := port(t), port(t)
			mosquitto(t, plant)
			mosquitto(t, it)
			tx, rx := mqttTables(plant, it, version)
			g := newGateway(t, linktest.Profile{}, tx, rx)
			g.startRX()
			g.startTX()
			g.ready()
			client := client5(t, plant, "plant", "", nil)
			publish5(t, client, message{"plant/large", strings.Repeat("x", 9_000_000), 1, false})
			publish5(t, client, message{"plant/small", "x", 1, false})
			a := g.settled("cell-1", 2)
			if tx := statusOf(t, g.txStatus).Channels["cell-1"]; a.Delivered != 1 || a.Lost != 1 || tx.Refused != 1 {
				t.Errorf("got %s and %d refused on TX; want one delivered, and one refused and lost", a, tx.Refused)
			}
		})
	}
}

// A name that stands for MQTT at one end and for syslog at the other is named.
func TestAChannelOfTwoProtocolsIsNamed(t *testing.T) {
	plant := port(t)
	mosquitto(t, plant)
	tx, _ := mqttTables(plant, plant, "5")
	g := newGateway(t, linktest.Profile{}, tx, fmt.Sprintf("[[syslog]]\nchannel = \"cell-1\"\nforward = \"udp://127.0.0.1:%d\"\n", port(t)))
	publish5(t, client5(t, plant, "plant", "", nil), message{"plant/a", "retained", 1, true})
	g.startRX()
	g.startTX()
	eventually(t, "the protocols in /readyz, and the record refused", func() error {
		body, code, err := get(g.rxStatus, "/readyz")
		a, _ := g.account("cell-1")
		if want := "channel cell-1: is syslog here and mqtt at the transmitter"; err != nil || code != http.StatusServiceUnavailable || !strings.Contains(body, want) || a.Refused != 1 {
			return fmt.Errorf("%d %q %v and %s; want %q and 1 refused", code, body, err, a, want)
		}
		return nil
	})
}
