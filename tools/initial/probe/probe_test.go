package probe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/ci/rig/mosquitto"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/opcua/server"
	"heliograph/tools/plant"
)

// nodeServer starts ci/peers/plant.js and returns its URL.
func nodeServer(t *testing.T) string {
	t.Helper()
	const proves = "probing a node-opcua server"
	node := rig.Program(t, "node", proves)
	if os.Getenv("NODE_PATH") == "" {
		t.Skipf("not proved: %s, because NODE_PATH does not name its folder (make test sets it)", proves)
	}
	script, err := filepath.Abs("../../../ci/peers/plant.js")
	if err != nil {
		t.Fatal(err)
	}
	options, _ := json.Marshal(map[string]any{"port": await.FreePort(t), "tags": 50})
	cmd := exec.Command(node, script, string(options))
	in, err := cmd.StdinPipe() // it ends with its input
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	cmd.Stdout = w
	rig.Launch(t, cmd)
	_ = w.Close()
	ready := make(chan string, 1)
	go func() {
		var said struct{ Ready string }
		for lines := bufio.NewScanner(out); said.Ready == "" && lines.Scan(); {
			_ = json.Unmarshal(lines.Bytes(), &said)
		}
		ready <- said.Ready
	}()
	url := await.Receive(t, "the server is ready", ready)
	if url == "" {
		t.Fatal("the server ended")
	}
	return url
}

