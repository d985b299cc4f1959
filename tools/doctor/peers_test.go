package doctor_test

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/ci/rig/mosquitto"
	"heliograph/firmware/opcua/pki"
	"heliograph/tools/doctor"
)

// server is one of testdata/servers.js.
type server struct {
	Port        int
	Certificate []byte
}

// startServers starts four servers of node-opcua in one process.
func startServers(t *testing.T) map[string]server {
	t.Helper()
	node := rig.Program(t, "node", "what doctor finds at servers of node-opcua")
	if os.Getenv("NODE_PATH") == "" {
		t.Skip("not proved: what doctor finds at servers of node-opcua, because NODE_PATH does not name its folder " +
			"(make test sets it)")
	}
	args := []string{"testdata/servers.js", t.TempDir()}
	for range 4 {
		args = append(args, fmt.Sprint(await.FreePort(t)))
	}
	cmd := exec.Command(node, args...)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	p := rig.Launch(t, cmd)
	_ = w.Close()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			if strings.HasPrefix(s.Text(), "{") {
				lines <- s.Text()
			}
		}
	}()
	go func() { <-p.Done(); _ = out.Close() }()
	var all map[string]server
	if err := json.Unmarshal([]byte(await.Receive(t, "the servers", lines)), &all); err != nil {
		t.Fatalf("%v\n%s", err, p.Log())
	}
	return all
}

// TestWhatAServerOrThisSideDoesNotAccept has one finding for each way in which a session of
// OPC UA fails.
func TestWhatAServerOrThisSideDoesNotAccept(t *testing.T) {
	servers := startServers(t)
	for name, c := range map[string]struct {
		server      string
		host        string // of the endpoint, 127.0.0.1 unless given
		keys        string // of the channel's table
		distrusted  bool   // by this side
		late        bool   // this side's clock is 10:30 min behind, of which an answer may take half a minute
		unsigned    bool   // this side has no certificate of its own yet
		code        string // "" for no finding
		cause, cure string
	}{
		"a session": {server: "open"},
		"a server that is not trusted here": {server: "open", distrusted: true, code: "server-untrusted",
			cause: "THUMBPRINT", cure: "heliograph trust add --config CONFIG THUMBPRINT"},
		"no certificate, a server that is not trusted": {server: "open", distrusted: true, unsigned: true,
			code: "server-untrusted", cause: "THUMBPRINT", cure: "start heliotx once"},
		"no certificate": {server: "open", unsigned: true, code: "no-certificate", cause: "heliotx",
			cure: "heliograph cert new --config CONFIG"},
		"a server that does not trust this side": {server: "strict", code: "client-untrusted", cause: "does not trust",
			cure: "heliograph cert export --config CONFIG heliotx.der"},
		"a certificate that is not valid yet": {server: "future", code: "certificate-time", cause: "is valid from",
			cure: `tolerate = ["dates"]`},
		"a certificate of another application": {server: "renamed", code: "application-uri", cause: "ApplicationUri",
			cure: "make another certificate"},
		"another host name": {server: "open", host: "localhost", code: "host-name", cause: "opc.tcp://localhost",
			cure: `tolerate = ["host_name"]`},
		"another policy": {server: "open", keys: "security_policy = \"Aes128_Sha256_RsaOaep\"\n", code: "policy",
			cause: "does not offer", cure: `security_policy = "Basic256Sha256" and security_mode = "SignAndEncrypt"`},
		"another mode": {server: "open", keys: "security_mode = \"Sign\"\n", code: "policy", cause: "it offers",
			cure: `security_mode = "SignAndEncrypt"`},
		"another password": {server: "open", keys: "username = \"joe\"\npassword_file = \"wrong\"\n", code: "user",
			cause: "refuses the user", cure: "username and password_file"},
		"another time": {server: "open", late: true, code: "clock", cause: "differs by 10m", cure: "set the wrong " +
			"clock"},
		"no user": {server: "open", keys: "\n", code: "user", cause: "refuses the user", cure: "username"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.host == "" {
				c.host = "127.0.0.1"
			}
			if c.keys == "" || strings.HasPrefix(c.keys, "security") {
				c.keys += "username = \"joe\"\npassword_file = \"right\"\n"
			}
			s := newSite(t, "tx", "")
			s.write("right", "secret")
			s.write("wrong", "hunter2")
			b, _ := os.ReadFile(s.path("tx.toml"))
			s.write("tx.toml", string(b)+fmt.Sprintf("[[opcua]]\nchannel = \"o\"\nendpoint = \"opc.tcp://%s:%d\"\n%s",
				c.host, servers[c.server].Port, c.keys))
			print := trustServer(t, s, servers[c.server], c.distrusted, c.unsigned)
			if c.late {
				s.more.Now = func() time.Time { return time.Now().Add(-10*time.Minute - 30*time.Second) }
			}
			r := s.examine()
			replace := strings.NewReplacer("CONFIG", s.path("tx.toml"), "THUMBPRINT", print).Replace
			if c.code != "" {
				finds(t, r, c.code, replace(c.cause), replace(c.cure))
			}
			only(t, r, c.code, map[bool]string{true: "no-certificate"}[c.unsigned])
		})
	}
}

