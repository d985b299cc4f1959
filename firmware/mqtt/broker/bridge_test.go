package broker

import (
	"fmt"
	"slices"
	"testing"

	"heliograph/firmware/mqtt/packet"
)

// TestVersionsOfConnect has each protocol level that a client may give.
func TestVersionsOfConnect(t *testing.T) {
	const rest = "\x02\x00\x3c\x00\x01s"
	for _, test := range []struct {
		name, body string
		version    byte
		bridge     bool
		err        error
	}{
		{"3.1.1", "\x00\x04MQTT\x04" + rest, 4, false, nil},
		{"5", "\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01s", 5, false, nil},
		{"a bridge on 3.1.1", "\x00\x04MQTT\x84" + rest, 4, true, nil},
		{"a bridge that is cut short", "\x00\x04MQTT\x84" + rest[:4], 4, true, Malformed},
		{"a bridge with a password and no name", "\x00\x04MQTT\x84\x42\x00\x3c\x00\x01s\x00\x01p", 0, false, Malformed},
		{"a bridge on 5, which needs no such level", "\x00\x04MQTT\x85" + rest, 0x85, false, nil},
		{"a bridge on 3.1", "\x00\x06MQIsdp\x83" + rest, 3, false, nil},
		{"the level of 3.1.1 under the name of 3.1", "\x00\x06MQIsdp\x84" + rest, 3, false, nil},
		{"no version at all", "\x00\x04MQTT", 0, false, Malformed},
	} {
		c, err := DecodeConnect(ConnectHeader, []byte(test.body))
		if err != test.err || c != nil && (c.Version != test.version || c.Bridge != test.bridge) {
			t.Errorf("%s: got %+v, %v; want version %d, bridge %v, %v", test.name, c, err, test.version, test.bridge,
				test.err)
		}
	}
}

// TestABridgeSeesRetainFlags has a bridge beside a client on plain 3.1.1.
func TestABridgeSeesRetainFlags(t *testing.T) {
	b := New(Config{Writable: true}, "t")
	b.Publish(message("r", 1, true, "old"))
	plain, bridge := connect(t, b, 4, "plain", true), connect(t, b, bridgeLevel, "bridge", true)
	for _, p := range []*peer{plain, bridge} {
		if got := p.subscribe("#", 1)[1:]; len(got) != 1 || !got[0].retain {
			t.Errorf("level %#x: got %v, want the retained message with its flag", p.version, got)
		}
	}
	b.Publish(message("r", 1, true, "new"))
	b.Publish(message("e", 0, false, "event"))
	for p, want := range map[*peer]bool{plain: false, bridge: true} {
		got := p.read()
		if len(got) != 2 || got[0].payload != "new" || got[0].retain != want || got[1].retain {
			t.Errorf("level %#x: got %v, want the flag %v on what is retained", p.version, got, want)
		}
	}
	bridge.send(packet.Publish<<4|1, append(appendString(nil, "mine"), 'v')...)
	if got := append(texts(bridge.read()), texts(plain.read())...); fmt.Sprint(got) != "[v]" {
		t.Errorf("got %v, want what the bridge published once, for the other", got)
	}
}

// TestABridgePublishesItsState publishes what a bridge publishes about itself to a
// broker that no client may publish to, and what it may not publish.
func TestABridgePublishesItsState(t *testing.T) {
	for _, test := range []struct {
		name, topic string
		version     byte
		qos         byte
		want        []byte // kinds of the answers
		ended       bool
	}{
		{"about itself", aboutBridges + "x/state", bridgeLevel, 1, []byte{packet.Puback}, false},
		{"about itself, QoS 2", aboutBridges + "x/state", bridgeLevel, 2, []byte{packet.Pubrec}, false},
		{"of the plant", "x", bridgeLevel, 1, nil, true},
		{"from a client", aboutBridges + "x/state", 4, 1, nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := New(Config{}, "t")
			p := connect(t, b, test.version, "a", true)
			p.send(packet.Publish<<4|1|test.qos<<1, append(appendString(nil, test.topic), 0, 7, '1')...)
			var kinds []byte
			for _, a := range p.read() {
				kinds = append(kinds, a.kind)
			}
			if !slices.Equal(kinds, test.want) || p.ended != test.ended {
				t.Errorf("got the answers %v, ended %v; want %v, %v", kinds, p.ended, test.want, test.ended)
			}
			if b.stats.NotPublished != 1 || b.stats.Published != 0 || len(b.retained.byTopic) != 0 {
				t.Errorf("got %+v, want it counted and not published", b.stats)
			}
		})
	}
}
