package mqtt

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/mqtt/packet"
	"heliograph/firmware/tx/source"
)

// TestNoRoomMeansNoReading checks that a source without room stops reading,
// stays connected however long that takes, and goes on where it was.
func TestNoRoomMeansNoReading(t *testing.T) {
	versions(t, func(t *testing.T, version config.MQTTVersion) {
		b := persistent(t, "max_inflight_messages 1000")
		p := &port{}
		s, _ := start(t, config.MQTTSource{Broker: b.URL(), Version: version}, p)
		up(t, s)
		p.SetFull(true)
		plant := connectPlant(t, b.URL())
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

func TestBrokerThatFallsSilentIsDownWithinTenSeconds(t *testing.T) {
	t.Parallel()
	for _, version := range []config.MQTTVersion{config.MQTT5, config.MQTT311} {
		t.Run(string(version), func(t *testing.T) {
			t.Parallel()
			since := make(chan time.Time, 10)
			address := script(t, func(_ int, conn net.Conn, level byte) {
				answer(conn, level, func() {
					since <- time.Now()
					_, _ = io.Copy(io.Discard, conn)
				})
			})
			p := &port{}
			start(t, config.MQTTSource{Broker: address, Version: version}, p)
			began := <-since
			await.True(t, "the source is up", func() bool { return p.Last().State == source.Up })
			await.True(t, "the source is down", func() bool { return p.Last().State == source.Down })
			t.Logf("%s: down after %s: %s", version, time.Since(began), p.Last())
			if silence > 10*time.Second {
				t.Errorf("a silent broker is down after %s, want within 10 s", silence)
			}
		})
	}
}

// A broker may have a Server Keep Alive of a minute; pings go out more often.
func TestPingsComeAsOftenAsWeNeed(t *testing.T) {
	t.Parallel()
	pings := make(chan time.Time, 10)
	address := script(t, func(_ int, conn net.Conn, _ byte) {
		_, _ = conn.Write([]byte{0x20, 6, 0, 0, 3, 0x13, 0, 60}) // Server Keep Alive 60
		for {
			kind, body, err := readPacket(conn)
			if err != nil {
				return
			}
			switch kind {
			case 8:
				_, _ = conn.Write([]byte{0x90, 4, body[0], body[1], 0, 2})
			case 10:
				_, _ = conn.Write([]byte{0xb0, 4, body[0], body[1], 0, 0x11})
			case 12:
				pings <- time.Now()
				_, _ = conn.Write([]byte{0xd0, 0})
			}
		}
	})
	p := &port{}
	start(t, config.MQTTSource{Broker: address, Version: config.MQTT5}, p)
	first := <-pings
	if gap := (<-pings).Sub(first); gap > 2*keepAlive {
		t.Errorf("got %s between pings, want at most %s", gap, 2*keepAlive)
	}
	if last := p.Last(); last.State != source.Up {
		t.Errorf("got %s, want up", last)
	}
}

// A broker with one thread answers no ping while it sends what it retains on another connection.
func TestBrokerThatSendsOnAnotherConnectionIsNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last lastArrival
		connect := func() (c *brokerConn, broker net.Conn) {
			ours, broker := net.Pipe()
			c = newBrokerConn(ours, nil, limits5(), &traffic{}, &last, func(error) {})
			return c, broker
		}
		session, quiet := connect()
		reader, busy := connect()
		for _, c := range []net.Conn{session, quiet, reader, busy} {
			defer c.Close()
		}
		go func() { _, _ = io.Copy(io.Discard, reader) }()
		began, lost := time.Now(), make(chan error, 1)
		go func() {
			_, err := session.Read(make([]byte, 1))
			lost <- err
		}()
		const sends = 4 * silence
		for time.Since(began) < sends {
			time.Sleep(silence - time.Second)
			if _, err := busy.Write([]byte{packet.Pingresp << 4, 0}); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-lost:
				t.Fatalf("the session is lost after %s: %v, while the broker sends on another connection",
					time.Since(began), err)
			default:
			}
		}
		sent := time.Now()
		if err := <-lost; !errors.Is(err, errAnswer) {
			t.Errorf("got %v, want %v", err, errAnswer)
		}
		if after := time.Since(sent); after != silence {
			t.Errorf("the session is lost %s after the last byte on any connection, want %s", after, silence)
		}
	})
}
