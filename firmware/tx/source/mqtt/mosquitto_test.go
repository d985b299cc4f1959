package mqtt

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source"
)

// versions runs a test against mosquitto in both versions of the protocol.
func versions(t *testing.T, f func(t *testing.T, version config.MQTTVersion)) {
	t.Parallel()
	for _, version := range []config.MQTTVersion{config.MQTT5, config.MQTT311} {
		t.Run(string(version), func(t *testing.T) {
			t.Parallel()
			f(t, version)
		})
	}
}

func TestRetainFlagIsKeptInitiallyLiveAndWhenCleared(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := mosquitto(t, "")
		plant := publish(t, b.url())
		plant.send("r/old", 1, true, "1")
		p := &port{}
		s, _ := start(t, config.MQTTSource{Broker: b.url(), Version: version}, p)
		up(t, s)
		if !p.isWhole() {
			t.Error("got ready and not whole")
		}
		plant.send("r/old", 1, true, "2")
		plant.send("r/new", 2, true, "3")
		plant.send("r/plain", 0, false, "4")
		plant.send("r/old", 1, true, "")
		p.expect(t, "",
			`r/old state q1 "1" retained key=r/old`,
			`r/old event q1 "2" retained key=r/old`,
			`r/new event q2 "3" retained key=r/new`,
			`r/plain event q0 "4"`,
			`r/old event delete q1 "" retained key=r/old`)
		if _, reason := p.status(); reason != "up MQTT "+string(version) {
			t.Errorf("got %q, want the version alone: mosquitto keeps the flag", reason)
		}
	})
}

func TestManyMessagesKeepTheirOrderAndQoS(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := mosquitto(t, "")
		p := &port{}
		s, _ := start(t, config.MQTTSource{Broker: b.url(), Version: version}, p)
		up(t, s)
		plant := publish(t, b.url())
		const n = 2000
		for i := range n {
			plant.send("n/"+fmt.Sprint(i%7), byte(i%3), false, fmt.Sprint(i))
		}
		eventually(t, "all arrive", func() bool { return len(p.all()) >= n })
		last := [3]int{-1, -1, -1} // order is promised within a QoS (MQTT 5.0 §4.6)
		for _, u := range p.all() {
			var m payload.Message
			if err := m.Parse(u.Payload); err != nil {
				t.Fatal(err)
			}
			var i int
			_, _ = fmt.Sscan(string(m.Payload), &i)
			if byte(i%3) != m.QoS || i <= last[m.QoS] || m.Topic != "n/"+fmt.Sprint(i%7) || !u.Event || u.Key != nil {
				t.Fatalf("got %d on %s, QoS %d after %d, event %v", i, m.Topic, m.QoS, last[m.QoS], u.Event)
			}
			last[m.QoS] = i
		}
		if got := len(p.all()); got != n {
			t.Errorf("got %d messages, want %d", got, n)
		}
	})
}

func TestAllPropertiesCross(t *testing.T) {
	t.Parallel()
	b := mosquitto(t, "")
	p := &port{}
	s, _ := start(t, config.MQTTSource{Broker: b.url(), Version: config.MQTTAuto}, p)
	up(t, s)
	utf8, life := byte(1), uint32(300)
	before := time.Now().Add(-time.Millisecond)
	publish(t, b.url()).full(&paho.Publish{Topic: "f", QoS: 1, Payload: []byte("{}"), Properties: &paho.PublishProperties{
		PayloadFormat: &utf8, MessageExpiry: &life, ContentType: "application/json", ResponseTopic: "answer",
		CorrelationData: []byte{0, 1}, User: paho.UserProperties{{Key: "k", Value: "1"}, {Key: "a", Value: ""}, {Key: "k", Value: "1"}},
	}})
	eventually(t, "it arrives", func() bool { return len(p.all()) == 1 })
	var m payload.Message
	if err := m.Parse(p.all()[0].Payload); err != nil {
		t.Fatal(err)
	}
	if m.PayloadFormat == nil || *m.PayloadFormat != 1 || !m.Expires || m.Expiry < 299 || m.Expiry > 300 ||
		m.Received.Before(before) || m.Received.After(time.Now()) || m.ContentType == nil || *m.ContentType != "application/json" ||
		m.ResponseTopic != "answer" || string(m.CorrelationData) != "\x00\x01" ||
		!slices.Equal(m.User, []payload.Property{{Name: "k", Value: "1"}, {Name: "a"}, {Name: "k", Value: "1"}}) {
		t.Errorf("got %+v, want every property", m)
	}
}

