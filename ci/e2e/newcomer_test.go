package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
)

// newcomer has a client of node-opcua's connect and read what it finds.
func newcomer(t *testing.T, url string) map[string]any {
	t.Helper()
	script, err := filepath.Abs("../peers/newcomer.js")
	if err != nil {
		t.Fatal(err)
	}
	options, _ := json.Marshal(map[string]string{"url": url, "tag": tag("Tag1").String(),
		"analog": tag("Temperature").String()})
	ctx, cancel := context.WithTimeout(t.Context(), clientBound)
	defer cancel()
	out, err := exec.CommandContext(ctx, rig.Program(t, "node", "the whole gateway against node-opcua"), script,
		string(options)).Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var got map[string]any
	if jerr := json.Unmarshal([]byte(lines[len(lines)-1]), &got); jerr != nil {
		t.Fatalf("newcomer: %v, %v: %s", err, jerr, out)
	}
	return got
}

// gopcuaNewcomer has gopcua's client connect, which reads the NamespaceArray, and decode a
// structure.
func gopcuaNewcomer(t *testing.T, url string) (namespaces int, limits ua.Range, tagStatus ua.StatusCode) {
	t.Helper()
	ctx := await.Context(t)
	c, err := opcua.NewClient(url, opcua.SecurityMode(ua.MessageSecurityModeNone), opcua.AutoReconnect(false))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(ctx); err != nil {
		t.Fatalf("gopcua: %v", err)
	}
	defer c.Close(ctx)
	items := []*ua.ReadValueID{{NodeID: ua.NewStringNodeID(1, "Hard.Range"), AttributeID: ua.AttributeIDValue},
		{NodeID: tag("Tag1").UA(), AttributeID: ua.AttributeIDValue}}
	resp, err := c.Read(ctx, &ua.ReadRequest{NodesToRead: items, TimestampsToReturn: ua.TimestampsToReturnBoth})
	if err != nil {
		t.Fatalf("gopcua: %v", err)
	}
	if object, ok := resp.Results[0].Value.Value().(*ua.ExtensionObject); ok {
		if r, ok := object.Value.(*ua.Range); ok {
			limits = *r
		}
	}
	return len(c.Namespaces()), limits, resp.Results[1].Status
}

// TestNewClientsReadDuringOutages connects new clients during each kind of outage: they
// can read, and see no process value as Good.
func TestNewClientsReadDuringOutages(t *testing.T) {
	t.Parallel()
	p, g, c := openMirror(t, map[string]any{"tags": 20, "structures": true}, "")
	p.do(map[string]any{"do": "set", "name": "Tag1", "value": 1})
	c.sees("Tag1", 1, ua.StatusOK)
	look := func(values string, codes ...ua.StatusCode) {
		t.Helper()
		want := map[string]any{
			"namespaces": 3.0, "root": []any{"Objects", "Types", "Views"},
			"recipe": map[string]any{"speed": 3.0, "name": "steel"}, "recipeStatus": values,
			"colours": []any{"Good", "Red", "Green"}, "units": []any{"Good", "°C"}, "arguments": []any{"speed"},
			"tag": values,
		}
		if strings.HasPrefix(values, "Bad") {
			want["recipe"] = nil
		}
		if got := newcomer(t, c.url); !reflect.DeepEqual(got, want) {
			t.Errorf("node-opcua:\ngot  %v\nwant %v", got, want)
		}
		namespaces, limits, status := gopcuaNewcomer(t, c.url)
		if known := limits == (ua.Range{Low: 1, High: 2}); namespaces != 3 ||
			known == strings.HasPrefix(values, "Bad") || fmt.Sprint(status) != fmt.Sprint(codes[0]) {
			t.Errorf("gopcua: got %d namespaces, %+v, %v; want 3, a range of 1 to 2, %v", namespaces, limits, status,
				codes[0])
		}
	}
	look("Good", ua.StatusOK)

	t.Log("the plant's server dies")
	p.Kill()
	c.sees("Tag1", 1, ua.StatusUncertainNoCommunicationLastUsableValue)
	look("UncertainNoCommunicationLastUsableValue", ua.StatusUncertainNoCommunicationLastUsableValue)
	p.start()
	c.sees("Tag1", 0, ua.StatusOK)

	t.Log("the link is cut")
	g.Link.Set(linktest.Profile{Loss: 1})
	c.sees("Tag1", 0, ua.StatusUncertainLastUsableValue)
	look("UncertainLastUsableValue", ua.StatusUncertainLastUsableValue)

	t.Log("RX starts again while the link is cut")
	g.RX.Stop()
	g.RX.Start()
	c.connect()
	look("BadWaitingForInitialData", ua.StatusBadWaitingForInitialData)
}
