package mqtt

import (
	"fmt"
	"testing"

	"heliograph/firmware/config"
	payload "heliograph/firmware/payload/mqtt"
)

func TestMosquittoReceivesEverythingInOrder(t *testing.T) {
	for _, version := range []config.MQTTVersion{config.MQTT5, config.MQTT311} {
		for qos := range byte(3) {
			t.Run(fmt.Sprintf("%s QoS %d", version, qos), func(t *testing.T) {
				port := freePort(t)
				mosquitto(t, port, "")
				in := subscribe(t, "127.0.0.1:"+port, "p/n/#")
				r := start(t, config.MQTTSink{Broker: "mqtt://127.0.0.1:" + port, Version: version, TopicPrefix: "p/"})
				const n = 2000
				for i := range n {
					r.event(payload.Message{Topic: fmt.Sprintf("n/%d", i%7), QoS: qos, Payload: fmt.Append(nil, i)})
				}
				for i, p := range in.wait(t, n) {
					if got, want := string(p.Payload), fmt.Sprint(i); got != want || p.QoS != qos || p.Topic != fmt.Sprintf("p/n/%d", i%7) || p.Retain {
						t.Fatalf("message %d: got %q on %s, QoS %d, retain %v; want %q, QoS %d", i, got, p.Topic, p.QoS, p.Retain, want, qos)
					}
				}
				eventually(t, "the queue is empty", func() bool { return r.q.Stats().Records == 0 })
				if st := r.Stats(); st.Published != n || st.Refused+st.Lowered+st.Expired != 0 {
					t.Errorf("got %+v, want %d published", st, n)
				}
			})
		}
	}
}
