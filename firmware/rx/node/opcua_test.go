package node

import (
	"path/filepath"
	"slices"
	"testing"

	"heliograph/firmware/config"
	"heliograph/firmware/config/users"
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
