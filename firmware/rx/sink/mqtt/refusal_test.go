package mqtt

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/rx/sink"
)

// TestWhatTheBrokerRefusesIsAccountedFor publishes to a mosquitto that lets
// no one write to x/#, and takes packets of 1,000 bytes at most.
func TestWhatTheBrokerRefusesIsAccountedFor(t *testing.T) {
	for name, c := range map[string]struct {
		version config.MQTTVersion
		extra   string
		bad     payload.Message
		reason  func(Refusals) uint64
		word    string
	}{
		"access control on 5": {config.MQTT5, "acl", payload.Message{Topic: "x/1", QoS: 1, Payload: []byte("v")},
			func(r Refusals) uint64 { return r.NotAuthorized }, "not authorized"},
		"access control on 5, QoS 2": {config.MQTT5, "acl", payload.Message{Topic: "x/1", QoS: 2, Payload: []byte("v")},
			func(r Refusals) uint64 { return r.NotAuthorized }, "not authorized"},
		"packet size on 5": {config.MQTT5, "max_packet_size 1000",
			payload.Message{Topic: "x/1", QoS: 1, Payload: make([]byte, 2000)},
			func(r Refusals) uint64 { return r.TooLarge }, "too large"},
		"message size on 5": {config.MQTT5, "message_size_limit 1000",
			payload.Message{Topic: "x/1", QoS: 1, Payload: make([]byte, 2000)},
			func(r Refusals) uint64 { return r.TooLarge }, "too large"},
		"packet size on 3.1.1, which drops the connection": {config.MQTT311, "max_packet_size 1000",
			payload.Message{Topic: "x/1", QoS: 1, Payload: make([]byte, 2000)},
			func(r Refusals) uint64 { return r.Disconnects }, "drops the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.extra == "acl" {
				acl := filepath.Join(t.TempDir(), "acl")
				if err := os.WriteFile(acl, []byte("topic readwrite good/#\ntopic readwrite heliograph/#\n"),
					0o644); err != nil {
					t.Fatal(err)
				}
				c.extra = "acl_file " + acl
			}
			broker := startMosquitto(t, c.extra)
			logged := &bytes.Buffer{}
			r := startLogging(t, slog.New(slog.NewTextHandler(logged, nil)),
				config.MQTTSink{Broker: broker.URL(), Version: c.version})
			in := subscribe(t, broker.Address, "good/#")
			r.event(payload.Message{Topic: "good/1", QoS: 1, Payload: []byte("v")})
			in.wait(t, 1)
			const n = 2
			for range n {
				r.event(c.bad)
			}
			r.event(payload.Message{Topic: "good/2", QoS: 1, Payload: []byte("v")})
			await.True(t, "what follows arrives", func() bool { return len(in.all()) >= 2 })
			await.True(t, "the queue is empty", func() bool { return r.q.Stats().Records == 0 })
			st := r.Stats()
			if c.reason(st.Refusals) != n || st.Refused() != n || st.Published != 2 || r.link.RefusedTotal() != n {
				t.Errorf("got %+v and %d in the account, want %d refused and 2 published", st, r.link.RefusedTotal(), n)
			}
			if state, words := r.Status(); state != sink.Up || !strings.Contains(words, c.word) ||
				!strings.Contains(words, "x/1") {
				t.Errorf("got %v %q, want it to name reason and topic", state, words)
			}
			r.stop()
			if got := strings.Count(logged.String(), "topic=x/1"); got != 1 ||
				!strings.Contains(logged.String(), c.word) {
				t.Errorf("the log names the topic %d times, want once:\n%s", got, logged)
			}
		})
	}
}

func TestExpiredAndUnreadableRecordsAreAccountedFor(t *testing.T) {
	broker := startMosquitto(t, "")
	r := start(t, config.MQTTSink{Broker: broker.URL(), Version: config.MQTT5})
	m := full("e")
	m.Received = m.Received.Add(-400e9)
	r.Deliver(sink.Update{Event: true, Payload: m.Append(nil)})
	r.Deliver(sink.Update{Event: true, Payload: []byte("not a message")})
	await.True(t, "the queue is empty", func() bool { return r.q.Stats().Records == 0 })
	if e, f := r.link.ExpiredTotal(), r.link.RefusedTotal(); e != 1 || f != 1 || r.Stats().Unreadable != 1 {
		t.Errorf("got %d expired and %d refused in the account, want 1 and 1", e, f)
	}
}

