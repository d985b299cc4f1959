package mqtt

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"heliograph/ci/await"
	"heliograph/ci/rig/mosquitto"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
)

// retain has a broker retain messages of topics r/0, r/1, …
func retain(t testing.TB, b *mosquitto.Broker, from, to int, qos byte) {
	t.Helper()
	plant := connectPlant(t, b.URL())
	for i := from; i < to; i++ {
		plant.send(fmt.Sprintf("r/%d", i), qos, true, fmt.Sprint(i))
	}
	plant.send("fence", 1, false, "")
	plant.end()
}

func (p *port) count() (keys, deleted int) {
	for _, u := range p.Updates() {
		if u.Delete {
			deleted++
		}
	}
	return p.Keys(), deleted
}

// TestAStockBrokerShowsAllThatItRetains has a stock broker retain more than it
// queues, in both versions and with and without acknowledgements.
func TestAStockBrokerShowsAllThatItRetains(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		const topics = 3000
		b := stock(t, "")
		retain(t, b, 0, topics/2, 0)
		retain(t, b, topics/2, topics, 1)
		p := &port{}
		cfg := config.MQTTSource{Broker: b.URL(), Version: version}
		s, stop := start(t, cfg, p)
		up(t, s)
		if keys, deleted := p.count(); keys != topics || deleted != 0 {
			t.Errorf("got %d topics, %d deleted; want %d and none", keys, deleted, topics)
		}
		for _, i := range []int{0, topics - 1} {
			var m payload.Message
			err := m.Parse(p.Newest(fmt.Sprintf("r/%d", i)))
			if want := map[bool]byte{false: 0, true: 1}[i >= topics/2]; err != nil || m.QoS != want ||
				string(m.Payload) != fmt.Sprint(i) {
				t.Errorf("topic %d: got %+v, %v; want QoS %d", i, m, err, want)
			}
		}
		stop()
		plant := connectPlant(t, b.URL())
		plant.send("r/7", 1, true, "")
		plant.end()
		s, _ = start(t, cfg, p) // with what the link still shows
		up(t, s)
		if keys, deleted := p.count(); keys != topics-1 || deleted != 1 {
			t.Errorf("after a restart: got %d topics, %d deleted; want %d and the one that was cleared", keys, deleted,
				topics-1)
		}
	})
}

// TestAChannelIsCompleteOnlyWhileItsRetainedMessagesCanBeRead has a broker that refuses the reader
// once all was read.
func TestAChannelIsCompleteOnlyWhileItsRetainedMessagesCanBeRead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		version config.MQTTVersion
		lost    bool // the connection; else what is retained is read again each minute
	}{
		{"connected again on 5", config.MQTT5, true},
		{"connected again on 3.1.1", config.MQTT311, true},
		{"read again each minute", config.MQTT311, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var refuse atomic.Bool
			refused, connected := make(chan struct{}, 1000), make(chan net.Conn, 10)
			address := scriptByConnect(t, func(_ int, conn net.Conn, connect []byte) {
				reads, level := bytes.Contains(connect, []byte(readerSuffix)), connect[6]
				switch {
				case reads && refuse.Load():
					refused <- struct{}{}
					return
				case level == bridgeLevel && !test.lost:
					_, _ = conn.Write([]byte{0x20, 2, 0, 1})
					return
				case !reads:
					connected <- conn
				}
				answer(conn, level, nil)
			})
			p := &port{}
			s, _ := start(t, config.MQTTSource{Broker: address, Version: test.version}, p)
			await.True(t, "the channel is complete", p.Complete)
			refuse.Store(true)
			if first := <-connected; test.lost {
				first.Close()
			}
			<-refused
			<-refused // so that the first refusal was dealt with
			if p.Complete() || !errors.Is(s.Ready(), errIncomplete) {
				t.Errorf("got complete %v and ready %v, want neither", p.Complete(), s.Ready())
			}
			refuse.Store(false)
			await.True(t, "it is complete again", func() bool { return p.Complete() && s.Ready() == nil })
		})
	}
}
