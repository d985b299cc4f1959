package mqtt

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source"
)

func TestAutoFallsBackOnARefusedVersionAndSaysSo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		refuse []byte
		levels map[byte]bool // that are spoken
		want   string
	}{
		{"code 1, bridges welcome", []byte{0x20, 2, 0, 1}, map[byte]bool{4: true, 0x84: true}, "MQTT 3.1.1: the broker refused 5"},
		{"code 1, no bridges", []byte{0x20, 2, 0, 1}, map[byte]bool{4: true}, "asked for each minute"},
		{"reason 0x84", []byte{0x20, 3, 0, 0x84, 0}, map[byte]bool{4: true, 0x84: true}, "MQTT 3.1.1: the broker refused 5"},
		{"connection closed", nil, map[byte]bool{4: true}, "MQTT 3.1.1: the broker refused 5"},
		{"speaks 5", nil, map[byte]bool{5: true}, "MQTT 5"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			address := script(t, func(_ int, conn net.Conn, level byte) {
				if test.levels[level] {
					answer(conn, level, nil)
					return
				}
				refusal := test.refuse
				if level != 5 && refusal != nil {
					refusal = []byte{0x20, 2, 0, 1}
				}
				_, _ = conn.Write(refusal)
			})
			p := &port{}
			start(t, config.MQTTSource{Broker: address, Version: config.MQTTAuto}, p)
			await.True(t, "the source is up", func() bool { return p.Last().State == source.Up })
			if got := p.Last().String(); !strings.Contains(got, test.want) {
				t.Errorf("got %q, want it to contain %q", got, test.want)
			}
		})
	}
}

func TestAutoDoesNotFallBackOnAWrongPassword(t *testing.T) {
	t.Parallel()
	old := make(chan byte, 10)
	address := script(t, func(_ int, conn net.Conn, level byte) {
		if level != 5 {
			old <- level
		}
		_, _ = conn.Write([]byte{0x20, 3, 0, 0x87, 0})
	})
	p := &port{}
	start(t, config.MQTTSource{Broker: address, Version: config.MQTTAuto}, p)
	await.True(t, "the refusal shows twice", func() bool { return strings.Count(p.Reports(), "0x87") >= 2 })
	select {
	case level := <-old:
		t.Errorf("got level %#x tried, want 5 alone", level)
	default:
	}
}

func TestUnreachableBrokerIsShownAndTriedAgain(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	p := &port{}
	start(t, config.MQTTSource{Broker: "mqtt://" + address, Version: config.MQTTAuto}, p)
	await.True(t, "two attempts show", func() bool { return strings.Count(p.Reports(), "refused") >= 2 })
	if last := p.Last(); last.State != source.Down || strings.Contains(last.Reason, "3.1.1") || p.Complete() {
		t.Errorf("got %s, complete %v; want down, no other version, not complete", last, p.Complete())
	}
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
			took := time.Since(began)
			reason := p.Last().String()
			t.Logf("%s: down after %s: %s", version, took, reason)
			if took > 10*time.Second {
				t.Errorf("got down after %s, want within 10 s", took)
			}
		})
	}
}

// A broker may say that it waits a minute for pings; we notice sooner.
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

// kept is a connection to a broker that kept the session. It notes what is
// subscribed to.
type kept struct {
	connection
	asked []string
}

func (*kept) resumed() bool                 { return true }
func (*kept) barrier(context.Context) error { return nil }
func (k *kept) subscribe(_ context.Context, filters []string, _ byte) error {
	k.asked = append(k.asked, filters...)
	return nil
}

// TestAKeptSessionIsSubscribedToAsItIsSpokenTo checks that a session whose
// subscription hides retain flags is not taken for one that passes them on.
func TestAKeptSessionIsSubscribedToAsItIsSpokenTo(t *testing.T) {
	t.Parallel()
	s, _ := testSource(t)
	s.cfg.Topics = []string{"#"}
	bridge, plain := how{version: "3.1.1", bridge: true}, how{version: "3.1.1", plain: true}
	for i, step := range []struct {
		how  how
		want int
	}{{plain, 1}, {plain, 0}, {bridge, 1}, {bridge, 0}, {plain, 1}, {how{version: five}, 1}, {how{version: five}, 1}, {bridge, 1}} {
		k := &kept{}
		f := newFeed(s)
		if err := f.ask(t.Context(), k, step.how); err != nil || len(k.asked) != step.want {
			t.Errorf("connection %d, %s: got subscriptions to %q, %v; want %d", i, step.how, k.asked, err, step.want)
		}
		f.close()
	}
}
