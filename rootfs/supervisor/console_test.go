package supervisor

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/boards"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/acceptance"
	"heliograph/firmware/platform/health"
	"heliograph/rootfs/console"
	"heliograph/rootfs/logring"
	"heliograph/rootfs/network"
)

// newConsole returns the console of a board, and what ended the board.
func newConsole(t *testing.T, r *rig) (b *ConsoleBoard, ended *string) {
	t.Helper()
	folder, ended := t.TempDir(), new(string)
	return NewConsoleBoard(ConsoleConfig{
		Log: r.log.logger(), Lines: &logring.Ring{},
		Board: boards.Board{Name: "cm4", Network: boards.Network{Outside: "eth0"}},
		Role:  r.Supervisor, Vitals: r.Vitals, Releases: newStatus(folder),
		Network: network.Settings{Console: folder + "/network", Card: folder + "/network.toml"},
		Facts:   &Facts{Key: "v"},
		Restart: func() { *ended = "restart" }, PowerOff: func() { *ended = "power off" },
	}), ended
}

func TestConsoleShowsHowTheBoardIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "tx", validTX)
		b, ended := newConsole(t, r)
		stop := r.background(t, Outputs{})
		defer stop()
		pass(10 * time.Second)
		s := b.Status()
		if s.Role != "tx" || s.Board != "cm4" || s.State != health.Good || s.Up < 10*time.Second ||
			s.Report.Evidence.Steps["link"] == 0 || s.Address != "" {
			t.Errorf("got %+v", s)
		}
		_, _ = b.config.Lines.Write([]byte("one\ntwo\nthree\n"))
		if got := b.Log(2); len(got) != 2 || got[1] != "three" {
			t.Errorf("log: got %q, want the newest two lines", got)
		}
		var results bytes.Buffer
		if b.Selftest(&results); !strings.Contains(results.String(), " passed, ") {
			t.Errorf("self-test: got %q", results.String())
		}
		if b.Restart(); *ended != "restart" {
			t.Errorf("got %q, want a restart", *ended)
		}
		if b.PowerOff(); *ended != "power off" {
			t.Errorf("got %q, want a power-off", *ended)
		}
	})
}

func TestConsoleSendsTheRoleSignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "tx", validTX)
		b, _ := newConsole(t, r)
		b.RestartRole() // it does not run yet
		stop := r.background(t, Outputs{})
		pass(5 * time.Second)
		first := r.processes[0]
		b.FreezeRole()
		b.RestartRole()
		pass(5 * time.Second)
		stop()
		if one, two := <-first.signals, <-first.signals; one != syscall.SIGSTOP || two != syscall.SIGTERM {
			t.Errorf("got the signals %v and %v", one, two)
		}
		if len(r.starts) != 2 {
			t.Errorf("got %d starts, want two", len(r.starts))
		}
		r.log.expect(t, "the role does not run", 1)
	})
}

func TestConsoleSetsTheNetwork(t *testing.T) {
	b, _ := newConsole(t, newRig(t, "tx", validTX))
	if got := b.Network(); got != (console.Network{Interface: "eth0"}) {
		t.Errorf("nothing set: got %+v", got)
	}
	static := console.Network{Hostname: "hall", Interface: "eth1", Address: "10.0.0.2/24", Gateway: "10.0.0.1",
		Nameservers: "10.0.0.1 10.0.0.3"}
	for _, n := range []console.Network{static, {Interface: "eth0", Address: "dhcp"}} {
		if err := b.SetNetwork(n); err != nil {
			t.Fatal(err)
		}
		got := b.Network()
		if got.Address = strings.TrimPrefix(got.Address, "invalid Prefix"); got != n {
			t.Errorf("got %+v, want %+v", got, n)
		}
	}
	for what, change := range map[string]func(*console.Network){
		"address":    func(n *console.Network) { n.Address = "10.0.0.2" },
		"gateway":    func(n *console.Network) { n.Gateway = "router" },
		"far":        func(n *console.Network) { n.Gateway = "10.9.0.1" },
		"nameserver": func(n *console.Network) { n.Nameservers = "10.0.0.1,dns" },
		"hostname":   func(n *console.Network) { n.Hostname = "press hall" },
	} {
		n := static
		if change(&n); b.SetNetwork(n) == nil {
			t.Errorf("%s: %+v was set", what, n)
		}
	}
	if got := b.Network(); got.Interface != "eth0" {
		t.Errorf("a refused change was kept: %+v", got)
	}
}