// A source that ends takes no message with it: what had not left comes again.
func TestWhatHadNotLeftComesAgain(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := mosquitto(t, "")
		first := &port{}
		s, stop := start(t, config.MQTTSource{Broker: b.url(), Version: version}, first)
		up(t, s)
		first.mu.Lock()
		first.hold = true
		first.mu.Unlock()
		plant := publish(t, b.url())
		plant.send("a", 1, false, "1")
		plant.send("k", 1, true, "2")
		plant.send("k", 1, true, "3")
		plant.send("c", 2, false, "4")
		eventually(t, "all are on their way", func() bool { return len(first.all()) == 4 })
		stop()
		second := &port{}
		s, _ = start(t, config.MQTTSource{Broker: b.url(), Version: version}, second)
		up(t, s)
		// In order, every one an event, and the retained value is known by then.
		second.expect(t, "", `a event q1 "1"`, `k event q1 "2" retained key=k`, `k event q1 "3" retained key=k`, `c event q2 "4"`)
	})
}

func TestWhatHadLeftIsAcknowledged(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := mosquitto(t, "")
		first := &port{}
		s, stop := start(t, config.MQTTSource{Broker: b.url(), Version: version}, first)
		up(t, s)
		plant := publish(t, b.url())
		for qos := range byte(3) {
			plant.send("a", qos, false, "left")
		}
		eventually(t, "all came", func() bool { return len(first.all()) == 3 })
		eventually(t, "two are acknowledged", func() bool { return s.Stats().Acknowledged.Load() == 2 })
		stop()
		plant.send("a", 1, false, "while away")
		second := &port{}
		s, _ = start(t, config.MQTTSource{Broker: b.url(), Version: version}, second)
		up(t, s)
		second.expect(t, "", `a event q1 "while away"`)
	})
}

// What a broker kept for the session crosses as it happened, more than it sends
// at once, although a subscription brings the last value again.
func TestRetainedMessagesWhileAwayAreAllEvents(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := mosquitto(t, "")
		p := &port{}
		s, stop := start(t, config.MQTTSource{Broker: b.url(), Version: version}, p)
		up(t, s)
		stop()
		plant := publish(t, b.url())
		var want []string
		for i := range 60 {
			plant.send("k", 1, true, fmt.Sprint(i))
			want = append(want, fmt.Sprintf(`k event q1 "%d" retained key=k`, i))
		}
		s, _ = start(t, config.MQTTSource{Broker: b.url(), Version: version}, p)
		up(t, s)
		p.expect(t, "k", want...)
	})
}

// A link that refuses a message has it sent again, QoS 2 without a duplicate.
func TestWhatNeverLeavesIsSentAgain(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := mosquitto(t, "")
		p := &port{}
		s, _ := start(t, config.MQTTSource{Broker: b.url(), Version: version}, p)
		up(t, s)
		p.mu.Lock()
		p.hold = true
		p.mu.Unlock()
		plant := publish(t, b.url())
		plant.send("x", 2, false, "1")
		plant.send("x", 2, false, "2")
		eventually(t, "both are on their way", func() bool { return len(p.all()) == 2 })
		held := p.all()
		held[1].Left(nil) // the second left, and waits for the first to be acknowledged
		p.mu.Lock()
		p.hold = false
		p.mu.Unlock()
		held[0].Left(source.ErrClosed)
		p.expect(t, "", `x event q2 "1"`, `x event q2 "2"`, `x event q2 "1"`)
		eventually(t, "the second is known", func() bool { return s.Stats().Repeated.Load() == 1 })
		if got := s.Stats().Retries.Load(); got != 1 {
			t.Errorf("got %d retries, want 1", got)
		}
		up(t, s)
		plant.send("x", 2, false, "3")
		p.expect(t, "", `x event q2 "1"`, `x event q2 "2"`, `x event q2 "1"`, `x event q2 "3"`)
	})
}

func TestTooLargeMessageIsCountedAndNotSentForEver(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := mosquitto(t, "")
		p := &port{refuse: func(u source.Update) error {
			if len(u.Payload) > 1000 {
				return source.ErrTooLarge
			}
			return nil
		}}
		s, _ := start(t, config.MQTTSource{Broker: b.url(), Version: version}, p)
		up(t, s)
		plant := publish(t, b.url())
		plant.send("x", 1, false, string(make([]byte, 2000)))
		plant.send("x", 1, false, "small")
		p.expect(t, "", `x event q1 "small"`)
		eventually(t, "both are acknowledged", func() bool { return s.Stats().Acknowledged.Load() == 2 })
		if refused, retries := s.Stats().Refused.Load(), s.Stats().Retries.Load(); refused != 1 || retries != 0 {
			t.Errorf("got %d refused, %d retries; want 1 and 0", refused, retries)
		}
	})
}

