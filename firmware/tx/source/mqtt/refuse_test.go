package mqtt

import (
	"log/slog"
	"net"
	"testing"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source"
	"heliograph/firmware/tx/source/sourcetest"
)

// Bad messages are counted, and good ones between them cross.
func TestBadMessagesAreCountedAndGoodOnesCross(t *testing.T) {
	t.Parallel()
	address := script(t, func(_ int, conn net.Conn, level byte) {
		answer(conn, level, func() {
			for _, topic := range []string{"", "a/#", "a\x00", "\xff", "$SYS/x", "elsewhere/x", "in/ok"} {
				_, _ = conn.Write(append([]byte{0x30, byte(len(topic) + 4), 0, byte(len(topic))}, topic+"\x00!"...))
			}
		})
	})
	p := &port{}
	s, _ := start(t, config.MQTTSource{Broker: address, Version: config.MQTT5, Topics: []string{"in/#"}}, p)
	p.expect(t, "", `in/ok event q0 "!"`)
	if got := s.Stats().Refused.Load(); got != 6 {
		t.Errorf("got %d refused, want 6", got)
	}
	if got := p.MissedTotal()["messages that are not valid"]; got != 4 {
		t.Errorf("got %d missed, want the 4 that are not valid", got)
	}
	up(t, s)
}

// TestAnInvalidMessageIsMissedOnce: a retained one is read again and again.
func TestAnInvalidMessageIsMissedOnce(t *testing.T) {
	p := &port{}
	s, err := New(config.MQTTSource{}, "", p, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	format := byte(2)
	for i, c := range []struct {
		retain, read bool
		text         string
		want         uint64
	}{
		{true, true, "a", 1}, {true, true, "a", 1}, {true, true, "b", 2}, // read
		{true, false, "c", 3}, {true, true, "c", 3}, {true, false, "c", 4}, // sent live, and read
		{false, false, "d", 5}, {false, false, "d", 6},
	} {
		m := payload.Message{Topic: "t", Retain: c.retain, PayloadFormat: &format, Payload: []byte(c.text)}
		s.refuseInvalid(&m, c.read)
		if got := p.MissedTotal()["messages that are not valid"]; got != c.want {
			t.Errorf("message %d: got %d missed, want %d", i+1, got, c.want)
		}
	}
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
	connectPlant(t, b.URL()).send("r/9", 1, true, "again")
	await.True(t, "it is acknowledged", func() bool { return s.Stats().Acknowledged.Load() == 1 })
	if keys, _ := p.count(); keys != 5 || s.Stats().Refused.Load() != 6 {
		t.Errorf("got %d topics, %d refused; want 5 and 6", keys, s.Stats().Refused.Load())
	}
}

// TestARefusedValueClearsItsTopic has topics that the link knows grow beyond what
// it carries: IT must not take the old value for the newest.
func TestARefusedValueClearsItsTopic(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := persistent(t, "")
		plant := connectPlant(t, b.URL())
		plant.send("r/known", 1, true, "1")
		p := &port{sourcetest.Port{Refuse: func(u source.Update) error {
			if len(u.Payload) > 1000 {
				return source.ErrTooLarge
			}
			return nil
		}}}
		s, _ := start(t, config.MQTTSource{Broker: b.URL(), Version: version}, p)
		up(t, s)
		large := string(make([]byte, 2000))
		for range 2 { // known once, and not again
			plant.send("r/known", 1, true, large)
		}
		plant.send("r/new", 1, true, large)
		plant.send("event", 1, false, large)
		plant.send("r/known", 1, true, "2")
		p.expect(t, "",
			`r/known state q1 "1" retained key=r/known`,
			`r/known state delete key=r/known`,
			`r/known event q1 "2" retained key=r/known`)
		await.True(t, "all are acknowledged", func() bool { return s.Stats().Acknowledged.Load() >= 5 })
		if refused := s.Stats().Refused.Load(); refused != 4 {
			t.Errorf("got %d refused, want 4", refused)
		}
	})
}

// TestARefusedAnswerClearsItsTopic has a value grow while the source is away.
func TestARefusedAnswerClearsItsTopic(t *testing.T) {
	t.Parallel()
	b, folder := persistent(t, ""), t.TempDir()
	plant := connectPlant(t, b.URL())
	plant.send("r", 0, true, "1")
	p := &port{sourcetest.Port{Refuse: func(u source.Update) error {
		if len(u.Payload) > 1000 {
			return source.ErrStateFull
		}
		return nil
	}}}
	cfg := config.MQTTSource{Broker: b.URL(), Version: config.MQTT5}
	s, stop := startIn(t, folder, cfg, p)
	up(t, s)
	stop()
	plant.send("fence", 1, false, "the broker has seen that the client is gone")
	plant.send("r", 0, true, string(make([]byte, 2000)))
	s, _ = startIn(t, folder, cfg, p)
	up(t, s)
	p.expect(t, "r", `r state q0 "1" retained key=r`, `r state delete key=r`)
}
