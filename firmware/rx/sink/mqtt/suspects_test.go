package mqtt

import (
	"fmt"
	"strings"
	"testing"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/rx/sink"
	"heliograph/firmware/rx/sink/sinktest"
)

func topics(list ...string) map[string]bool {
	set := map[string]bool{}
	for _, topic := range list {
		set[topic] = true
	}
	return set
}

func TestSuspectsAreWhatWasOpenEachTime(t *testing.T) {
	var s suspects
	for i, c := range []struct {
		queued   bool
		topics   map[string]bool
		again    bool
		failures int
		want     string
	}{
		{false, topics("a", "b", "c"), false, 1, "false map[a:true b:true c:true]"},
		{true, topics("b", "c"), true, 2, "false map[b:true c:true]"},
		{false, nil, false, 2, "false map[b:true c:true]"}, // not over a message
		{false, topics("c"), true, 3, "false map[c:true]"},
		{true, topics("a"), false, 1, "true map[a:true]"},
		{true, topics("b"), true, 2, "true map[]"},
		{false, topics("b"), false, 1, "false map[b:true]"},
	} {
		again := s.narrow(c.queued, c.topics)
		if got := fmt.Sprint(s.queued, s.topics); again != c.again || s.failures != c.failures || got != c.want {
			t.Errorf("%d: got again %v, %d failures of %s; want %v, %d of %s", i, again, s.failures, got, c.again,
				c.failures, c.want)
		}
	}
}

// TestWhatBreaksConnectionsIsFoundAmongWhatIsRepeated has a mosquitto on 3.1.1 that drops the
// connection over packets of more than 1,000 bytes.
func TestWhatBreaksConnectionsIsFoundAmongWhatIsRepeated(t *testing.T) {
	large := make([]byte, 2000)
	for name, c := range map[string]struct {
		qos   byte
		own   bool
		topic string
	}{
		"a retained message of QoS 1":        {1, false, "x/1"},
		"a retained message of QoS 0":        {0, false, "x/1"},
		"a topic of the gateway's own state": {1, true, "own/pair/link"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := startMosquitto(t, "max_packet_size 1000")
			link := &sinktest.Channel{}
			for i := range 30 {
				m := payload.Message{Topic: fmt.Sprintf("r/%d", i), QoS: c.qos, Retain: true, Payload: []byte("v")}
				link.Set(m.Topic, m.Append(nil))
			}
			gateway := map[string][]byte{"trust": []byte("yes")}
			if c.own {
				gateway["link"] = large
			} else {
				m := payload.Message{Topic: c.topic, QoS: c.qos, Retain: true, Payload: large}
				link.Set(m.Topic, m.Append(nil))
			}
			r := start(t, config.MQTTSink{Broker: broker.URL(), Version: config.MQTT311}, func(d *Deps) {
				d.Channel = link
				d.Gateway = Gateway{Prefix: "own/pair/", Reserved: []string{"own/pair/"},
					State: func() map[string][]byte { return gateway }}
			})
			in := subscribe(t, broker.Address, "#")
			events := 0
			await.NoError(t, "it is found", func() error {
				events++ // one is on its way whenever the connection breaks
				r.event(payload.Message{Topic: "e", QoS: 1, Payload: fmt.Append(nil, events)})
				if state, words := r.Status(); state != sink.Up || !strings.Contains(words, c.topic) {
					return fmt.Errorf("%v: %s", state, words)
				}
				return nil
			})
			in.newest(t, "e", fmt.Sprint(events))
			in.newest(t, "own/pair/trust", "yes")
			in.newest(t, "r/29", "v")
			await.True(t, "the queue is empty", func() bool { return r.q.Stats().Records == 0 })
			st := r.Stats()
			if st.Disconnects != st.Refused() || st.Published != uint64(events) || link.RefusedTotal() != 0 {
				t.Errorf("got %+v, %d refused in the account, want %d published and none refused but what was found",
					st, link.RefusedTotal(), events)
			}
		})
	}
}
