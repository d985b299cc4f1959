package mqtt

import (
	"net"
	"strings"
	"testing"

	"heliograph/ci/await"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source"
)

func TestAutoFallsBackOnARefusedVersionAndSaysSo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		refuse []byte
		levels map[byte]bool // that are supported
		want   string
	}{
		{"code 1, bridges welcome", []byte{0x20, 2, 0, 1}, map[byte]bool{4: true, 0x84: true},
			"MQTT 3.1.1: the broker refused 5"},
		{"code 1, no bridges", []byte{0x20, 2, 0, 1}, map[byte]bool{4: true}, "asked for each minute"},
		{"reason 0x84", []byte{0x20, 3, 0, 0x84, 0}, map[byte]bool{4: true, 0x84: true},
			"MQTT 3.1.1: the broker refused 5"},
		{"connection closed", nil, map[byte]bool{4: true}, "MQTT 3.1.1: the broker refused 5"},
		{"supports 5", nil, map[byte]bool{5: true}, "MQTT 5"},
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
