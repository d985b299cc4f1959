package mqtt

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/rx/sink"
)

// state is what the gateway says of itself; trust is what it says of that.
type state struct{ trust atomic.Pointer[string] }

func (s *state) say(trust string) { s.trust.Store(&trust) }

func (s *state) topics() map[string][]byte {
	return map[string][]byte{"trust": []byte(*s.trust.Load()), "link": []byte("{}"), "channel/cell": []byte("[]")}
}

// announcing has the gateway's state published below a prefix of its own.
func announcing(s *state) func(*Deps) {
	s.say("yes")
	return func(d *Deps) {
		d.Gateway = Gateway{Prefix: "own/pair/", Reserved: []string{"own/pair/"}, State: s.topics}
	}
}

// newest waits until a topic has a payload, and returns whether all of it was retained.
func (in *inbox) newest(t *testing.T, topic, want string) (retained bool) {
	t.Helper()
	await.True(t, topic+" is "+want, func() bool {
		got := ""
		retained = true
		for _, p := range in.all() {
			if p.Topic == topic {
				got, retained = string(p.Payload), retained && p.Retain
			}
		}
		return got == want
	})
	return retained
}

func TestTheGatewaysStateIsPublishedBesideWhatCrosses(t *testing.T) {
	broker := startMosquitto(t, "")
	for _, version := range []config.MQTTVersion{config.MQTT5, config.MQTT311} {
		t.Run(string(version), func(t *testing.T) {
			var s state
			r := start(t, config.MQTTSink{Broker: broker.URL(), Version: version, TopicPrefix: "p/", ClientID: "gw"},
				announcing(&s))
			in := subscribe(t, broker.Address, "#")
			for topic, want := range map[string]string{"state": "online", "trust": "yes", "link": "{}",
				"channel/cell": "[]"} {
				if !in.newest(t, "own/pair/"+topic, want) {
					t.Errorf("%s is not retained", topic)
				}
			}
			s.say("no")
			in.newest(t, "own/pair/trust", "no")
			r.stop()
			in.newest(t, "own/pair/state", "offline")
		})
	}
}

// A receiver that is killed says nothing any more: the broker does.
func TestTheWillSaysThatTheReceiverIsGone(t *testing.T) {
	broker := startMosquitto(t, "")
	var s state
	r := start(t, config.MQTTSink{Broker: broker.URL(), Version: config.MQTT5}, announcing(&s))
	in := subscribe(t, broker.Address, "own/#")
	in.newest(t, "own/pair/state", "online")
	conn, err := net.Dial("tcp", broker.Address)
	if err != nil {
		t.Fatal(err)
	}
	thief := paho.NewClient(paho.ClientConfig{Conn: conn})
	// MQTT 5.0, 3.1.4: the broker ends the connection of the client with this identifier
	if _, err := thief.Connect(await.Context(t), &paho.Connect{ClientID: r.cfg.ClientID, KeepAlive: 30}); err != nil {
		t.Fatal(err)
	}
	await.True(t, "the will is published", func() bool {
		return slices.ContainsFunc(in.all(), func(p *paho.Publish) bool {
			return p.Topic == "own/pair/state" && string(p.Payload) == offline
		})
	})
}

func TestNothingThatCrossesPassesForTheGatewaysState(t *testing.T) {
	for name, cfg := range map[string]config.MQTTSink{"broker": {Broker: startMosquitto(t, "").URL()},
		"embedded": {Listen: "mqtt://" + await.FreeAddress(t)}} {
		t.Run(name, func(t *testing.T) {
			var s state
			cfg.Late, cfg.LatePrefix = config.LateSeparate, "own/"
			r := start(t, cfg, announcing(&s))
			await.True(t, "the broker is up", func() bool { return r.Ready() == nil })
			in := subscribe(t, strings.TrimPrefix(cfg.Broker+cfg.Listen, "mqtt://"), "#")
			in.newest(t, "own/pair/trust", "yes")
			for _, topic := range []string{"own/pair/trust", "own/pair/state", "own/pair/anything"} {
				r.event(payload.Message{Topic: topic, QoS: 1, Retain: true, Payload: []byte("forged")})
			}
			late := payload.Message{Topic: "pair/trust", QoS: 1, Payload: []byte("forged")}
			r.Deliver(sink.Update{Event: true, Late: true, Payload: late.Append(nil)})
			for _, topic := range []string{"own/pairs/trust", "own/pai"} {
				r.event(payload.Message{Topic: topic, QoS: 1, Payload: []byte("passes")})
				in.newest(t, topic, "passes")
			}
			if got := r.Stats().Topic; got != 4 {
				t.Errorf("got %d refused, want 4", got)
			}
			for _, p := range in.all() {
				if string(p.Payload) == "forged" {
					t.Errorf("%s was published by the plant", p.Topic)
				}
			}
		})
	}
}

func TestAnotherSinkOfTheBrokerSaysNothingOfTheGateway(t *testing.T) {
	for _, version := range []config.MQTTVersion{config.MQTT5, config.MQTT311} {
		broker := startMosquitto(t, "")
		var s state
		s.say("yes")
		r := start(t, config.MQTTSink{Broker: broker.URL(), Version: version},
			func(d *Deps) { d.Gateway = Gateway{Reserved: []string{"p/", "own/pair/"}, State: s.topics} })
		in := subscribe(t, broker.Address, "#")
		r.event(payload.Message{Topic: "own/pair/trust", QoS: 1, Payload: []byte("forged")})
		r.event(payload.Message{Topic: "first", QoS: 1, Payload: []byte("1")})
		in.newest(t, "first", "1")
		r.stop()
		last := start(t, config.MQTTSink{Broker: broker.URL(), ClientID: "last"})
		last.event(payload.Message{Topic: "last", QoS: 1, Payload: []byte("1")})
		in.newest(t, "last", "1")
		for _, p := range in.all() {
			if p.Topic != "first" && p.Topic != "last" && p.Topic != "heliograph/pair/state" {
				t.Errorf("%s: got %s: %q", version, p.Topic, p.Payload)
			}
		}
	}
}

// counted is a connection that counts what is published to each topic.
type counted struct {
	connection
	topics map[string]int
}

func (c *counted) room() int      { return window }
func (c *counted) limits() limits { return limits{qos: 2, retain: true, properties: true} }
func (c *counted) send(m *payload.Message, _ uint32) error {
	c.topics[m.Topic]++
	return nil
}

func TestTopicsWhoseFiguresAlwaysChangeFollowSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		all := func() map[string][]byte {
			n++
			return map[string][]byte{"trust": fmt.Append(nil, n), "link": fmt.Append(nil, n), "board/rx": nil}
		}
		c := &counted{topics: map[string]int{}}
		s := &Sink{deps: Deps{Gateway: Gateway{Prefix: "own/", State: all}, PlantTime: time.Now}, clock: time.Now}
		p := newPublisher(s, c, &suspects{})
		for range 30 {
			if err := p.publishStatus(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if trust, link := c.topics["own/trust"], c.topics["own/link"]; trust != 10 || link != 3 {
			t.Errorf("within 30 s: trust was published %d times and link %d times, want 10 and 3", trust, link)
		}
	})
}
