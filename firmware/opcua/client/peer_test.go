package client

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
	"golang.org/x/sys/unix"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/opcua/rawvalue"
)

// plant is a node-opcua server in a process of its own.
type plant struct {
	endpoint string
	in       io.Writer
}

func startPlant(t *testing.T) plant {
	t.Helper()
	if err := exec.Command("node", "-e", "require.resolve('node-opcua')").Run(); err != nil {
		t.Skip("not proved: our client works with a node-opcua server, because node does not find it (npm " +
			"install node-opcua, and NODE_PATH)")
	}
	src, err := os.ReadFile("testdata/server.js")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "server.js") // NODE_PATH, not a folder above, finds the package
	if err := os.WriteFile(path, src, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", path, folder)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	var hello struct{ Port int }
	for lines := bufio.NewScanner(out); hello.Port == 0 && lines.Scan(); {
		_ = json.Unmarshal(lines.Bytes(), &hello)
	}
	if hello.Port == 0 {
		t.Fatal("the server did not start")
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return plant{fmt.Sprintf("opc.tcp://127.0.0.1:%d", hello.Port), in}
}

func (p plant) command(t *testing.T, command string) {
	t.Helper()
	if _, err := fmt.Fprintln(p.in, command); err != nil {
		t.Fatal(err)
	}
}

// store makes a certificate store of ours that trusts the plant.
func (p plant) store(t *testing.T) *pki.Store {
	t.Helper()
	s, err := pki.Open(pki.Config{Directory: t.TempDir(),
		Application: pki.Application{URI: "urn:us", Name: "us", Hosts: []string{"127.0.0.1"}}})
	if err != nil {
		t.Fatal(err)
	}
	list, err := FindEndpoints(t.Context(), Config{Endpoint: p.endpoint})
	if err != nil {
		t.Fatal(err)
	}
	chain, err := channel.ParseChain(list[0].ServerCertificate)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.TrustCertificate(chain[0], false); err != nil {
		t.Fatal(err)
	}
	return s
}

func userCertificate(t *testing.T) User {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ot"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return User{Certificate: der, Key: key}
}

func TestNodeOPCUAServer(t *testing.T) {
	p := startPlant(t)
	store := p.store(t)
	config := Config{Endpoint: p.endpoint, Policy: "Basic256Sha256", Mode: ua.MessageSecurityModeSignAndEncrypt,
		Store: store,
		User:  User{Name: "ot", Password: "secret"}, ApplicationName: "us", SessionName: "test",
		Timeout: time.Minute}
	t.Run("users and policies", func(t *testing.T) { connectsAs(t, config) })
	s, err := Connect(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, want := s.Limits().NodesPerRead, 100; got != want {
		t.Errorf("got %d nodes per Read, want %d", got, want)
	}
	if got := s.Server(); got.ProductName != "plant" || got.ApplicationURI != "urn:plant:server" ||
		time.Since(got.StartTime) > time.Hour {
		t.Errorf("got %+v", got)
	}
	if got := s.Namespaces(); !slices.Equal(got, []string{"http://opcfoundation.org/UA/", "urn:plant:server"}) {
		t.Errorf("got namespaces %q", got)
	}
	t.Run("browse", func(t *testing.T) { crawls(t, s) })
	t.Run("read", func(t *testing.T) { readsAll(t, s) })
	t.Run("subscribe", func(t *testing.T) { followsChanges(t, p, s) })
	p.command(t, "die")
	select {
	case <-s.Done():
		// Reset, where the server dies before it has read all.
		if err := s.Err(); !errors.Is(err, ua.StatusBadConnectionClosed) && !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("got %v, want that the connection was closed", err)
		}
	case <-time.After(await.Bound):
		t.Error("got a session that outlives its server")
	}
}

func connectsAs(t *testing.T, good Config) {
	certificate := userCertificate(t)
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   ua.StatusCode
	}{
		{"user and password", func(c *Config) {}, 0},
		{"user certificate", func(c *Config) { c.User = certificate }, 0},
		{"anonymous", func(c *Config) { c.User = User{} }, 0},
		{"wrong password", func(c *Config) { c.User.Password = "wrong" }, ua.StatusBadUserAccessDenied},
		{"Aes128, signed", func(c *Config) {
			c.Policy, c.Mode = "Aes128_Sha256_RsaOaep",
				ua.MessageSecurityModeSign
		}, 0},
		{"Aes256", func(c *Config) { c.Policy = ua.SecurityPolicyURIAes256Sha256RsaPss }, 0},
		{"None, encrypted password", func(c *Config) { c.Policy, c.Mode = "None", ua.MessageSecurityModeNone },
			0},
		{"None, without a store", func(c *Config) {
			c.Policy, c.Mode, c.Store = "None",
				ua.MessageSecurityModeNone, nil
		}, ua.StatusBadIdentityTokenRejected},
		{"what is not offered", func(c *Config) { c.Policy = "Basic128Rsa15" },
			ua.StatusBadSecurityPolicyRejected},
		{"a server that is not trusted", func(c *Config) {
			c.Store, _ = pki.Open(pki.Config{Directory: t.TempDir(),
				Application: pki.Application{URI: "urn:us", Name: "us"}})
		}, ua.StatusBadCertificateUntrusted},
	} {
		c := good
		test.change(&c)
		s, err := Connect(t.Context(), c)
		if got := codeOf(err); got != test.want {
			t.Errorf("%s: got %v, want %s", test.name, err, codeName(test.want))
		}
		if s != nil {
			s.Close()
		} else {
			t.Logf("%s: %v", test.name, err)
		}
	}
}