// A board with all interfaces on USB has the one that is called eth0 by chance alone, which
// matters beside a link that has an interface.
func TestConsoleSetsTheNetworkBesideItsLink(t *testing.T) {
	uart := strings.Replace(validTX, "\"udp\"\naddress = \"127.0.0.1:17000\"",
		"\"uart\"\ndevice = \"/dev/ttyAMA0\"\nbaud = 115200", 1)
	named := strings.Replace(validTX, "127.0.0.1:17000\"",
		"10.9.0.2:17000\"\ninterface = \"path:usb\"\nlocal = \"10.9.0.1/30\"", 1)
	ethernet := strings.Replace(validTX, "\"udp\"\naddress = \"127.0.0.1:17000\"",
		"\"ethernet\"\ninterface = \"path:usb\"", 1)
	for name, tt := range map[string]struct {
		configuration string
		set           bool
	}{"uart": {uart, true}, "udp": {validTX, true}, "udp by an interface": {named, false},
		"ethernet": {ethernet, false}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "tx", tt.configuration)
			if err := r.prepareFolders(); err != nil {
				t.Fatal(err)
			}
			if _, err := r.readConfiguration(); err != nil {
				t.Fatal(err)
			}
			b, _ := newConsole(t, r)
			b.config.Board, _ = boards.ByName("rpi3bplus")
			if err := b.SetNetwork(console.Network{Interface: "eth0", Address: "dhcp"}); (err == nil) != tt.set {
				t.Errorf("got %v, want it set: %t", err, tt.set)
			}
		})
	}
}

// A folder that PID 1 makes while the role makes its own is one that the role cannot write to.
func TestConsoleMakesNoFolderWhereItReadsCertificates(t *testing.T) {
	r := newRig(t, "rx", validRX)
	if err := r.prepareFolders(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.readConfiguration(); err != nil {
		t.Fatal(err)
	}
	b, _ := newConsole(t, r)
	folder := b.config.Role.configuredPaths().pki
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	_, _ = b.Identity(), b.Rejected()
	if made, err := os.ReadDir(folder); err != nil || len(made) != 0 {
		t.Errorf("got %v, %v; want no folder made", made, err)
	}
}

func TestConsoleChangesThePairKey(t *testing.T) {
	for role, both := range map[string]bool{"tx": false, "rx": true} {
		t.Run(role, func(t *testing.T) {
			old, next := pairkey.New(), pairkey.New()
			r := newRig(t, role, validTX)
			r.paths.keyFile = filepath.Join(t.TempDir(), "pair.key")
			if err := pairkey.Create(r.paths.keyFile, old); err != nil {
				t.Fatal(err)
			}
			b, _ := newConsole(t, r)
			if err := b.ChangeKey(next); err != nil {
				t.Fatal(err)
			}
			got, err := b.Keys()
			if err != nil || !strings.Contains(got, pairkey.ID(next)+" is used") ||
				strings.Contains(got, pairkey.ID(old)) != both {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	b, _ := newConsole(t, newRig(t, "tx", validTX))
	if _, err := b.Keys(); err == nil {
		t.Error("no configuration yet: got no error")
	}
}

func TestConsoleAcceptsARefusedRun(t *testing.T) {
	r := newRig(t, "rx", validRX)
	r.paths.state = t.TempDir()
	b, _ := newConsole(t, r)
	if got := b.Refused(); len(got) != 0 {
		t.Errorf("got %+v, want none", got)
	}
	run := acceptance.Run{Epoch: 3, Salt: acceptance.Salt{1}, LastFrame: time.Unix(1000, 0).UTC()}
	if err := acceptance.KeepRefused(r.paths.state, []acceptance.Run{run}); err != nil {
		t.Fatal(err)
	}
	got := b.Refused()
	if len(got) != 1 || got[0].ID != run.ID() || got[0].Epoch != 3 {
		t.Fatalf("got %+v, want %+v", got, run)
	}
	if err := b.Accept(got[0].ID); err != nil || acceptance.Accepted(r.paths.state) != run.ID() {
		t.Errorf("got %v, and %q accepted", err, acceptance.Accepted(r.paths.state))
	}
}

func TestConsoleTrustsARejectedCertificate(t *testing.T) {
	r := newRig(t, "rx", validRX)
	r.paths.pki = filepath.Join(t.TempDir(), "pki")
	b, _ := newConsole(t, r)
	if got := b.Rejected(); len(got) != 0 || b.Trust("AA") == nil || b.Identity() != (console.Certificate{}) {
		t.Errorf("without certificates: got %+v, want none to trust", got)
	}
	rejected := filepath.Join(r.paths.pki, "rejected", "certs")
	if err := os.MkdirAll(rejected, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(rejected, "client.der"), certificate(t), 0o600); err != nil {
		t.Fatal(err)
	}
	b.rejectedRead = time.Time{}
	got := b.Rejected()
	if len(got) != 1 || !strings.Contains(got[0].Subject, "client") || got[0].Why != "until 2100-01-01" {
		t.Fatalf("got %+v", got)
	}
	if err := b.Trust(got[0].Thumbprint); err != nil {
		t.Fatal(err)
	}
	if got := b.Rejected(); len(got) != 0 {
		t.Errorf("trusted: got %+v rejected", got)
	}
	store, err := pki.Open(pki.Config{Directory: r.paths.pki, Application: pki.Application{URI: "urn:x", Name: "own"}})
	if err != nil {
		t.Fatal(err)
	}
	if own := b.Identity(); own.Thumbprint != pki.Thumbprint(store.Own().Certificate.Raw) || own.Subject != "CN=own" {
		t.Errorf("got %+v, want the board's own", own)
	}
}

// certificate returns one in DER.
func certificate(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
