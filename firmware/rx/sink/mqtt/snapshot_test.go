package mqtt

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/rx/sink"
)

// state delivers a retained message as the newest value of its topic.
func (r *rig) state(m payload.Message) {
	m.Retain = true
	r.Deliver(sink.Update{Key: []byte(m.Topic), Payload: m.Append(nil)})
}

// away starts a sink whose broker, with further lines of configuration, is away until it is run.
func away(t *testing.T, lines string, version config.MQTTVersion) (r *rig, run func() *inbox) {
	broker := startMosquitto(t, lines)
	broker.Kill()
	r = start(t, config.MQTTSink{Broker: broker.URL(), Version: version})
	return r, func() *inbox {
		broker.Run()
		in := subscribe(t, broker.Address, "#")
		await.True(t, "the queue is empty", func() bool { return r.q.Stats().Records == 0 && r.Ready() == nil })
		return in
	}
}

func TestAQueuedStateThatTheSnapshotDoesNotHaveIsPublished(t *testing.T) {
	r, run := away(t, "", config.MQTT5)
	r.state(payload.Message{Topic: "s", QoS: 1, Payload: []byte("1")})
	run().newest(t, "s", "1")
	if st := r.Stats(); st.Superseded != 0 || st.Published != 1 {
		t.Errorf("got %+v, want 1 published", st)
	}
}

// TestStatesThatTheSnapshotReplacesAreAccountedFor has states wait for a broker that then takes
// only some topics.
func TestStatesThatTheSnapshotReplacesAreAccountedFor(t *testing.T) {
	acl := filepath.Join(t.TempDir(), "acl")
	if err := os.WriteFile(acl, []byte("topic readwrite good\ntopic readwrite old\ntopic readwrite heliograph/#\n"),
		0o644); err != nil {
		t.Fatal(err)
	}
	r, run := away(t, "acl_file "+acl, config.MQTT5)
	for _, topic := range []string{"good", "forbidden", "old"} {
		m := payload.Message{Topic: topic, QoS: 1, Payload: []byte("1")}
		r.state(m)
		r.state(m)
		if topic == "old" {
			m = full(topic)
			m.Received = m.Received.Add(-400e9)
		}
		r.link.Set(topic, m.Append(nil))
	}
	run().newest(t, "good", "1")
	await.True(t, "the account is exact", func() bool {
		return r.link.RefusedTotal() == 1 && r.link.ExpiredTotal() == 1
	})
	if st := r.Stats(); st.Superseded != 6 || st.Repeated != 1 {
		t.Errorf("got %+v, want 6 superseded and 1 repeated", st)
	}
}

// TestTheSnapshotFollowsTheWholeBacklog has more wait than the queue hands out together, and a
// broker that acknowledges none of it before it is connected again.
func TestTheSnapshotFollowsTheWholeBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var got []string
		connections := 0
		r := rigOn(t, func() *fakeConn {
			connections++
			return &fakeConn{stalls: connections == 1, got: func(topic string) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, topic)
			}}
		}, nil)
		for i := range 3 {
			r.event(payload.Message{Topic: fmt.Sprint("e/", i), QoS: 1, Payload: make([]byte, 600<<10)})
		}
		r.begin(t)
		expect := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			topics := slices.DeleteFunc(slices.Clone(got), func(topic string) bool {
				return strings.HasPrefix(topic, "own/")
			})
			if got = nil; !slices.Equal(topics, want) {
				t.Errorf("%s: got %v, want %v", when, topics, want)
			}
		}
		time.Sleep(ackTime)
		expect("while the broker stalls", "e/0")
		time.Sleep(ackTime)
		expect("on the next connection", "e/0", "e/1", "e/2", "r", "r/other")
		r.stop()
	})
}
