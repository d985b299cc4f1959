package node

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/status"
)

func TestWhereTheGatewaysTopicsAre(t *testing.T) {
	channels := []config.MQTTSink{
		{Channel: "a", Broker: "mqtt://it:1883", TopicPrefix: "p/"}, {Channel: "b", Broker: "mqtt://it:1883"},
		{Channel: "c", Broker: "mqtt://other:1883"}, {Channel: "d", Listen: "mqtt://:1884"},
		{Channel: "e", Listen: "mqtt://:1885"},
	}
	for prefix, want := range map[string]string{
		"":      "p/heliograph/hall/ heliograph/hall/ heliograph/hall/ heliograph/hall/ heliograph/hall/",
		"gate/": "gate/hall/  gate/hall/ gate/hall/ gate/hall/",
	} {
		n := &Node{config: Config{RX: config.RX{Pair: "hall", MQTT: channels,
			Announce: config.Announce{MQTTPrefix: prefix}}}}
		var got []string
		for _, c := range channels {
			got = append(got, n.ownTopics(c))
		}
		reserved := map[string]string{"": "p/heliograph/hall/ heliograph/hall/", "gate/": "gate/hall/"}[prefix]
		if all := strings.Join(n.reservedTopics(), " "); all != reserved {
			t.Errorf("%q: got %q reserved, want %q", prefix, all, reserved)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", prefix, got, want)
		}
	}
}

func TestAChangeOfTrustIsALineOfSyslog(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(c *config.RX) {
			c.Announce = config.Announce{MQTTPrefix: "own/",
				Syslog: config.SyslogSink{Channel: config.TrustLines, Forward: "udp://siem:514", SpoolBytes: 1 << 20}}
		})
		n := r.run()
		defer r.end()
		time.Sleep(30 * time.Second)
		lines := r.sinks[config.TrustLines].delivered()
		if len(lines) != 1 || !strings.Contains(lines[0], `[trust@32473 pair="press-hall" level="no" before="" `) {
			t.Errorf("got %q, want one line: nothing has been received", lines)
		}
		r.sinks[config.TrustLines].account.Refused(2)
		r.sinks[config.TrustLines].account.Expired(1)
		if got := n.trustLines.counts.Unsent.Load(); got != 3 {
			t.Errorf("got %d lines counted as not sent, want 3", got)
		}
		for _, p := range n.Snapshot().Peers {
			if p.Channel == config.TrustLines {
				t.Errorf("got %+v among the peers: a collector of these lines makes no number less trustworthy", p)
			}
		}
		topics := r.mqtt["cell"].Gateway()
		if !bytes.Contains(topics["trust"], []byte(`"level":"no"`)) || topics["channel/cell"] == nil {
			t.Errorf("topics: got %s", topics)
		}
	})
}

func TestTheGatewaysStateHasAnEndpointOfItsOwn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(c *config.RX) {
			c.Announce.OPCUA = config.OPCUASink{Channel: record.Gateway, Listen: "opc.tcp://:4841"}
		})
		n := r.run()
		defer r.end()
		if got := names(n.Tasks()); !slices.Contains(got, "certificates") || !slices.Contains(got, "gateway state") {
			t.Errorf("tasks: got %q, want the store of certificates and the server", got)
		}
		n.trustChanged()
		if r.sinks[record.Gateway].trusted != 1 {
			t.Error("a change of trust does not reach the server's clients")
		}
		if v, ok := r.parts()["trust"].(status.Trust); !ok || v.Level != status.No {
			t.Errorf("trust: got %+v, want none before anything is received", v)
		}
	})
}
