package node

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/config/users"
	"heliograph/firmware/rx/sink"
)

// forgetful is a sink that notes whether a key was remembered when it came.
type forgetful struct {
	rig        *rig
	remembered []string
}

func (f *forgetful) Deliver(u sink.Update) {
	_, before := f.rig.node.state.memory.Keys("other")
	for _, key := range before {
		f.remembered = append(f.remembered, string(key))
	}
}

func TestAKeyIsRememberedBeforeItsSinkHasIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		n := r.open()
		defer n.Close()
		f := &forgetful{rig: r}
		keys, _ := n.state.memory.Keys("other")
		s := remembering{f, keys}
		s.Deliver(sink.Update{Key: []byte("a")})
		s.Deliver(sink.Update{Key: []byte("b"), Delete: true})
		s.Deliver(sink.Update{Event: true})
		if got, want := f.remembered, []string{"a", "a", "a"}; !slices.Equal(got, want) {
			t.Errorf("on the disk at each delivery: %q, want %q", got, want)
		}
	})
}

func TestAnEmbeddedBrokerHasACertificateAndUsers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	if err := users.Add(file, "ann", "secret"); err != nil {
		t.Fatal(err)
	}
	inBubble(t, func(t *testing.T) {
		var got config.MQTTSink
		r := newRig(t, func(c *config.RX) {
			c.MQTT = []config.MQTTSink{{Channel: "cell", Listen: "mqtts://127.0.0.1:8883", UsersFile: file,
				SpoolBytes: 1 << 20}}
		})
		build := r.cfg.Build.MQTT
		r.cfg.Build.MQTT = func(c config.MQTTSink, p MQTTParts, log *slog.Logger) (Sink, error) {
			got = c
			return build(c, p, log)
		}
		n := r.open()
		defer n.Close()
		if want := filepath.Join(r.cfg.RX.PKI, "mqtt-cell.crt"); got.TLS.Certificate != want ||
			n.expiries.Files["mqtt cell"] != want {
			t.Errorf("certificate: got %q, and %v", got.TLS.Certificate, n.expiries.Files)
		}
		if !r.mqtt["cell"].Verify("ann", "secret", netip.MustParseAddr("10.0.0.9")) {
			t.Error("a user with the right password is refused")
		}
		r.audited("rx login")
	})
}

func TestACertificateThatCannotBeKeptIsForThisRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		c := config.MQTTSink{Channel: "cell", Listen: "mqtts://127.0.0.1:8883"}
		c, err := withCertificate(c, r.cfg.RX.Link.KeyFile, r.cfg.Log) // a file is not a folder
		if err != nil || c.TLS.Own == nil {
			t.Errorf("got %v, %v; want a certificate in memory", c.TLS, err)
		}
		given := config.MQTTSink{Listen: "mqtts://127.0.0.1:8883", TLS: config.TLS{Certificate: "own.crt"}}
		if got, err := withCertificate(given, r.cfg.RX.PKI, r.cfg.Log); err != nil || got.TLS.Certificate != "own.crt" {
			t.Errorf("a configured one: got %v, %v", got.TLS, err)
		}
	})
}

func TestWhatASpoolDropsIsExpired(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(c *config.RX) { c.MQTT[0].SpoolBytes = 1 << 10 })
		n := r.run()
		defer r.end()
		r.transmit(7)
		r.everything()
		synctest.Wait()
		r.mqtt["cell"].Queue.PeerDown(true)
		for range 10 {
			r.mqtt["cell"].Queue.Append(make([]byte, 300))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := n.Snapshot().Channels["cell"]; *got.Expired == 0 || *got.Delivered+*got.Expired != 2 {
			t.Errorf("got %d delivered, %d expired; want 2 in all", *got.Delivered, *got.Expired)
		}
	})
}
