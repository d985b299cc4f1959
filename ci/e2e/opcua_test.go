package e2e

import (
	"bufio"
	"cmp"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/tools/crawl"
)

// plant is a node-opcua server with everything that ours should mirror.
type plant struct {
	*rig.Process
	t       *testing.T
	options map[string]any
	url     string
	in      io.WriteCloser
	answers chan map[string]any
}

// startPlant starts ci/peers/plant.js; it may be started again.
func startPlant(t *testing.T, options map[string]any) *plant {
	t.Helper()
	p := &plant{t: t, options: options}
	if options["port"] == nil {
		options["port"] = await.FreePort(t)
	}
	p.start()
	return p
}

func (p *plant) start() {
	p.t.Helper()
	node := rig.Program(p.t, "node", "the whole gateway against node-opcua")
	if os.Getenv("NODE_PATH") == "" {
		p.t.Skip("not proved: the whole gateway against node-opcua, because NODE_PATH does not name its folder " +
			"(make test sets it)")
	}
	script, err := filepath.Abs("../peers/plant.js")
	if err != nil {
		p.t.Fatal(err)
	}
	options, _ := json.Marshal(p.options)
	cmd := exec.Command(node, script, string(options))
	if p.in, err = cmd.StdinPipe(); err != nil {
		p.t.Fatal(err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd.Stdout = w
	p.Process, p.answers = rig.Launch(p.t, cmd), make(chan map[string]any, 16)
	_ = w.Close()
	go func(answers chan<- map[string]any) {
		defer out.Close()
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var a map[string]any
			if json.Unmarshal(lines.Bytes(), &a) == nil {
				answers <- a
			}
		}
	}(p.answers)
	if p.url, _ = p.answer()["ready"].(string); p.url == "" {
		p.t.Fatal("the plant's server did not say that it is ready")
	}
}

func (p *plant) answer() map[string]any {
	p.t.Helper()
	select {
	case a := <-p.answers:
		return a
	case <-p.Done():
		p.t.Fatal("the plant's server ended")
	case <-time.After(tagBound()):
		p.t.Fatal("the plant's server does not answer")
	}
	return nil
}

// do has the plant do something.
func (p *plant) do(command map[string]any) {
	p.t.Helper()
	b, _ := json.Marshal(command)
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		p.t.Fatal(err)
	}
	if a := p.answer(); a["ok"] != true {
		p.t.Fatalf("the plant cannot do %s: %v", b, a["error"])
	}
}

// it is a client on IT's side.
type it struct {
	t     *testing.T
	url   string
	store *pki.Store
	user  client.User
	s     *client.Session

	policy string // with a store; default Aes256_Sha256_RsaPss
}

func (c *it) connect() {
	c.t.Helper()
	if c.s != nil {
		c.s.Close()
	}
	cfg := client.Config{Endpoint: c.url, Policy: "None", ApplicationName: "it", Store: c.store, User: c.user}
	if c.store != nil {
		cfg.Policy, cfg.Mode = cmp.Or(c.policy, "Aes256_Sha256_RsaPss"), ua.MessageSecurityModeSignAndEncrypt
	}
	await.NoError(c.t, "a session at "+c.url, func() (err error) {
		c.s,
			err = client.Connect(c.t.Context(), cfg)
		return err
	})
	c.t.Cleanup(c.s.Close)
}

func tag(name string) rawvalue.NodeID {
	return rawvalue.NodeID{Namespace: 1, Kind: rawvalue.String, Text: "Plant." + name}
}

// read returns a Double and its status; NaN when there is none.
func (c *it) read(name string) (f float64, code ua.StatusCode) {
	c.t.Helper()
	f = math.NaN()
	err := c.s.Read(c.t.Context(), []client.ReadItem{{Node: tag(name), Attribute: ua.AttributeIDValue}}, 0,
		func(_ int, dv rawvalue.DataValue) {
			code = dv.Status
			if dv.Value.Type() == ua.TypeIDDouble && !dv.Value.IsArray() {
				f = math.Float64frombits(binary.LittleEndian.Uint64(dv.Value.Raw[1:]))
			}
		})
	if err != nil {
		return f, ua.StatusBadServerNotConnected
	}
	return f, code
}

