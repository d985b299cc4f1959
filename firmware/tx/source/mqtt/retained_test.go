package mqtt

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/ci/rig/mosquitto"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source"
	"heliograph/firmware/tx/source/sourcetest"
)

// retain has a broker retain messages of topics r/0, r/1, …
func retain(t testing.TB, b *mosquitto.Broker, from, to int, qos byte) {
	t.Helper()
	plant := publish(t, b.URL())
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
			if want := map[bool]byte{false: 0, true: 1}[i >= topics/2]; err != nil || m.QoS != want || string(m.Payload) != fmt.Sprint(i) {
				t.Errorf("topic %d: got %+v, %v; want QoS %d", i, m, err, want)
			}
		}
		stop()
		plant := publish(t, b.URL())
		plant.send("r/7", 1, true, "")
		plant.end()
		s, _ = start(t, cfg, p) // with what the link still shows
		up(t, s)
		if keys, deleted := p.count(); keys != topics-1 || deleted != 1 {
			t.Errorf("after a restart: got %d topics, %d deleted; want %d and the one that was cleared", keys, deleted, topics-1)
		}
	})
}

// TestTopicsAreRememberedOverARestart checks that a topic of an earlier run is
// asked for by its name, although the link shows nothing of it.
func TestTopicsAreRememberedOverARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "topics")
	n := names{path: path}
	n.save([]string{"b", "a/ä"})
	n = names{path: path}
	if got := fmt.Sprint(n.load()); got != "[a/ä b]" {
		t.Errorf("got %s, want both", got)
	}
	s, _ := testSource(t)
	s.names = n
	s.picture.show(map[string]mark{"c": {}})
	if got := s.known(); len(got) != 3 {
		t.Errorf("got %v, want a/ä, b and c", got)
	}
}

// TestNoRoomMeansNoReading checks that a source without room stops reading,
// stays connected however long that takes, and goes on where it was.
func TestNoRoomMeansNoReading(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := persistent(t, "max_inflight_messages 1000")
		p := &port{}
		s, _ := start(t, config.MQTTSource{Broker: b.URL(), Version: version}, p)
		up(t, s)
		p.SetFull(true)
		plant := publish(t, b.URL())
		const events = 400
		for i := range events { // 40 MB, more than sockets take
			plant.send("x", 1, false, fmt.Sprintf("%06d", i)+string(make([]byte, 100_000)))
		}
		time.Sleep(silence + 2*time.Second) // of a real broker's clock: longer than it may be silent, or we
		if n := len(p.Updates()); n != 0 {
			t.Errorf("got %d events without room", n)
		}
		p.SetFull(false)
		await.True(t, "all arrive", func() bool { return len(p.Updates()) >= events })
		for i, u := range p.Updates() {
			var m payload.Message
			if err := m.Parse(u.Payload); err != nil || string(m.Payload[:6]) != fmt.Sprintf("%06d", i) {
				t.Fatalf("event %d: got %.6q, %v", i, m.Payload, err)
			}
		}
		if got := p.Reports(); got != "connecting starting\nup MQTT "+string(version) {
			t.Errorf("got the states %q, want up once", got)
		}
		if n := len(p.Updates()); n != events {
			t.Errorf("got %d events, want %d", n, events)
		}
	})
}

// TestARefusedMessageIsAcknowledgedAndCounted checks what becomes of a message
// that the channel has no space for.
func TestARefusedMessageIsAcknowledgedAndCounted(t *testing.T) {
	t.Parallel()
	b := stock(t, "")
	retain(t, b, 0, 10, 1)
	p := &port{sourcetest.Port{Refuse: func(u source.Update) error {
		if len(u.Key) > 0 && string(u.Key) >= "r/5" {
			return source.ErrStateFull
		}
		return nil
	}}}
	s, _ := start(t, config.MQTTSource{Broker: b.URL(), Version: config.MQTT5}, p)
	up(t, s)
	publish(t, b.URL()).send("r/9", 1, true, "again")
	await.True(t, "it is acknowledged", func() bool { return s.Stats().Acknowledged.Load() == 1 })
	if keys, _ := p.count(); keys != 5 || s.Stats().Refused.Load() != 6 {
		t.Errorf("got %d topics, %d refused; want 5 and 6", keys, s.Stats().Refused.Load())
	}
}

// TestAWindowBoundsWhatALibraryQueues checks when a connection stops reading.
func TestAWindowBoundsWhatALibraryQueues(t *testing.T) {
	var w window
	w.bound()
	const qos1, repeated = typePublish<<4 | 1<<1, typePublish<<4 | 2<<1 | 1<<3
	never, ended := make(chan struct{}), make(chan struct{})
	close(ended)
	w.read(typeSuback<<4, 10*mostUnread)
	w.read(repeated, 10*mostUnread) // the library may answer it by itself
	w.read(qos1, mostUnread-1)
	if !w.wait(never) {
		t.Error("got no room for more, although there is")
	}
	w.read(qos1, 1)
	if w.wait(ended) {
		t.Error("got room with a whole window unread")
	}
	waited := make(chan bool)
	go func() { waited <- w.wait(never) }()
	w.handed(2, true) // the repeated one, which was not counted
	select {
	case <-waited:
		t.Error("a repeated message made room")
	default:
	}
	w.handed(1, false)
	if !<-waited {
		t.Error("got no room once the first was handed over")
	}
}

// TestASkimmerTakesOutWhatItIsToTell cuts a run of packets in every way, and
// checks that the topics are told and the rest is as it was.
func TestASkimmerTakesOutWhatItIsToTell(t *testing.T) {
	packet := func(head byte, body string) string {
		return string(append(binary.AppendUvarint([]byte{head}, uint64(len(body))), body...)) // the same form
	}
	long := strings.Repeat("x", 300)
	kept := packet(0x90, "\x00\x01\x00") + packet(0x33, "\x00\x01b\x00\x07of QoS 1") + packet(0xd0, "")
	all := packet(0x31, "\x00\x03a/ä"[:5]+long) + kept[:5] + packet(0x30, "\x00\x04live"+long) + kept[5:] + packet(0x31, "\x00\x01c") + packet(0x31, "\x00")
	for cut := 1; cut <= len(all); cut++ {
		var topics []string
		s := &skimmer{topic: func(b []byte) { topics = append(topics, string(b)) }}
		s.on.Store(true)
		var out []byte
		for part := range slices.Chunk([]byte(all), cut) {
			out = append(out, s.filter(part)...)
		}
		if string(out) != kept || len(topics) != 2 || topics[1] != "c" {
			t.Fatalf("in pieces of %d: got %q and topics %q, want %q", cut, out, topics, kept)
		}
	}
	s := &skimmer{topic: func([]byte) { t.Error("a topic was told although it is off") }}
	if got := s.filter([]byte(all)); string(got) != all {
		t.Error("packets were taken out although it is off")
	}
}