// trustServer makes a side's certificates, and returns the thumbprint of the server's.
func trustServer(t *testing.T, s *site, of server, distrusted, unsigned bool) string {
	t.Helper()
	crt, err := x509.ParseCertificate(of.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	app := pki.Application{}
	certificates, err := pki.Open(pki.Config{Directory: s.path("state/pki"), Application: app})
	if !unsigned {
		certificates = s.identity()
	}
	if err == nil && !distrusted {
		_, err = certificates.TrustCertificate(crt, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	return pki.Thumbprint(of.Certificate)
}

// TestWhatABrokerDoesNotAccept has one finding for each way in which a connection of MQTT
// fails, and looks at what is left at the broker.
func TestWhatABrokerDoesNotAccept(t *testing.T) {
	table := func(address, keys string) string {
		return "[[mqtt]]\nchannel = \"m\"\nbroker = \"mqtt://" + address + "\"\n" + keys
	}
	examine := func(t *testing.T, role, tables string) doctor.Result {
		t.Helper()
		s := newSite(t, role, "")
		s.write("password", "secret")
		b, _ := os.ReadFile(s.path(role + ".toml"))
		s.write(role+".toml", string(b)+tables)
		return s.examine()
	}
	t.Run("a broker that lets everyone in", func(t *testing.T) {
		dir, port := t.TempDir(), await.FreePort(t)
		b := rig.MosquittoIn(t, dir, port, mosquitto.Persistent)
		keepSession(t, port)
		for _, version := range []string{"5", "3.1.1"} {
			for _, role := range []string{"tx", "rx"} {
				only(t, examine(t, role, table(fmt.Sprintf("127.0.0.1:%d", port), "version = \""+version+"\"\n")))
			}
		}
		b.Stop() // saves the sessions
		kept := string(rig.Read(t, filepath.Join(dir, "mosquitto.db")))
		if !strings.Contains(kept, "session-of-the-test") || strings.Contains(kept, "-doctor") {
			t.Errorf("the broker keeps other sessions than the test's: %q", kept)
		}
	})
	t.Run("a broker that knows another user", func(t *testing.T) {
		b := mosquitto.Start(t, "what doctor finds at a broker that asks for a password", "allow_anonymous false\n")
		for _, version := range []string{"5", "3.1.1"} {
			keys := "username = \"ot\"\npassword_file = \"password\"\nversion = \"" + version + "\"\n"
			r := examine(t, "tx", table(b.Address, keys))
			finds(t, r, "mqtt-user", "refuses the user", "set username and password_file in [[")
		}
		finds(t, examine(t, "rx", table(b.Address, "")), "mqtt-user", "refuses the user", "username")
	})
	t.Run("a broker with another version", func(t *testing.T) {
		address := startMochi(t, 5, true)
		finds(t, examine(t, "tx", table(address, "version = \"3.1.1\"\n")), "mqtt-version", "refuses this version",
			`version = "auto"`)
	})
	t.Run("a broker whose access rules refuse a topic", func(t *testing.T) {
		address := startMochi(t, 3, false)
		r := examine(t, "tx", table(address, "topics = [\"plant/#\"]\n"))
		finds(t, r, "mqtt-acl", "plant/#", "let the user subscribe there")
	})
	t.Run("a broker of an unknown authority", func(t *testing.T) {
		r := examine(t, "tx", strings.Replace(table(tlsListener(t), ""), "mqtt://", "mqtts://", 1))
		finds(t, r, "tls-untrusted", "not of a known authority", `ca_file = "ca.pem"`)
	})
}

// keepSession leaves a session at a broker.
func keepSession(t *testing.T, port int) {
	t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker(fmt.Sprintf("tcp://127.0.0.1:%d", port)).
		SetClientID("session-of-the-test").SetCleanSession(false))
	defer c.Disconnect(0)
	if token := c.Connect(); !token.WaitTimeout(await.Bound) || token.Error() != nil {
		t.Fatal(token.Error())
	}
}

// door lets everyone in, and to all topics or to none.
type door struct {
	mochi.HookBase
	allows bool
}

func (*door) ID() string { return "door" }

func (*door) Provides(b byte) bool { return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck }

func (*door) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }

func (d *door) OnACLCheck(*mochi.Client, string, bool) bool { return d.allows }

// startMochi starts a broker in this process, with the least version that it takes.
func startMochi(t *testing.T, least byte, allows bool) string {
	t.Helper()
	capabilities := mochi.NewDefaultServerCapabilities()
	capabilities.MinimumProtocolVersion = least
	s := mochi.New(&mochi.Options{Capabilities: capabilities, Logger: slog.New(slog.DiscardHandler)})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		err = s.AddHook(&door{allows: allows}, nil)
	}
	if err == nil {
		err = s.AddListener(listeners.NewNet("l", l))
	}
	if err == nil {
		err = s.Serve()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return l.Addr().String()
}