// TestMessagesExpireByTheClockThatStampedThem has a plant without time servers.
func TestMessagesExpireByTheClockThatStampedThem(t *testing.T) {
	for name, ahead := range map[string]time.Duration{
		"40 days behind": -40 * 24 * time.Hour,
		"an hour ahead":  time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			broker := startMosquitto(t, "")
			in := subscribe(t, broker.Address, "old", "young")
			plant := func() time.Time { return time.Now().Add(ahead) }
			r := start(t, config.MQTTSink{Broker: broker.URL(), Version: config.MQTT5},
				func(d *Deps) { d.PlantTime = plant })
			for topic, age := range map[string]time.Duration{"old": 301 * time.Second, "young": 100 * time.Second} {
				m := full(topic)
				m.Received = plant().Add(-age)
				r.Deliver(sink.Update{Event: true, Payload: m.Append(nil)})
			}
			got := in.wait(t, 1)[0]
			if left := got.Properties.MessageExpiry; got.Topic != "young" || left == nil || *left < 20 || *left > 200 {
				t.Errorf("got %v, want young alone with 200 s left at most", got)
			}
			await.True(t, "the old message counts as expired", func() bool { return r.link.ExpiredTotal() == 1 })
		})
	}
}

// TestBrokersThatOfferLessAreReached uses mosquitto with less than it ships with.
func TestBrokersThatOfferLessAreReached(t *testing.T) {
	for name, c := range map[string]struct {
		version config.MQTTVersion
		extra   string
		want    string
		qos     byte
	}{
		"3.1.1 as asked":     {config.MQTT311, "", "on 3.1.1; its access control refuses messages without notice", 1},
		"no retain on 5":     {config.MQTTAuto, "retain_available false", "without retain", 1},
		"no retain on 3.1.1": {config.MQTT311, "retain_available false", "without retain", 1},
		"QoS 0 alone on 5":   {config.MQTTAuto, "max_qos 0", "with QoS up to 0", 0},
	} {
		t.Run(name, func(t *testing.T) {
			broker := startMosquitto(t, c.extra)
			in := subscribe(t, broker.Address, "t")
			r := start(t, config.MQTTSink{Broker: broker.URL(), Version: c.version})
			r.event(payload.Message{Topic: "t", QoS: 1, Retain: true, Payload: []byte("v")})
			if p := in.wait(t, 1)[0]; string(p.Payload) != "v" || p.QoS != c.qos {
				t.Errorf("got %q with QoS %d, want v with %d", p.Payload, p.QoS, c.qos)
			}
			state, words := r.Status()
			if state != sink.Up || !strings.Contains(words, c.want) || r.Ready() != nil {
				t.Errorf("got %v %q, want up, %s", state, words, c.want)
			}
		})
	}
}

func TestABrokerThatHangsUpOnMQTT5IsReachedOn311(t *testing.T) {
	r := start(t, config.MQTTSink{Broker: "mqtt://" + closingBroker(t), Version: config.MQTTAuto})
	await.True(t, "the sink is up", func() bool { return r.Ready() == nil })
	if _, words := r.Status(); !strings.Contains(words, "on 3.1.1") {
		t.Errorf("got %q, want it to name the version", words)
	}
}

func TestSizeIsThatOfThePacket(t *testing.T) {
	m := full("topic")
	for _, payloadBytes := range []int{0, 1, 60, 100, 127, 128, 200, 16_300, 16_400} {
		m.Payload = make([]byte, payloadBytes)
		c := &conn5{box: newOutbox()}
		c.box.last = 1
		if err := c.send(&m, 1); err != nil {
			t.Fatal(err)
		}
		if got, want := size(&m), c.buf.Len(); got != want {
			t.Errorf("%d bytes of payload: got %d, want %d as paho writes it", payloadBytes, got, want)
		}
	}
	if got, want := size(&payload.Message{Topic: "t"}), len("\x30\x04\x00\x01t\x00"); got != want {
		t.Errorf("an empty message: got %d, want %d", got, want)
	}
}
