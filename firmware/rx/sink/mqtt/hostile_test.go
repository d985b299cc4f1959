package mqtt

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"heliograph/ci/await"
	"heliograph/firmware/config"
	"heliograph/firmware/rx/sink"
)

// answering is a broker that answers every CONNECT with the same bytes.
func answering(t testing.TB, answer []byte) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := io.ReadFull(conn, make([]byte, 9)); err == nil {
					_, _ = conn.Write(answer)
					_, _ = io.Copy(io.Discard, conn)
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// TestAHostileBrokerEndsItsConnectionAlone sends what made the client libraries
// panic, or allocate what it claims.
func TestAHostileBrokerEndsItsConnectionAlone(t *testing.T) {
	connack := map[config.MQTTVersion][]byte{config.MQTT5: {0x20, 3, 0, 0, 0}, config.MQTT311: {0x20, 2, 0, 0}}
	for name, c := range map[string]struct {
		version config.MQTTVersion
		alone   []byte // instead of a CONNACK
		after   []byte // behind a good one
		want    string
	}{
		"authentication method in CONNACK": {version: config.MQTT5, alone: []byte{0x20, 7, 0, 0, 4, 0x15, 0, 1, 'x'},
			want: "enhanced authentication"},
		"AUTH": {version: config.MQTT5, alone: []byte{0xf0, 0}, want: "no broker sends"},
		"a publish of 256 MB on 5": {version: config.MQTT5, after: []byte{0x30, 0xff, 0xff, 0xff, 0x7f},
			want: "no broker sends"},
		"a publish of 256 MB on 3.1.1": {version: config.MQTT311, after: []byte{0x30, 0xff, 0xff, 0xff, 0x7f},
			want: "no broker sends"},
		"SUBACK on 3.1.1": {version: config.MQTT311, after: []byte{0x90, 4, 0, 1, 0, 0},
			want: "no broker sends"},
		"a PUBACK of 256 MB": {version: config.MQTT5, after: []byte{0x40, 0xff, 0xff, 0xff, 0x7f},
			want: "no broker sends"},
		"a length without end": {version: config.MQTT5, after: []byte{0x40, 0xff, 0xff, 0xff, 0xff, 0xff},
			want: "no broker sends"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := c.alone
			if answer == nil {
				answer = append(bytes.Clone(connack[c.version]), c.after...)
			}
			r := start(t, config.MQTTSink{Broker: "mqtt://" + answering(t, answer), Version: c.version})
			await.True(t, "the reason shows", func() bool {
				state, reason := r.Status()
				return state == sink.Down && strings.Contains(reason, c.want)
			})
		})
	}
}