func TestARealServerIsAskedForAllThatIsShown(t *testing.T) {
	t.Parallel()
	url := nodeServer(t)
	s, err := Endpoints(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	var offered []string
	for _, e := range s.Endpoints {
		offered = append(offered, e.Security)
		if slices.Sort(e.Users); !slices.Equal(e.Users, []string{"anonymous", "certificate", "name and password"}) ||
			!e.Usable {
			t.Errorf("%+v", e)
		}
	}
	want := []string{"Aes256_Sha256_RsaPss/SignAndEncrypt", "Basic256Sha256/SignAndEncrypt",
		"Aes256_Sha256_RsaPss/Sign", "Basic256Sha256/Sign", "None"}
	if !slices.Equal(offered, want) || s.Application != "urn:heliograph:plant" || s.Certificate == nil ||
		s.Certificate.Subject != "CN=plant" || len(s.Certificate.Thumbprint) != 40 {
		t.Fatalf("got %q, want %q; %+v", offered, want, s)
	}
	l := Login{URL: url, Security: want[0], Name: "joe", Password: "wrong"}
	if _, _, err := Connect(t.Context(), l, &s); !errors.Is(err, ua.StatusBadUserAccessDenied) {
		t.Error("with a wrong password:", err)
	}
	for _, security := range []string{want[0], "None"} {
		l.Security, l.Password = security, "secret"
		session, end, err := Connect(t.Context(), l, &s)
		if err != nil {
			t.Fatal(security, err)
		}
		space, err := Browse(t.Context(), session, Bounds{Nodes: 500, Time: time.Hour}, func(int, int) {})
		end()
		if err != nil || space.Nodes != 500 || space.Known <= 500 || space.Cut == "" || space.Bytes < 10_000 {
			t.Errorf("%s: %v %+v", security, err, space)
		}
	}
}

func TestABrowseCountsAllAndEndsAtItsBounds(t *testing.T) {
	t.Parallel()
	p, err := plant.NewServer(300)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var s Server
	await.NoError(t, "its endpoints", func() (err error) { s, err = Endpoints(t.Context(), p.Endpoint); return err })
	if s.Certificate != nil || s.Strongest() != "None" {
		t.Fatal(s)
	}
	session, end, err := Connect(t.Context(), Login{URL: p.Endpoint, Security: "None"}, &s)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	browse := func(b Bounds) (space Space, calls int) {
		t.Helper()
		space, err := Browse(t.Context(), session, b, func(int, int) { calls++ })
		if err != nil {
			t.Fatal(err)
		}
		return space, calls
	}
	all, calls := browse(Bounds{Nodes: 1e6, Time: time.Hour})
	kinds := all.Variables + all.Objects + all.Types + all.Methods
	if all.Cut != "" || all.Variables < 300 || all.Types < 100 || all.Nodes != all.Known || calls < all.Nodes/batch ||
		kinds > all.Nodes || all.Bytes < 300*(9+recordHead) {
		t.Errorf("%d calls, %+v", calls, all)
	}
	few, _ := browse(Bounds{Nodes: 100, Time: time.Hour})
	if few.Cut != "at the bound of nodes" || few.Nodes != 100 || few.Bytes >= all.Bytes {
		t.Errorf("%+v", few)
	}
	none, _ := browse(Bounds{Nodes: 1e6, Time: time.Nanosecond})
	if none.Cut != "after 1ns" || none.Nodes >= all.Nodes { // one request may be answered before the clock is read
		t.Errorf("%+v", none)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Browse(ctx, session, Bounds{Nodes: 1, Time: time.Hour}, nil); err == nil {
		t.Error("an interrupt is no error")
	}
}

func TestAServerThatTrustsNoOneRefusesTheLogin(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	store, err := pki.Open(pki.Config{Directory: t.TempDir(), Log: log,
		Application: pki.Application{URI: "urn:strict", Name: "strict", Hosts: []string{"elsewhere"}}})
	if err != nil {
		t.Fatal(err)
	}
	url := "opc.tcp://" + await.FreeAddress(t)
	strict, err := server.New(server.Config{Listen: url, Store: store, ApplicationURI: "urn:strict",
		Space: addrspace.New(),
		Log:   log, Anonymous: true, Security: []channel.Security{{
			Policy: ua.SecurityPolicyURIBasic256Sha256, Mode: ua.MessageSecurityModeSignAndEncrypt}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- strict.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	var s Server
	await.NoError(t, "its endpoints", func() (err error) { s, err = Endpoints(ctx, url); return err })
	if s.Strongest() != "Basic256Sha256/SignAndEncrypt" {
		t.Errorf("%+v", s)
	}
	_, _, err = Connect(ctx, Login{URL: url, Security: s.Strongest()}, &s)
	if !errors.Is(err, ua.StatusBadSecurityChecksFailed) {
		t.Error(err)
	}
	if c := s.Certificate; !slices.Equal(c.Tolerate, []string{"host_name"}) || len(c.Faults) != 1 ||
		!strings.Contains(c.Faults[0], "127.0.0.1") {
		t.Errorf("%+v", c)
	}
}

func TestWhatAServerSaysDisturbsNoTerminal(t *testing.T) {
	t.Parallel()
	if got := printable("a\x1b[31m\u202e\xff" + strings.Repeat("ü", 200)); got != "a?[31m??"+strings.Repeat("ü",
		92)+"…" {
		t.Errorf("%q", got)
	}
}

func TestARealBrokerSaysWhomItTakes(t *testing.T) {
	t.Parallel()
	passwords := filepath.Join(t.TempDir(), "passwords")
	tool := rig.Program(t, "mosquitto_passwd", "a login at mosquitto")
	if out, err := exec.Command(tool, "-b", "-c", passwords, "ot", "secret").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	b := mosquitto.Start(t, "a login at mosquitto",
		"allow_anonymous false\npassword_file "+passwords+"\nmax_packet_size 4000\n")
	ask := func(name, password string) (Welcome, error) {
		return Welcomes(t.Context(), Broker{URL: b.URL(), Name: name, Password: password})
	}
	w, err := ask("ot", "secret")
	if err != nil || w.Version != "5" || !slices.Contains(w.Limits, "packets of at most 4000 bytes") {
		t.Errorf("%v %+v", err, w)
	}
	for name, password := range map[string]string{"ot": "wrong", "": ""} {
		if _, err := ask(name, password); err == nil || !strings.Contains(err.Error(),
			"not authorized: it wants another") {
			t.Error(name, err)
		}
	}
}

// brokerThat answers each connection with what it is given, in order, and then hangs up.
func brokerThat(t *testing.T, answers ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for _, answer := range answers {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1000))
			_, _ = io.WriteString(c, answer)
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}()
	return "mqtt://" + l.Addr().String()
}

func TestWhatABrokerAnswersIsSaidInWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers []string
		version string
		want    string // of the error
	}{
		"MQTT 5":                 {[]string{"\x20\x03\x00\x00\x00"}, "5", ""},
		"3.1.1 by code 1":        {[]string{"\x20\x02\x00\x01", "\x20\x02\x00\x00"}, "3.1.1", ""},
		"3.1.1 by reason 0x84":   {[]string{"\x20\x03\x00\x84\x00", "\x20\x02\x00\x00"}, "3.1.1", ""},
		"3.1.1 after hanging up": {[]string{"", "\x20\x02\x00\x00"}, "3.1.1", ""},
		"hangs up twice":         {[]string{"", ""}, "", "hung up without an answer: is it an MQTT broker"},
		"a wrong password in 3.1.1": {[]string{"", "\x20\x02\x00\x04"}, "",
			"(MQTT 3.1.1, code 0x4): wrong name or password"},
		"banned": {[]string{"\x20\x03\x00\x8a\x00"}, "",
			"(MQTT 5, code 0x8a): this client is banned"},
		"a code that is not known": {[]string{"\x20\x03\x00\xf0\x00"}, "", "its log says why"},
		"another protocol": {[]string{"HTTP/1.1 400 Bad Request\r\n\r\n"}, "",
			"is not MQTT: check the address and its port"},
		"a packet without end":          {[]string{"\x20\xff\xff\xff\x7f"}, "", "268435455 bytes and is not MQTT"},
		"an empty packet":               {[]string{"\x20\x00"}, "", "0 bytes and is not MQTT"},
		"properties that are malformed": {[]string{"\x20\x05\x00\x00\x02\xff\xff"}, "", "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := Welcomes(t.Context(), Broker{URL: brokerThat(t, c.answers...)})
			if w.Version != c.version || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(),
				c.want) {
				t.Errorf("%+v %v", w, err)
			}
		})
	}
}

