package mqtt

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/eclipse/paho.golang/paho"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/rx/sink"
	"heliograph/firmware/rx/sink/sinktest"
	"heliograph/firmware/rx/spool"
)

// lateUpdates are a new value of s, and then what was missed before it.
func lateUpdates() []sink.Update {
	value := func(text string) []byte {
		m := payload.Message{Topic: "s", QoS: 1, Retain: true, Payload: []byte(text)}
		return m.Append(nil)
	}
	event := payload.Message{Topic: "e", QoS: 2, Payload: []byte("missed")}
	return []sink.Update{
		{Key: []byte("s"), Payload: value("new")},
		{Key: []byte("s"), Payload: value("old"), Late: true},
		{Key: []byte("s"), Payload: value("retained live"), Event: true, Late: true},
		{Key: []byte("s"), Delete: true, Late: true},
		{Payload: event.Append(nil), Event: true, Late: true},
	}
}

// messageText is a message as the tests compare it.
func messageText(p *paho.Publish) string {
	mark := ""
	for _, u := range p.Properties.User {
		mark += " " + u.Key + "=" + u.Value
	}
	return fmt.Sprintf("%s=%s retain %v%s", p.Topic, p.Payload, p.Retain, mark)
}

func wantLate(late config.Late, mark string) []string {
	prefix := ""
	if late == config.LateSeparate {
		prefix, mark = "late/", ""
	}
	want := []string{"p/s=new retain true"}
	if late == config.LateDrop {
		return want
	}
	for _, text := range []string{"p/s=old", "p/s=retained live", "p/s=", "p/e=missed"} {
		want = append(want, prefix+text+" retain false"+mark)
	}
	return want
}

// TestLateMessagesAreNeverTheNewestValue checks what brokers have of messages that an
// outage delayed.
func TestLateMessagesAreNeverTheNewestValue(t *testing.T) {
	const mark = " heliograph-late=1"
	for _, where := range []struct {
		name string
		cfg  func(t *testing.T) (config.MQTTSink, string)
		mark string
	}{
		{"mosquitto, 5", func(t *testing.T) (config.MQTTSink, string) {
			b := startMosquitto(t, "")
			return config.MQTTSink{Broker: b.URL(), Version: config.MQTT5}, b.Address
		}, mark},
		{"mosquitto, 3.1.1", func(t *testing.T) (config.MQTTSink, string) {
			b := startMosquitto(t, "")
			return config.MQTTSink{Broker: b.URL(), Version: config.MQTT311}, b.Address
		}, ""},
		{"embedded", func(t *testing.T) (config.MQTTSink, string) {
			address := await.FreeAddress(t)
			return config.MQTTSink{Listen: "mqtt://" + address}, address
		}, mark},
	} {
		for _, late := range []config.Late{config.LateSeparate, config.LateSame, config.LateDrop} {
			t.Run(where.name+" "+string(late), func(t *testing.T) {
				cfg, address := where.cfg(t)
				cfg.TopicPrefix, cfg.Late, cfg.LatePrefix = "p/", late, "late/"
				r := start(t, cfg)
				await.True(t, "the broker is up", func() bool { return r.Ready() == nil })
				in := subscribe(t, address, "p/s", "p/e", "late/#")
				for _, u := range lateUpdates() {
					r.Deliver(u)
				}
				want := wantLate(late, where.mark)
				var got []string
				for _, p := range in.wait(t, len(want)) {
					got = append(got, messageText(p))
				}
				if !slices.Equal(got, want) {
					t.Errorf("got  %q\nwant %q", got, want)
				}
				checkLateCounts(t, r, late)
				retained := subscribe(t, address, "p/s", "late/#").wait(t, 1)
				if got := messageText(retained[0]); got != want[0] {
					t.Errorf("retained: got %s, want %s", got, want[0])
				}
			})
		}
	}
}

func checkLateCounts(t *testing.T, r *rig, late config.Late) {
	t.Helper()
	published, dropped := uint64(5), uint64(0)
	if late == config.LateDrop {
		published, dropped = 1, 4
	}
	await.True(t, "the counts", func() bool { return r.Stats().Published == published })
	if st := r.Stats(); st.Late != published-1 || st.LateDrops != dropped || st.Stripped != 0 ||
		r.link.ExpiredTotal() != dropped {
		t.Errorf("got %+v, %d expired; want %d late, %d dropped", st, r.link.ExpiredTotal(), published-1, dropped)
	}
}

// TestLateMessagesStayLateInTheSpool restarts the sink while its broker is away.
func TestLateMessagesStayLateInTheSpool(t *testing.T) {
	dir, address := t.TempDir(), await.FreeAddress(t)
	cfg := config.MQTTSink{Channel: "cell", Listen: "mqtt://" + address, TopicPrefix: "p/", Late: config.LateSame}
	q, err := spool.Open(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	first, err := New(cfg, Deps{Queue: q, Channel: &sinktest.Channel{}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range lateUpdates()[1:] {
		first.Deliver(u)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if q, err = spool.Open(dir, 1<<20); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	recs, err := q.Next(await.Context(t), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range recs {
		var m payload.Message
		if rec, ok := parseRecord(b); !ok || !rec.late() || !rec.message(&m) || m.Retain {
			t.Errorf("got %+v, want a late record that is not retained", rec)
		}
	}
	if len(recs) != 4 {
		t.Errorf("got %d records, want 4", len(recs))
	}
}
