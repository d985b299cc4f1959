package nodes

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/server"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/rx/announce"
	"heliograph/tools/crawl"
	"heliograph/tools/plant/nodeset"
)

func TestNamespace0IsThatOfTheStandard(t *testing.T) {
	set, err := nodeset.Base()
	if err != nil {
		t.Fatal(err)
	}
	standard := map[rawvalue.NodeID]addrspace.Node{}
	for _, n := range set.Nodes {
		standard[n.ID] = n
	}
	list, err := base()
	if err != nil {
		t.Fatal(err)
	}
	known := map[uint32]bool{}
	for _, d := range list {
		known[d.id.Number] = true
	}
	compared := []ua.AttributeID{ua.AttributeIDNodeClass, ua.AttributeIDBrowseName, ua.AttributeIDIsAbstract,
		ua.AttributeIDDataType, ua.AttributeIDValueRank}
	for _, d := range list {
		want := map[ua.AttributeID]string{}
		for _, a := range standard[d.id].Attributes {
			want[a.ID] = string(a.Value)
		}
		got := map[ua.AttributeID]string{}
		for _, a := range d.attributes() {
			got[a.ID] = string(a.Value)
		}
		for _, a := range compared {
			if got[a] != want[a] {
				t.Errorf("%s: %s: got %q, want %q", d.name, a, got[a], want[a])
			}
		}
		for _, c := range d.changes() {
			for _, r := range c.Node.References {
				if !hasReference(standard[c.Node.ID], r) {
					t.Errorf("%s: the standard has no reference %+v", d.name, r)
				}
			}
		}
		if !known[d.definition] && d.definition != 0 || d.class == ua.NodeClassVariable && !known[d.dataType] {
			t.Errorf("%s: its type %d or data type %d is not here", d.name, d.definition, d.dataType)
		}
	}
}

func hasReference(n addrspace.Node, want addrspace.Reference) bool {
	for _, r := range n.References {
		if r == want {
			return true
		}
	}
	return false
}

// gateway is a server whose state a test sets.
type gateway struct {
	*Server
	snapshot status.Snapshot
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// start runs a server with a channel, which a test may change and then update.
func start(t *testing.T) (*gateway, string) {
	t.Helper()
	g := &gateway{snapshot: status.Snapshot{
		Boards: []status.Board{{Role: "rx", Version: "1.2.3"}}, Link: status.Link{Medium: "udp", Frames: 7},
		Channels: map[string]status.Channel{"cell-1": {SourceState: "up", Complete: status.Of(true)}},
		Trust:    &status.Trust{Level: status.Yes, Sentence: "Yes.", Since: noon, Reasons: []status.TrustReason{}},
	}}
	address := "opc.tcp://" + await.FreeAddress(t)
	s, err := New(server.Config{Listen: address, ApplicationURI: "urn:test", Anonymous: true,
		Security: []channel.Security{{Policy: ua.SecurityPolicyURINone, Mode: ua.MessageSecurityModeNone}}},
		func() map[string]any { return announce.Parts(g.snapshot) }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	g.Server = s
	s.update()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.server.Run(ctx) }() // without the clock of Run: the test updates
	t.Cleanup(func() { stop(); <-ended })
	await.True(t, "the server listens", func() bool { return s.Ready() == nil })
	return g, address
}

func connect(t *testing.T, address string) *client.Session {
	t.Helper()
	s, err := client.Connect(await.Context(t), client.Config{Endpoint: address, Policy: "None"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// read returns the values of nodes, as text.
func read(t *testing.T, s *client.Session, paths ...string) string {
	t.Helper()
	var items []client.ReadItem
	for _, p := range paths {
		items = append(items, client.ReadItem{Node: own(p), Attribute: ua.AttributeIDValue})
	}
	got := make([]string, len(paths))
	err := s.Read(await.Context(t), items, 0, func(i int, dv rawvalue.DataValue) {
		var v ua.DataValue
		if _, err := v.Decode(dv.Raw); err != nil {
			t.Errorf("%s: %v", paths[i], err)
		}
		got[i] = v.Status.Error()
		if v.Status == ua.StatusOK {
			got[i] = fmt.Sprint(v.Value.Value())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(got, "|")
}

func TestTheStateIsRead(t *testing.T) {
	g, address := start(t)
	s := connect(t, address)
	paths := []string{"trust/level", "trust/since", "trust/reasons", "link/frames", "channel/cell-1/complete",
		"channel/cell-1/source_state", "board/rx/version"}
	if got, want := read(t, s, paths...), "yes|2026-11-23 12:00:00 +0000 UTC|[]|7|true|up|1.2.3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := read(t, s, "channel/cell-1/lost", "channel/cell-2/lost"); strings.Contains(got, "0|") ||
		!strings.Contains(got, "BadNodeIDUnknown") {
		t.Errorf("not known, and not there: got %s", got)
	}
	if got := g.Clients(); len(got) != 1 {
		t.Errorf("clients: got %+v, want this one", got)
	}
	g.snapshot.Trust = &status.Trust{Level: status.No, Since: noon,
		Reasons: []status.TrustReason{{Channel: "cell-1", Text: "source down"}, {Text: "silent"}}}
	g.snapshot.Channels = map[string]status.Channel{"cell-1": {SourceState: "down"},
		"cell-2": {Lost: status.Of[uint64](3)}}
	g.update()
	if got, want := read(t, s, "trust/level", "trust/reasons", "channel/cell-1/source_state", "channel/cell-2/lost"),
		"no|[cell-1: source down silent]|down|3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := read(t, s, "channel/cell-1/complete"); !strings.Contains(got, "BadNoData") {
		t.Errorf("no more known: got %s", got)
	}
}

// A client that walks the whole server finds each node once, with a type and a name.
func TestTheWholeServerIsBrowsed(t *testing.T) {
	_, address := start(t)
	all, err := crawl.Follow(await.Context(t), connect(t, address), func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{root, "trust", "channel", "channel/cell-1", "channel/cell-1/lost",
		"board/rx/version"} {
		if _, ok := all.Nodes[own(path)]; !ok {
			t.Errorf("%s is not found by browsing", path)
		}
	}
	for _, n := range []uint32{id.Server_ServerStatus_State, id.Double, id.HasComponent} {
		if _, ok := all.Nodes[numeric(n)]; !ok {
			t.Errorf("i=%d is not found by browsing", n)
		}
	}
}

func TestNodeOPCUAReadsTheState(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("not proved: that node-opcua reads the state, because node is not installed")
	}
	_, address := start(t)
	script, _ := filepath.Abs("../../../../ci/peers/reader.js")
	argument := fmt.Sprintf(`{"url":%q,"tag":"ns=2;s=trust/sentence"}`, address)
	out, err := exec.CommandContext(await.Context(t), node, script, argument).CombinedOutput()
	if strings.Contains(string(out), "Cannot find module") {
		t.Skip("not proved: that node-opcua reads the state, because it is not installed")
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n") // node-opcua says before that it makes a certificate
	var got struct{ Value, Status string }
	if json.Unmarshal([]byte(lines[len(lines)-1]), &got) != nil || got.Value != "Yes." || got.Status != "Good" {
		t.Errorf("got %s, %v", out, err)
	}
}