func TestWhatIsNotAnOPCUAServerIsNamedAsThat(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ address, want string }{
		"it hangs up":      {brokerThat(t, ""), "is it the OPC UA server? check the port"},
		"another protocol": {brokerThat(t, "HTTP/1.1 400 No\r\n\r\n"), "is it the OPC UA server? check the port"},
		"an MQTT broker":   {brokerThat(t, "\x20\x02\x00\x00"), "is it the OPC UA server? check the port"},
		"nothing":          {"mqtt://" + await.FreeAddress(t), "connection refused: is the OPC UA server running"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := strings.Replace(c.address, "mqtt:", "opc.tcp:", 1)
			_, err := Endpoints(t.Context(), url)
			if err == nil || !strings.HasPrefix(err.Error(), "connecting to "+url+": ") ||
				!strings.HasSuffix(strings.TrimSuffix(err.Error(), ", and is the port its own?"), c.want) {
				t.Error(err)
			}
		})
	}
	err := unreachable("opc.tcp://x", "OPC UA server", &net.DNSError{Name: "x"})
	if !strings.Contains(err.Error(), "no address of host x is found") {
		t.Error(err)
	}
}

func TestABrokerWithoutTLSIsNamedAsThat(t *testing.T) {
	t.Parallel()
	url := strings.Replace(brokerThat(t, "HTTP/1.1 400 Bad Request\r\n\r\n"), "mqtt:", "mqtts:", 1)
	if _, err := Welcomes(t.Context(), Broker{URL: url}); err == nil || !strings.Contains(err.Error(),
		"TLS with "+url) {
		t.Error(err)
	}
}

func FuzzConnack(f *testing.F) {
	f.Add([]byte("\x20\x03\x00\x00\x00"))
	f.Add([]byte("\x20\x0b\x00\x00\x08\x27\x00\x00\x0f\xa0\x21\x00\x14"))
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := readConnack(bytes.NewReader(b))
		if err != nil {
			return
		}
		if w, err := answer5(body); (err == nil) != (w.Version == "5") {
			t.Errorf("%+v %v", w, err)
		}
	})
}