// crawls walks all of the address space, over two continuation points.
func crawls(t *testing.T, s *Session) {
	start := time.Now()
	seen := map[rawvalue.NodeID]bool{{Number: id.RootFolder}: true}
	references, plant := 0, 0
	for level := []rawvalue.NodeID{{Number: id.RootFolder}}; len(level) > 0; {
		var next []rawvalue.NodeID
		err := s.Browse(t.Context(), level, func(i int, status ua.StatusCode, refs []addrspace.Reference) {
			if isBad(status) {
				t.Errorf("%v: %v", level[i], status)
			}
			if references += len(refs); level[i] == (rawvalue.NodeID{Namespace: 1, Kind: rawvalue.String,
				Text: "Plant"}) {
				plant = len(refs)
			}
			for _, r := range refs {
				if !seen[r.Target] && r.External == "" {
					seen[r.Target] = true
					next = append(next, r.Target)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		level = next
	}
	if plant != 3003 { // tags, structure, folder, type
		t.Errorf("got %d references of the plant, want 3003", plant)
	}
	t.Logf("%d nodes, %d references in %v", len(seen), references, time.Since(start))
}

func tag(i int) ReadItem {
	return ReadItem{rawvalue.NodeID{Namespace: 1, Number: uint32(10_000 + i)}, ua.AttributeIDValue}
}

func double(dv rawvalue.DataValue) float64 {
	if dv.Value.Type() != ua.TypeIDDouble {
		return math.NaN()
	}
	c := rawvalue.NewCursor(dv.Value.Elements(), rawvalue.Limits{})
	return math.Float64frombits(uint64(c.Int64()))
}

func readsAll(t *testing.T, s *Session) {
	items := []ReadItem{{rawvalue.NodeID{Namespace: 1, Kind: rawvalue.String, Text: "Structure"},
		ua.AttributeIDValue}}
	for i := range 3000 {
		items = append(items, tag(i))
	}
	got := 0
	err := s.Read(t.Context(), items, 0, func(i int, dv rawvalue.DataValue) {
		got++
		if e, ok := dv.Value.ExtensionObject(); i == 0 && (!ok || len(e.Body) == 0) {
			t.Errorf("got %x, want a structure", dv.Raw)
		} else if i > 0 && double(dv) != float64(i-1) {
			t.Errorf("tag %d: got %v", i-1, double(dv))
		}
	})
	if err != nil || got != len(items) {
		t.Errorf("got %v and %d values, want %d", err, got, len(items))
	}
}

// follow is a Handler that records notifications.
type follow struct {
	values map[uint32]float64
	seen   chan map[uint32]float64
	events chan int
	t      *testing.T
}

func (f *follow) Data(handle uint32, dv rawvalue.DataValue) {
	f.values[handle] = double(dv)
	if len(f.values) == 3000 {
		f.seen <- f.values
		f.values = map[uint32]float64{}
	}
}
func (f *follow) Events(_ uint32, fields [][]byte)           { f.events <- len(fields) }
func (f *follow) Status(code ua.StatusCode)                  { f.t.Errorf("got status %v", code) }
func (f *follow) Lost(n int)                                 { f.t.Errorf("got %d messages lost", n) }
func (f *follow) Fault(handle uint32, behind int, err error) { f.t.Errorf("item %d: %v", handle, err) }

func followsChanges(t *testing.T, p plant, s *Session) {
	f := &follow{values: map[uint32]float64{}, seen: make(chan map[uint32]float64, 8), events: make(chan int, 8),
		t: t}
	sub, err := s.Subscribe(t.Context(), SubscriptionConfig{Interval: 100 * time.Millisecond, KeepAlive: 100,
		MaxNotifications: 500}, f)
	if err != nil {
		t.Fatal(err)
	}
	fields := Events([]SelectClause{{Path: []rawvalue.QualifiedName{{Name: []byte("EventId")}}},
		{Path: []rawvalue.QualifiedName{{Name: []byte("Message")}}}})
	items := []Item{{Node: rawvalue.NodeID{Number: id.Server}, Attribute: ua.AttributeIDEventNotifier, Handle: 9999,
		Queue: 10, Filter: fields}}
	for i := range 3000 {
		items = append(items, Item{Node: tag(i).Node, Attribute: ua.AttributeIDValue, Handle: uint32(i),
			Queue: 2, Filter: DataChange(ua.DataChangeTriggerStatusValueTimestamp)})
	}
	err = sub.Monitor(t.Context(), items, func(i int, status ua.StatusCode, _ Revised) {
		if isBad(status) {
			t.Errorf("item %d: %v", i, status)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		for h, v := range await.Receive(t, fmt.Sprintf("round %d: a value of each of 3000 tags", round), f.seen) {
			if want := float64(round*10_000 + int(h)); v != want {
				t.Errorf("round %d, tag %d: got %v, want %v", round, h, v, want)
			}
		}
		p.command(t, "change")
	}
	await.Receive(t, "the last values", f.seen)
	p.command(t, "event")
	if n := await.Receive(t, "an event", f.events); n != 2 {
		t.Errorf("got %d event fields, want 2", n)
	}
	if err := s.ConditionRefresh(context.Background(), sub); err != nil {
		t.Errorf("ConditionRefresh: %v", err)
	}
	for range 2 { // RefreshStart and RefreshEnd
		await.Receive(t, "an answer to ConditionRefresh", f.events)
	}
	if err := sub.Unmonitor(t.Context(), []uint32{1, 2, 3, 9999}); err != nil {
		t.Error(err)
	}
	if err := sub.Delete(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNodeOPCUAServerThatShutsDownEndsTheSession(t *testing.T) {
	p := startPlant(t)
	s, err := Connect(t.Context(), Config{Endpoint: p.endpoint, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p.command(t, "shutdown")
	select {
	case <-s.Done():
		t.Log(s.Err())
	case <-time.After(await.Bound):
		t.Error("got a session that outlives its server")
	}
}
