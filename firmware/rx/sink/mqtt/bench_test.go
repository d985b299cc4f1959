package mqtt

import (
	"fmt"
	"testing"
	"time"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
)

// BenchmarkPublish measures messages of 200 bytes into mosquitto.
func BenchmarkPublish(b *testing.B) {
	for _, version := range []config.MQTTVersion{config.MQTT5, config.MQTT311} {
		for qos := range byte(3) {
			b.Run(fmt.Sprintf("%s/QoS%d", version, qos), func(b *testing.B) {
				broker := startMosquitto(b, "")
				r := start(b, config.MQTTSink{Broker: broker.URL(), Version: version})
				await.True(b, "up", func() bool { return r.Ready() == nil })
				body := make([]byte, 200)
				b.ResetTimer()
				began := time.Now()
				for range b.N {
					r.event(payload.Message{Topic: "bench", QoS: qos, Payload: body})
				}
				await.True(b, "drained", func() bool { return r.q.Stats().Records == 0 })
				b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "msgs/s")
			})
		}
	}
}
