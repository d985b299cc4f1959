package node

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/config/users"
	"heliograph/firmware/rx/history"
)

func TestMirrorsShareAStoreOfCertificates(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	if err := users.Add(file, "ann", "secret"); err != nil {
		t.Fatal(err)
	}
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(c *config.RX) {
			c.MQTT, c.Syslog = nil, nil
			c.OPCUA = []config.OPCUASink{
				{Channel: "press", Listen: "opc.tcp://0.0.0.0:4840", UsersFile: file},
				{Channel: "oven", Listen: "opc.tcp://0.0.0.0:4841"},
			}
		})
		n := r.open()
		defer n.Close()
		want := []string{"certificates", "opcua sink press", "opcua sink oven", "link", "board", "audit trail", "trend"}
		if got := names(n.Tasks()); !slices.Equal(got, want) {
			t.Errorf("tasks: got %q, want %q", got, want)
		}
		press, oven := r.opcua["press"], r.opcua["oven"]
		if press.Store != oven.Store || press.Folder != r.cfg.RX.State || press.Version != "1.2.3" {
			t.Errorf("got %+v and %+v", press, oven)
		}
		if press.Users == nil || !press.Users.Known("ann") || oven.Users != nil {
			t.Errorf("users: got %v and %v, want those of press alone", press.Users, oven.Users)
		}
		n.trustChanged()
		for _, channel := range []string{"press", "oven"} {
			if got := r.sinks[channel].trusted; got != 1 {
				t.Errorf("%s decided %d times on its clients, want once", channel, got)
			}
		}
		r.audited("rx trust_changed")
		var own bool
		for _, c := range n.Snapshot().Certificates {
			own = own || c.Board == "rx" && c.Name == "opcua own"
		}
		if !own {
			t.Errorf("certificates: got %+v, want the own one among them", n.Snapshot().Certificates)
		}
	})
}

func TestDamageOfAHistoryThatIsReadLaterIsAudited(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(c *config.RX) {
			c.MQTT, c.Syslog = nil, nil
			c.OPCUA = []config.OPCUASink{{Channel: "press", Listen: "opc.tcp://0.0.0.0:4840",
				History: config.History{Age: time.Hour, Bytes: history.MinBytes}}}
		})
		r.run()
		r.transmit(7)
		kept, node, began := r.opcua["press"].History, []byte("force"), time.Now()
		for i := range 2 * history.MinBytes / 16 / 1000 { // more than is sealed
			value := make([]byte, 1000)
			_, _ = rand.Read(value)
			if err := kept.AddValue(node, began.Add(time.Duration(i)*time.Millisecond), value); err != nil {
				t.Fatal(err)
			}
		}
		r.pass(5)
		segments, err := filepath.Glob(filepath.Join(r.cfg.RX.State, "history", "press", "*.segment"))
		if err != nil || len(segments) == 0 {
			t.Fatalf("got %v, %v, want a sealed segment", segments, err)
		}
		for _, path := range segments {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := kept.Values(node, began, time.Now(), func(time.Time, []byte) bool { return true }); err != nil {
			t.Logf("read: %v", err)
		}
		r.pass(2)
		r.audited("rx history_damaged")
		r.end()
	})
}
