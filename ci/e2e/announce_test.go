package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/eclipse/paho.golang/paho"
	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
)

// newest is the newest message of each topic.
type newest struct {
	mu     sync.Mutex
	topics map[string]string
}

func (n *newest) add(p *paho.Publish) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.topics[p.Topic] = string(p.Payload)
}

// await waits until a topic contains a text.
func (n *newest) await(t *testing.T, topic, want string) {
	t.Helper()
	await.NoError(t, topic, func() error {
		n.mu.Lock()
		defer n.mu.Unlock()
		if got := n.topics[topic]; !strings.Contains(got, want) {
			return fmt.Errorf("got %q, want %s", got, want)
		}
		return nil
	})
}

// The gateway's own state is at IT's broker, collector and OPC UA clients, apart from what
// crosses: also that the link is lost, and that the receiver is gone.
func TestTheGatewaysStateIsAnnounced(t *testing.T) {
	t.Parallel()
	plant, it, siem := await.FreePort(t), await.FreePort(t), await.FreePort(t)
	rig.Mosquitto(t, plant, "")
	rig.Mosquitto(t, it, "")
	lines, nodes := startRsyslog(t, siem), "opc.tcp://"+await.FreeAddress(t)
	tx, rx := mqttTables(plant, it, "auto")
	g := newGateway(t, linktest.Profile{}, tx,
		fmt.Sprintf("[announce]\nmqtt_prefix = \"own/\"\nforward = \"tcp://127.0.0.1:%d\"\nlisten = %q\nsecurity = "+
			"[\"None\"]\nanonymous = true\n", siem, nodes)+rx)
	state := newest{topics: map[string]string{}}
	subscriber5(t, it, "state", "own/#", state.add)
	passed := newest{topics: map[string]string{}}
	subscriber5(t, it, "passed", "forged/#", passed.add)
	g.Start()
	g.Ready()
	pair := "own/" + pairOf(t, g.RX) + "/"
	for topic, want := range map[string]string{"state": "online", "trust": `"reasons":[`, "link": `"medium":"udp"`,
		"channel/cell-1": `"source_state":"up"`, "board/rx": `"role":"rx"`, "board/tx": `"role":"tx"`} {
		state.await(t, pair+topic, want)
	}
	forger := subscriber5(t, plant, "forger", "", nil)
	publish5(t, forger, message{topic: pair + "trust", payload: `{"level":"forged"}`, qos: 1, retain: true})
	publish5(t, forger, message{topic: "forged/done", payload: "done", qos: 1})
	passed.await(t, "forged/done", "done")
	g.TX.Kill()
	state.await(t, pair+"trust", `"text":"link: `)
	await.True(t, `the node trust/level is "no"`, func() bool { return readText(t, nodes, "trust/level") == "no" })
	await.NoError(t, "a line about the loss of trust", func() error {
		text, err := os.ReadFile(lines)
		if err == nil && !strings.Contains(string(text), `heliograph - trust [trust@32473 pair="`) ||
			!strings.Contains(string(text), ` level="no" before="`) {
			err = fmt.Errorf("rsyslog has %q", text)
		}
		return err
	})
	g.RX.Kill()
	state.await(t, pair+"state", "offline")
}

// readText reads a String of the gateway's own OPC UA server.
func readText(t *testing.T, endpoint, path string) (text string) {
	t.Helper()
	s, err := client.Connect(await.Context(t), client.Config{Endpoint: endpoint, Policy: "None"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	node := rawvalue.NodeID{Namespace: 2, Kind: rawvalue.String, Text: path}
	err = s.Read(await.Context(t), []client.ReadItem{{Node: node, Attribute: ua.AttributeIDValue}}, 0,
		func(_ int, dv rawvalue.DataValue) {
			var v ua.DataValue
			if _, err := v.Decode(dv.Raw); err != nil {
				t.Error(err)
			}
			text, _ = v.Value.Value().(string)
		})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// pairOf returns the name of the pair that a role is of.
func pairOf(t *testing.T, r *rig.Role) string {
	t.Helper()
	body, _, err := r.Get("/status.json")
	var s struct{ Pair string }
	if err == nil {
		err = json.Unmarshal([]byte(body), &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.Pair
}
