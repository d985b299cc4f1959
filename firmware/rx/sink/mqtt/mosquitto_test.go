package mqtt

import (
	"fmt"
	"log/slog"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/rx/sink"
)

func TestMosquittoReceivesEverythingInOrder(t *testing.T) {
	for _, version := range []config.MQTTVersion{config.MQTT5, config.MQTT311} {
		for qos := range byte(3) {
			t.Run(fmt.Sprintf("%s QoS %d", version, qos), func(t *testing.T) {
				broker := startMosquitto(t, "")
				in := subscribe(t, broker.Address, "p/n/#")
				r := start(t, config.MQTTSink{Broker: broker.URL(), Version: version, TopicPrefix: "p/"})
				const n = 2000
				for i := range n {
					r.event(payload.Message{Topic: fmt.Sprintf("n/%d", i%7), QoS: qos, Payload: fmt.Append(nil, i)})
				}
				for i, p := range in.wait(t, n) {
					if got, want := string(p.Payload), fmt.Sprint(i); got != want || p.QoS != qos ||
						p.Topic != fmt.Sprintf("p/n/%d", i%7) || p.Retain {
						t.Fatalf("message %d: got %q on %s, QoS %d, retain %v; want %q, QoS %d", i, got, p.Topic, p.QoS,
							p.Retain, want,
							qos)
					}
				}
				await.True(t, "the queue is empty", func() bool { return r.q.Stats().Records == 0 })
				if st := r.Stats(); st.Published != n || st.Refused()+st.Lowered+st.Expired != 0 {
					t.Errorf("got %+v, want %d published", st, n)
				}
			})
		}
	}
}

func TestPropertiesAndFlagsReachMosquitto(t *testing.T) {
	broker := startMosquitto(t, "")
	r := start(t, config.MQTTSink{Broker: broker.URL(), Version: config.MQTTAuto, TopicPrefix: "plant/"})
	in := subscribe(t, broker.Address, "plant/f")
	r.event(full("f"))
	checkFull(t, in.wait(t, 1)[0], "plant/f")
	path, err := exec.LookPath("mosquitto_sub")
	if err != nil {
		t.Skip("not proved: what mosquitto_sub sees, because it is not installed")
	}
	out, err := exec.Command(path, "-V", "5", "-p", broker.Port(), "-t", "plant/f", "-C", "1", "-W", "120",
		"--retain-as-published",
		"-F", "%t %q %r %p %C %R %D %F %P").Output()
	if err != nil {
		t.Fatalf("mosquitto_sub: %v", err)
	}
	t.Logf("mosquitto_sub: %s", out)
	if want := "plant/f 0 1 21.5 text/plain answer \x00\x01 1 k:1 k:2 a:"; strings.TrimSpace(string(out)) != want {
		t.Errorf("mosquitto_sub: got %q, want %q", out, want)
	}
}

func TestStateIsPublishedRetainedAndADeletionClears(t *testing.T) {
	broker := startMosquitto(t, "")
	r := start(t, config.MQTTSink{Broker: broker.URL(), Version: config.MQTT5})
	in := subscribe(t, broker.Address, "#")
	m := payload.Message{Topic: "s", QoS: 1, Retain: true, Payload: []byte("1")}
	await.True(t, "the broker is up", func() bool { return r.Ready() == nil })
	in.wait(t, 1) // online
	r.Deliver(sink.Update{Key: []byte("s"), Payload: m.Append(nil)})
	r.Deliver(sink.Update{Key: []byte("s"), Delete: true})
	got := in.wait(t, 3)[1:]
	if p := got[0]; p.Topic != "s" || string(p.Payload) != "1" || !p.Retain {
		t.Errorf("state: got %+v", p)
	}
	if p := got[1]; p.Topic != "s" || len(p.Payload) != 0 || !p.Retain {
		t.Errorf("deletion: got %+v", p)
	}
}