// mosquitto is killed without warning, and what happened to its retained
// messages meanwhile is found out.
func TestBrokerThatIsKilledAndComesBack(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := mosquitto(t, "")
		plant := publish(t, b.url())
		for _, topic := range []string{"r/same", "r/too", "r/also"} {
			plant.send(topic, 1, true, "1")
		}
		p := &port{}
		s, _ := start(t, config.MQTTSource{Broker: b.url(), Version: version, Topics: []string{"r/#", "live"}}, p)
		up(t, s)
		n := len(p.all())
		if n != 3 {
			t.Fatalf("got %d updates, want 3: %v", n, p.lines(""))
		}
		// What the link still shows of a key that nobody retains.
		_ = p.Put(source.Update{Key: []byte("r/stale"), Payload: (&payload.Message{Topic: "r/stale", Retain: true, Payload: []byte("1")}).Append(nil)})
		plant.end()
		eventually(t, "mosquitto saves", func() bool { return b.saved("r/same", "r/too", "r/also") })
		b.kill()
		eventually(t, "the source is down", func() bool { st, _ := p.status(); return st == source.Down })
		if s.Ready() == nil {
			t.Error("got ready while the broker is dead")
		}
		b.run()
		plant = publish(t, b.url()) // may come before the source or after it
		eventually(t, "the key that vanished is deleted", func() bool { return slices.Contains(p.lines(""), "r/stale state delete key=r/stale") })
		up(t, s)
		plant.send("live", 2, false, "again")
		eventually(t, "it hears again", func() bool { return slices.Contains(p.lines("live"), `live event q2 "again"`) })
		if got := p.lines("r/same"); len(got) != 1 {
			t.Errorf("r/same: got %v, want it once", got)
		}
	})
}

// While the source is away one retained message stays, one changes, one is
// cleared by a client and one is new.
func TestPictureAfterAnAbsence(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := mosquitto(t, "")
		plant := publish(t, b.url())
		for _, topic := range []string{"same", "changed", "gone"} {
			plant.send(topic, 0, true, "1") // QoS 0 is not kept for a session
		}
		p := &port{}
		s, stop := start(t, config.MQTTSource{Broker: b.url(), Version: version}, p)
		up(t, s)
		stop()
		plant.send("changed", 0, true, "2")
		plant.send("gone", 0, true, "")
		plant.send("new", 0, true, "2")
		plant.send("fence", 1, false, "all of it is there")
		p.Whole(false)
		s, _ = start(t, config.MQTTSource{Broker: b.url(), Version: version}, p)
		up(t, s)
		for topic, want := range map[string][]string{
			"same":    {`same state q0 "1" retained key=same`},
			"changed": {`changed state q0 "1" retained key=changed`, `changed state q0 "2" retained key=changed`},
			"gone":    {`gone state q0 "1" retained key=gone`, `gone state delete key=gone`},
			"new":     {`new state q0 "2" retained key=new`},
		} {
			if got := p.lines(topic); !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", topic, got, want)
			}
		}
	})
}

func TestSysStaysOutUnlessAskedFor(t *testing.T) {
	t.Parallel()
	b := mosquitto(t, "sys_interval 1")
	quiet, loud := &port{}, &port{}
	s, _ := start(t, config.MQTTSource{Broker: b.url(), Version: config.MQTT5, ClientID: "quiet"}, quiet)
	start(t, config.MQTTSource{Broker: b.url(), Version: config.MQTT5, ClientID: "loud", Topics: []string{"$SYS/broker/uptime"}}, loud)
	eventually(t, "$SYS arrives where it was asked for", func() bool { return len(loud.all()) > 0 })
	up(t, s)
	if got := quiet.lines(""); len(got) != 0 {
		t.Errorf("got %v, want nothing of $SYS", got)
	}
}

func TestPutAfterTheLinkClosedIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	b := mosquitto(t, "")
	first := &port{refuse: func(source.Update) error { return source.ErrClosed }}
	s, stop := start(t, config.MQTTSource{Broker: b.url(), Version: config.MQTT5}, first)
	up(t, s)
	publish(t, b.url()).send("a", 1, false, "kept")
	eventually(t, "it is refused", func() bool { return s.Stats().Retries.Load() > 0 })
	stop()
	second := &port{}
	start(t, config.MQTTSource{Broker: b.url(), Version: config.MQTT5}, second)
	second.expect(t, "", `a event q1 "kept"`)
}
