package mqtt

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source"
	"heliograph/firmware/tx/source/sourcetest"
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
		b := persistent(t, "")
		plant := connectPlant(t, b.URL())
		plant.send("r/old", 1, true, "1")
		p := &port{}
		s, _ := start(t, config.MQTTSource{Broker: b.URL(), Version: version}, p)
		up(t, s)
		if !p.Complete() {
			t.Error("got ready and not complete")
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
		if reason := p.Last().String(); reason != "up MQTT "+string(version) {
			t.Errorf("got %q, want the version alone: mosquitto keeps the flag", reason)
		}
	})
}

func TestManyMessagesKeepTheirOrderAndQoS(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := persistent(t, "")
		p := &port{}
		s, _ := start(t, config.MQTTSource{Broker: b.URL(), Version: version}, p)
		up(t, s)
		plant := connectPlant(t, b.URL())
		const n = 2000
		for i := range n {
			plant.send("n/"+fmt.Sprint(i%7), byte(i%3), false, fmt.Sprint(i))
		}
		await.True(t, "all arrive", func() bool { return len(p.Updates()) >= n })
		last := [3]int{-1, -1, -1} // order is promised within a QoS (MQTT 5.0 §4.6)
		for _, u := range p.Updates() {
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
		if got := len(p.Updates()); got != n {
			t.Errorf("got %d messages, want %d", got, n)
		}
	})
}

func TestAllPropertiesCross(t *testing.T) {
	t.Parallel()
	b := persistent(t, "")
	p := &port{}
	s, _ := start(t, config.MQTTSource{Broker: b.URL(), Version: config.MQTTAuto}, p)
	up(t, s)
	utf8, life := byte(1), uint32(300)
	before := time.Now().Add(-time.Millisecond)
	connectPlant(t, b.URL()).full(&paho.Publish{Topic: "f", QoS: 1, Payload: []byte("{}"),
		Properties: &paho.PublishProperties{
			PayloadFormat: &utf8, MessageExpiry: &life, ContentType: "application/json", ResponseTopic: "answer",
			CorrelationData: []byte{0, 1}, User: paho.UserProperties{{Key: "k", Value: "1"}, {Key: "a", Value: ""},
				{Key: "k", Value: "1"}},
		}})
	await.True(t, "it arrives", func() bool { return len(p.Updates()) == 1 })
	var m payload.Message
	if err := m.Parse(p.Updates()[0].Payload); err != nil {
		t.Fatal(err)
	}
	if m.PayloadFormat == nil || *m.PayloadFormat != 1 || !m.Expires || m.Expiry < 150 || m.Expiry > 300 ||
		m.Received.Before(before) || m.Received.After(time.Now()) || m.ContentType == nil ||
		*m.ContentType != "application/json" ||
		m.ResponseTopic != "answer" || string(m.CorrelationData) != "\x00\x01" ||
		!slices.Equal(m.User, []payload.Property{{Name: "k", Value: "1"}, {Name: "a"}, {Name: "k", Value: "1"}}) {
		t.Errorf("got %+v, want every property", m)
	}
}

// A source that ends takes no message with it: what had not left comes again.
func TestWhatHadNotLeftComesAgain(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := persistent(t, "")
		first := &port{}
		s, stop := start(t, config.MQTTSource{Broker: b.URL(), Version: version}, first)
		up(t, s)
		first.Hold()
		plant := connectPlant(t, b.URL())
		plant.send("a", 1, false, "1")
		plant.send("k", 1, true, "2")
		plant.send("k", 1, true, "3")
		plant.send("c", 2, false, "4")
		await.True(t, "all are on their way", func() bool { return len(first.Updates()) == 4 })
		stop()
		second := &port{}
		s, _ = start(t, config.MQTTSource{Broker: b.URL(), Version: version}, second)
		up(t, s)
		// In order, every one an event, and the retained value is known by then.
		second.expect(t, "", `a event q1 "1"`, `k event q1 "2" retained key=k`, `k event q1 "3" retained key=k`,
			`c event q2 "4"`)
	})
}

func TestWhatHadLeftIsAcknowledged(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := persistent(t, "")
		first := &port{}
		s, stop := start(t, config.MQTTSource{Broker: b.URL(), Version: version}, first)
		up(t, s)
		plant := connectPlant(t, b.URL())
		for qos := range byte(3) {
			plant.send("a", qos, false, "left")
		}
		await.True(t, "all came", func() bool { return len(first.Updates()) == 3 })
		await.True(t, "two are acknowledged", func() bool { return s.Stats().Acknowledged.Load() == 2 })
		stop()
		plant.send("a", 1, false, "while away")
		second := &port{}
		s, _ = start(t, config.MQTTSource{Broker: b.URL(), Version: version}, second)
		up(t, s)
		second.expect(t, "", `a event q1 "while away"`)
	})
}

// What a broker kept for the session crosses as it happened, more than it sends
// at once, although a subscription brings the last value again.
func TestRetainedMessagesWhileAwayAreAllEvents(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := persistent(t, "")
		p := &port{}
		s, stop := start(t, config.MQTTSource{Broker: b.URL(), Version: version}, p)
		up(t, s)
		stop()
		plant := connectPlant(t, b.URL())
		var want []string
		for i := range 60 {
			plant.send("k", 1, true, fmt.Sprint(i))
			want = append(want, fmt.Sprintf(`k event q1 "%d" retained key=k`, i))
		}
		s, _ = start(t, config.MQTTSource{Broker: b.URL(), Version: version}, p)
		up(t, s)
		p.expect(t, "k", want...)
	})
}