// sees waits until a tag reads so at the mirror.
func (c *it) sees(name string, f float64, code ua.StatusCode) {
	c.t.Helper()
	await.NoError(c.t, fmt.Sprintf("%s is %v, %v", name, f, code), func() error {
		if c.s.Err() != nil {
			c.connect()
		}
		got, status := c.read(name)
		if got != f && !(math.IsNaN(f) && math.IsNaN(got)) || status != code {
			return fmt.Errorf("got %v, %v", got, status)
		}
		return nil
	})
}

// mirrorTables is a channel from the plant to a mirror. The plant samples each of its thousands of
// variables once in a publishing interval: at the default of 100 ms that takes it three quarters of a
// processor.
func mirrorTables(p *plant, mirror int, security bool) (tx, rx string) {
	tx, rx = everyValueTables(p, mirror, security)
	return tx + "publishing_interval = \"1s\"\n", rx
}

// everyValueTables is the same for a plant whose values are compared one by one.
func everyValueTables(p *plant, mirror int, security bool) (tx, rx string) {
	tx = fmt.Sprintf("[[opcua]]\nchannel = \"plant\"\nendpoint = %q\n", p.url)
	rx = fmt.Sprintf("[[opcua]]\nchannel = \"plant\"\nlisten = \"opc.tcp://127.0.0.1:%d\"\n", mirror)
	if security {
		return tx + "username = \"joe\"\npassword_file = \"ot.password\"\n", rx + "users_file = \"users\"\n"
	}
	return tx + "security_policy = \"None\"\n", rx + "security = [\"None\"]\nanonymous = true\n"
}

// trustAll trusts what a role has rejected, as an operator would.
func trustAll(t *testing.T, g *gateway, role string) {
	t.Helper()
	rejected := filepath.Join(g.Dir, "state-"+role, "pki", "rejected", "certs")
	await.NoError(t, "a rejected certificate of "+role, func() error {
		files, _ := filepath.Glob(filepath.Join(rejected, "[^.]*")) // a file that is being written is hidden
		if len(files) == 0 {
			return errors.New("none yet")
		}
		for _, f := range files {
			rig.Write(t, filepath.Join(g.Dir, "state-"+role, "pki", "trusted", "certs", filepath.Base(f)),
				rig.Read(t, f))
		}
		return nil
	})
}

// crawl reads all of the server, in a new session when the last one ended: a busy
// server, or one on a busy machine, may end it.
func (c *it) crawl() (*crawl.Snapshot, error) {
	if c.s == nil || c.s.Err() != nil {
		c.connect()
	}
	return crawl.Follow(c.t.Context(), c.s, func(int, int) {})
}

// same wants the mirror to show what the plant shows to the user that TX is. On a busy
// machine one reading takes minutes, so the wait is as long as many take.
func same(t *testing.T, source, mirror *it) {
	t.Helper()
	var before *crawl.Snapshot
	began := time.Now()
	await.Within(t, 3*tagBound(), "the plant is read", func() (err error) {
		before, err = source.crawl()
		return err
	})
	await.Within(t, max(3*tagBound(), 20*time.Since(began)), "the mirror shows what the plant shows", func() error {
		seen, err := mirror.crawl()
		if err != nil {
			return err
		}
		after, err := source.crawl()
		if err != nil {
			return err
		}
		differences := crawl.Compare(before, after, seen)
		before = after
		if len(differences) > 0 {
			return fmt.Errorf("%d differences among %d nodes, such as %v", len(differences), len(after.Nodes),
				differences[:min(5, len(differences))])
		}
		t.Logf("no difference among %d nodes", len(after.Nodes))
		return nil
	})
}