func TestExpiredMessageStaysBehind(t *testing.T) {
	broker := startMosquitto(t, "")
	r := start(t, config.MQTTSink{Broker: broker.URL(), Version: config.MQTT5})
	in := subscribe(t, broker.Address, "e/#")
	old := full("e/old")
	old.Received = time.Now().Add(-301 * time.Second)
	r.event(old)
	aged := full("e/aged")
	aged.Received = time.Now().Add(-100 * time.Second)
	r.event(aged)
	p := in.wait(t, 1)[0]
	if p.Topic != "e/aged" || p.Properties.MessageExpiry == nil || *p.Properties.MessageExpiry < 190 ||
		*p.Properties.MessageExpiry > 200 {
		t.Errorf("got %+v %+v, want e/aged with about 200 s left", p, p.Properties)
	}
	if st := r.Stats(); st.Expired == 0 {
		t.Errorf("got %+v, want one expired", st)
	}
}

func TestPropertiesStayBehindOn311(t *testing.T) {
	broker := startMosquitto(t, "")
	r := start(t, config.MQTTSink{Broker: broker.URL(), Version: config.MQTT311})
	in := subscribe(t, broker.Address, "f")
	r.event(full("f"))
	if p := in.wait(t, 1)[0]; string(p.Payload) != "21.5" || !p.Retain || p.Properties.ContentType != "" {
		t.Errorf("got %+v %+v", p, p.Properties)
	}
	if st := r.Stats(); st.Stripped == 0 {
		t.Errorf("got %+v, want the stripped message counted", st)
	}
}

// TestBrokerThatComesBackEmptyIsFilled kills a broker under load.
func TestBrokerThatComesBackEmptyIsFilled(t *testing.T) {
	for _, version := range []config.MQTTVersion{config.MQTT5, config.MQTT311} {
		t.Run(string(version), func(t *testing.T) {
			broker := startMosquitto(t, "")
			r := build(t, slog.New(slog.DiscardHandler), config.MQTTSink{Broker: broker.URL(), Version: version})
			away := r.gate()
			r.begin(t)
			for i := range 500 {
				r.event(payload.Message{Topic: fmt.Sprintf("r/%d", i), QoS: 1, Retain: true, Payload: []byte("old")})
			}
			await.True(t, "the broker has them", func() bool { return r.q.Stats().Records == 0 && r.Ready() == nil })
			away.Store(true) // until a subscriber is there
			broker.Kill()
			await.True(t, "the sink notices", func() bool { return r.Ready() != nil })
			for i := range 1000 {
				r.event(payload.Message{Topic: fmt.Sprintf("r/%d", i%10), QoS: 1, Retain: true,
					Payload: fmt.Append(nil, i)})
				r.event(payload.Message{Topic: "e", QoS: 1, Payload: fmt.Append(nil, i)})
			}
			broker.Run()
			in := subscribe(t, broker.Address, "#")
			away.Store(false)
			await.True(t, "the queue is drained", func() bool { return r.q.Stats().Records == 0 })
			last, events := map[string]string{}, 0
			await.True(t, "the snapshot is complete", func() bool {
				last, events = map[string]string{}, 0
				for _, p := range in.all() {
					if p.Topic == "e" {
						if string(p.Payload) != fmt.Sprint(events) {
							t.Fatalf("event %d: got %q", events, p.Payload)
						}
						events++
						continue
					}
					if before, err := strconv.Atoi(last[p.Topic]); err == nil {
						if now, _ := strconv.Atoi(string(p.Payload)); now < before {
							t.Fatalf("%s: got %q after %q, want nothing stale", p.Topic, p.Payload, last[p.Topic])
						}
					}
					last[p.Topic] = string(p.Payload)
				}
				return events == 1000 && len(last) == 501
			})
			for i := range 500 {
				want := "old"
				if i < 10 {
					want = fmt.Sprint(990 + i)
				}
				if got := last[fmt.Sprintf("r/%d", i)]; got != want {
					t.Errorf("r/%d: got %q, want %q", i, got, want)
				}
			}
			if st := r.q.Stats(); st.Dropped != 0 {
				t.Errorf("got %d dropped, want none", st.Dropped)
			}
		})
	}
}