// A link that refuses a message has it sent again, QoS 2 without a duplicate.
func TestWhatNeverLeavesIsSentAgain(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := persistent(t, "")
		p := &port{}
		s, _ := start(t, config.MQTTSource{Broker: b.URL(), Version: version}, p)
		up(t, s)
		p.Hold()
		plant := connectPlant(t, b.URL())
		plant.send("x", 2, false, "1")
		plant.send("x", 2, false, "2")
		await.True(t, "both are on their way", func() bool { return len(p.Updates()) == 2 })
		held := p.Updates()
		held[1].Left(nil) // the second left, and waits for the first to be acknowledged
		p.Unhold()
		held[0].Left(source.ErrClosed)
		p.expect(t, "", `x event q2 "1"`, `x event q2 "2"`, `x event q2 "1"`)
		await.True(t, "the second is known", func() bool { return s.Stats().Repeated.Load() == 1 })
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
		b := persistent(t, "")
		p := &port{sourcetest.Port{Refuse: func(u source.Update) error {
			if len(u.Payload) > 1000 {
				return source.ErrTooLarge
			}
			return nil
		}}}
		s, _ := start(t, config.MQTTSource{Broker: b.URL(), Version: version}, p)
		up(t, s)
		plant := connectPlant(t, b.URL())
		plant.send("x", 1, false, string(make([]byte, 2000)))
		plant.send("x", 1, false, "small")
		p.expect(t, "", `x event q1 "small"`)
		await.True(t, "both are acknowledged", func() bool { return s.Stats().Acknowledged.Load() == 2 })
		if refused, retries := s.Stats().Refused.Load(), s.Stats().Retries.Load(); refused != 1 || retries != 0 {
			t.Errorf("got %d refused, %d retries; want 1 and 0", refused, retries)
		}
	})
}

// mosquitto is killed without warning, and what happened to its retained
// messages meanwhile is found out.
func TestBrokerThatIsKilledAndComesBack(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := persistent(t, "")
		plant := connectPlant(t, b.URL())
		for _, topic := range []string{"r/same", "r/too", "r/also"} {
			plant.send(topic, 1, true, "1")
		}
		p := &port{}
		s, _ := start(t, config.MQTTSource{Broker: b.URL(), Version: version, Topics: []string{"r/#", "live"}}, p)
		up(t, s)
		n := len(p.Updates())
		if n != 3 {
			t.Fatalf("got %d updates, want 3: %v", n, p.lines(""))
		}
		// What the link still shows of a key that the broker does not retain.
		_ = p.Put(source.Update{Key: []byte("r/stale"),
			Payload: (&payload.Message{Topic: "r/stale", Retain: true, Payload: []byte("1")}).Append(nil)})
		plant.end()
		await.True(t, "mosquitto saves", func() bool { return b.Saved("r/same", "r/too", "r/also") })
		b.Kill()
		await.True(t, "the source is down", func() bool { return p.Last().State == source.Down })
		if s.Ready() == nil {
			t.Error("got ready while the broker is dead")
		}
		b.Run()
		plant = connectPlant(t, b.URL()) // may come before the source or after it
		await.True(t, "the key that vanished is deleted",
			func() bool { return slices.Contains(p.lines(""), "r/stale state delete key=r/stale") })
		up(t, s)
		plant.send("live", 2, false, "again")
		await.True(t, "it receives again", func() bool {
			return slices.Contains(p.lines("live"), `live event q2 "again"`)
		})
		if got := p.lines("r/same"); len(got) != 1 {
			t.Errorf("r/same: got %v, want it once", got)
		}
	})
}

// While the source is away one retained message stays, one changes, one is
// cleared by a client and one is new.
func TestStateAfterAnAbsence(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := persistent(t, "")
		plant := connectPlant(t, b.URL())
		for _, topic := range []string{"same", "changed", "gone"} {
			plant.send(topic, 0, true, "1") // QoS 0 is not kept for a session
		}
		plant.send("fence", 1, false, "all of it is retained")
		p := &port{}
		s, stop := start(t, config.MQTTSource{Broker: b.URL(), Version: version}, p)
		up(t, s)
		stop()
		// What the broker handles before it sees that the client is gone may wait in its session.
		plant.send("fence", 1, false, "the broker has seen that")
		plant.send("changed", 0, true, "2")
		plant.send("gone", 0, true, "")
		plant.send("new", 0, true, "2")
		plant.send("fence", 1, false, "all of it is there")
		p.SetComplete(false)
		s, _ = start(t, config.MQTTSource{Broker: b.URL(), Version: version}, p)
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
	b := persistent(t, "sys_interval 1")
	without, with := &port{}, &port{}
	s, _ := start(t, config.MQTTSource{Broker: b.URL(), Version: config.MQTT5, ClientID: "without"}, without)
	start(t, config.MQTTSource{Broker: b.URL(), Version: config.MQTT5, ClientID: "with",
		Topics: []string{"$SYS/broker/uptime"}}, with)
	await.True(t, "$SYS arrives where it was asked for", func() bool { return len(with.Updates()) > 0 })
	up(t, s)
	if got := without.lines(""); len(got) != 0 {
		t.Errorf("got %v, want nothing of $SYS", got)
	}
}

func TestPutAfterTheLinkClosedIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	b := persistent(t, "")
	first := &port{sourcetest.Port{Refuse: func(source.Update) error { return source.ErrClosed }}}
	s, stop := start(t, config.MQTTSource{Broker: b.URL(), Version: config.MQTT5}, first)
	up(t, s)
	connectPlant(t, b.URL()).send("a", 1, false, "kept")
	await.True(t, "it is refused", func() bool { return s.Stats().Retries.Load() > 0 })
	stop()
	second := &port{}
	start(t, config.MQTTSource{Broker: b.URL(), Version: config.MQTT5}, second)
	second.expect(t, "", `a event q1 "kept"`)
}