// TestTheMirrorEqualsItsSource is the acceptance of OPC UA: everything
// encrypted, nodesets and hard values, ticking tags, a link with loss and corruption.
func TestTheMirrorEqualsItsSource(t *testing.T) {
	p := startPlant(t, map[string]any{"tags": tagCount(1000), "nodesets": true, "period": 100, "perTick": 10})
	mirror := await.FreePort(t)
	tx, rx := mirrorTables(p, mirror, true)
	g := newGateway(t, rough, tx, rx)
	g.Bound = tagBound()
	rig.Write(t, filepath.Join(g.Dir, "ot.password"), []byte("secret\n"))
	toolWith(t, "geheim\n", "user", "add", filepath.Join(g.Dir, "users"), "ann")
	g.Start()
	trustAll(t, g, "tx")

	store, err := pki.Open(pki.Config{Directory: t.TempDir(),
		Application: pki.Application{URI: "urn:it", Name: "it", Hosts: []string{"127.0.0.1"}},
		Log:         slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var own []byte
	await.NoError(t, "the mirror's certificate", func() error {
		files, _ := filepath.Glob(filepath.Join(g.Dir, "state-rx", "pki", "own", "certs", "*.der"))
		if len(files) == 0 {
			return errors.New("none yet")
		}
		own = rig.Read(t, files[0])
		return nil
	})
	trusted := filepath.Join(g.Dir, "state-rx", "pki", "trusted", "certs", "it.der")
	rig.Write(t, trusted, store.Own().Certificate.Raw)
	trustDER(t, store, own)
	c := &it{t: t, url: fmt.Sprintf("opc.tcp://127.0.0.1:%d", mirror), store: store,
		user: client.User{Name: "ann", Password: "geheim"}}
	g.Ready()
	c.connect()
	trustDER(t, store, plantCertificate(t, g))
	same(t, &it{t: t, url: p.url, store: store, policy: "Basic256Sha256",
		user: client.User{Name: "joe", Password: "secret"}}, c)
	if s := g.RX.Status(); s.Link.Repaired == 0 || s.Link.CRCErrors == 0 {
		t.Errorf("link: got %+v; want repairs and CRC errors", s.Link)
	}
	g.balanced("plant")
	c.user.Password = "guess"
	cfg := client.Config{Endpoint: c.url, Policy: "Aes256_Sha256_RsaPss", Mode: ua.MessageSecurityModeSignAndEncrypt,
		Store: store, User: c.user}
	if _, err := client.Connect(t.Context(), cfg); err == nil {
		t.Error("the mirror accepted a wrong password")
	}
	g.TX.Stop()
	g.RX.Stop()
}

// plantCertificate returns what TX has trusted.
func plantCertificate(t *testing.T, g *gateway) []byte {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(g.Dir, "state-tx", "pki", "trusted", "certs", "*"))
	if len(files) != 1 {
		t.Fatalf("TX trusts %d certificates, want the plant's alone", len(files))
	}
	return rig.Read(t, files[0])
}

func trustDER(t *testing.T, s *pki.Store, der []byte) {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err == nil {
		_, err = s.TrustCertificate(c, false)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// open is a plant and a mirror without security, over a good link.
func openMirror(t *testing.T, options map[string]any, extra string) (*plant, *gateway, *it) {
	t.Helper()
	p := startPlant(t, options)
	mirror := await.FreePort(t)
	tx, rx := mirrorTables(p, mirror, false)
	g := newGateway(t, rough, tx+extra, rx)
	g.Start()
	g.Ready()
	c := &it{t: t, url: fmt.Sprintf("opc.tcp://127.0.0.1:%d", mirror)}
	c.connect()
	return p, g, c
}

// watcher collects what a subscription brings.
type watcher struct {
	mu     sync.Mutex
	values []float64
	events [][]string
}

func (w *watcher) Data(_ uint32, dv rawvalue.DataValue) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if dv.Value.Type() == ua.TypeIDDouble {
		w.values = append(w.values, math.Float64frombits(binary.LittleEndian.Uint64(dv.Value.Raw[1:])))
	}
}

func (w *watcher) Events(_ uint32, fields [][]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var texts []string
	for _, f := range fields {
		texts = append(texts, string(f))
	}
	w.events = append(w.events, texts)
}

func (*watcher) Status(ua.StatusCode)     {}
func (*watcher) Lost(int)                 {}
func (*watcher) Fault(uint32, int, error) {}

func (w *watcher) event(text string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, fields := range w.events {
		if strings.Contains(strings.Join(fields, "|"), text) {
			return nil
		}
	}
	return fmt.Errorf("%d events, none with %q", len(w.events), text)
}

func field(name string) client.SelectClause {
	return client.SelectClause{Path: []rawvalue.QualifiedName{{Name: []byte(name)}}, Attribute: ua.AttributeIDValue}
}

// watch subscribes to a tag and to the events of the Server object.
func (c *it) watch(name string) (*watcher, *client.Subscription) {
	c.t.Helper()
	w := &watcher{}
	sub, err := c.s.Subscribe(c.t.Context(), client.SubscriptionConfig{Interval: 100 * time.Millisecond, KeepAlive: 10,
		Lifetime: 1000}, w)
	if err != nil {
		c.t.Fatal(err)
	}
	items := []client.Item{
		{Node: tag(name), Attribute: ua.AttributeIDValue, Handle: 1, Queue: 100},
		{Node: rawvalue.NodeID{Number: id.Server}, Attribute: ua.AttributeIDEventNotifier, Handle: 2, Queue: 100,
			Filter: client.Events([]client.SelectClause{
				field("Message"), field("SourceName"),
			})},
	}
	err = sub.Monitor(c.t.Context(), items, func(i int, status ua.StatusCode, _ client.Revised) {
		if status != ua.StatusOK {
			c.t.Errorf("item %d: %v", i, status)
		}
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return w, sub
}

// TestTheMirrorOverAUART is the same over one noisy wire, slowly.
func TestTheMirrorOverAUART(t *testing.T) {
	t.Parallel()
	p := startPlant(t, map[string]any{"tags": 500, "period": 100, "perTick": 5})
	mirror := await.FreePort(t)
	tx, rx := mirrorTables(p, mirror, false)
	g := newSerial(t, noise, tx, rx)
	g.Start()
	began := time.Now()
	g.Ready()
	t.Logf("complete after %s", time.Since(began).Round(100*time.Millisecond))
	c := &it{t: t, url: fmt.Sprintf("opc.tcp://127.0.0.1:%d", mirror)}
	c.connect()
	same(t, &it{t: t, url: p.url}, c)
}

func TestWhatHappensInThePlantShowsAtTheMirror(t *testing.T) {
	t.Parallel()
	p, _, c := openMirror(t, map[string]any{"tags": 100}, "")
	w, sub := c.watch("Tag1")
	for i := range 20 {
		p.do(map[string]any{"do": "set", "name": "Tag1", "value": 1000 + i})
		time.Sleep(20 * time.Millisecond) // values come apart
	}
	await.NoError(t, "the last value", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if n := len(w.values); n == 0 || w.values[n-1] != 1019 {
			return fmt.Errorf("got %v", w.values)
		}
		for i := 1; i < len(w.values); i++ {
			if w.values[i] <= w.values[i-1] {
				t.Fatalf("values came out of order: %v", w.values)
			}
		}
		return nil
	})
	p.do(map[string]any{"do": "event", "text": "a press was oiled", "severity": 300})
	await.NoError(t, "an event", func() error { return w.event("a press was oiled") })
	p.do(map[string]any{"do": "alarm", "value": 90})
	await.NoError(t, "an alarm", func() error { return w.event("state is High") })

	late, lateSub := c.watch("Tag2")
	if err := c.s.ConditionRefresh(t.Context(), lateSub); err != nil {
		t.Fatal(err)
	}
	await.NoError(t, "the alarm's state, refreshed", func() error { return late.event("state is High") })

	p.do(map[string]any{"do": "add", "name": "Extra"})
	p.do(map[string]any{"do": "set", "name": "Extra", "value": 7})
	c.sees("Extra", 7, ua.StatusOK)
	await.NoError(t, "a model change event", func() error { return w.event("address space has changed") })
	p.do(map[string]any{"do": "remove", "name": "Extra"})
	c.sees("Extra", math.NaN(), ua.StatusBadNodeIDUnknown)
	_ = sub.Delete(t.Context())
	foreignClient(t, map[string]string{"url": c.url}, func(string) {})
}

func TestEveryPartMayDieAndComeBack(t *testing.T) {
	t.Parallel()
	p, g, c := openMirror(t, map[string]any{"tags": 100}, "")
	p.do(map[string]any{"do": "set", "name": "Tag3", "value": 1})
	c.sees("Tag3", 1, ua.StatusOK)

	t.Log("the plant's server dies")
	p.Kill()
	c.sees("Tag3", 1, ua.StatusUncertainNoCommunicationLastUsableValue)
	p.start()
	p.do(map[string]any{"do": "set", "name": "Tag3", "value": 2})
	c.sees("Tag3", 2, ua.StatusOK)

	t.Log("TX dies")
	g.TX.Kill()
	c.sees("Tag3", 2, ua.StatusUncertainLastUsableValue)
	p.do(map[string]any{"do": "set", "name": "Tag3", "value": 3})
	g.TX.Start()
	c.sees("Tag3", 3, ua.StatusOK)

	t.Log("RX dies")
	g.RX.Kill()
	p.do(map[string]any{"do": "set", "name": "Tag3", "value": 4})
	g.RX.Start()
	c.sees("Tag3", 4, ua.StatusOK)

	t.Log("the link is cut")
	g.Link.Set(linktest.Profile{Loss: 1})
	c.sees("Tag3", 4, ua.StatusUncertainLastUsableValue)
	p.do(map[string]any{"do": "set", "name": "Tag3", "value": 5})
	g.Link.Set(rough)
	c.sees("Tag3", 5, ua.StatusOK)
	same(t, &it{t: t, url: p.url}, c)
}

func TestAServerThatComesBackWithOtherNamespaces(t *testing.T) {
	t.Parallel()
	p, g, c := openMirror(t, map[string]any{"tags": 20, "namespaces": []string{"urn:a", "urn:b"}}, "")
	read := func(namespace uint16, want ua.StatusCode) error {
		if c.s.Err() != nil {
			c.connect()
		}
		var code ua.StatusCode
		id := tag("Tag3")
		id.Namespace = namespace
		err := c.s.Read(t.Context(), []client.ReadItem{{Node: id, Attribute: ua.AttributeIDValue}}, 0,
			func(_ int, dv rawvalue.DataValue) { code = dv.Status })
		if err != nil || code != want {
			return fmt.Errorf("got %v, %v", code, err)
		}
		return nil
	}
	await.NoError(t, "the tag in its namespace", func() error { return read(2, ua.StatusOK) })
	p.Kill()
	p.options["namespaces"] = []string{"urn:c", "urn:a", "urn:b"} // the tags are in the first one now: urn:c
	p.start()
	await.NoError(t, "the mirror has the new table", func() error {
		if err := read(2, ua.StatusOK); err != nil {
			return err
		}
		if names := c.s.Namespaces(); len(names) < 3 || names[2] != "urn:c" {
			c.connect()
			return fmt.Errorf("namespaces are %q", names)
		}
		return nil
	})
	g.TX.Stop()
	g.RX.Stop()
}

func TestExcludedNodesStayInThePlant(t *testing.T) {
	t.Parallel()
	p, _, c := openMirror(t, map[string]any{"tags": 100},
		"exclude = [\"/Objects/Plant/Group0/Tag7\", \"/**/Hard/**\"]\n")
	c.sees("Tag7", math.NaN(), ua.StatusBadNodeIDUnknown)
	c.sees("Tag8", 0, ua.StatusOK)
	_ = p
}
