package mqtt

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"heliograph/ci/await"
	"heliograph/firmware/config"
)

// What a library would index, allocate or call by ends the connection; the
// source says why and connects again.
func TestHostileBrokerEndsTheConnectionAndNothingElse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		version config.MQTTVersion
		connack []byte // nil: a good one
		then    []byte // after the SUBSCRIBE, whose identifier a SUBACK gets
		want    string
	}{
		{"authenticates unasked", config.MQTT5, []byte{0x20, 7, 0, 0, 4, 0x15, 0, 1, 'x'}, nil, "authentication"},
		{"asks for authentication", config.MQTT5, []byte{0xf0, 2, 0x18, 0}, nil, "type 15"},
		{"claims 256 MiB on 5", config.MQTT5, nil, []byte{0x30, 0xff, 0xff, 0xff, 0x7f}, "too large"},
		{"claims 256 MiB on 3.1.1", config.MQTT311, nil, []byte{0x30, 0xff, 0xff, 0xff, 0x7f}, "too large"},
		{"exceeds the Maximum Packet Size", config.MQTT5, nil, []byte{0x30, 0x80, 0x80, 0x80, 0x21}, "too large"},
		{"length without end", config.MQTT5, nil, []byte{0x30, 0xff, 0xff, 0xff, 0xff, 1}, "four bytes"},
		{"more codes than filters on 3.1.1", config.MQTT311, nil, []byte{0x90, 5, 0xff, 0xff, 0, 0, 0}, "too large"},
		{"more codes than filters on 5", config.MQTT5, nil, []byte{0x90, 6, 0xff, 0xff, 0, 2, 0x80, 0x80},
			"answers for 3 topics"},
		{"PUBREC of nothing", config.MQTT5, nil, []byte{0x50, 2, 0, 9}, "type 5"},
		{"PUBACK of nothing", config.MQTT311, nil, []byte{0x40, 2, 0, 9}, "type 4"},
		{"refuses the topics on 5", config.MQTT5, nil, []byte{0x90, 4, 0xff, 0xff, 0, 0x87}, "refuses"},
		{"refuses the topics on 3.1.1", config.MQTT311, nil, []byte{0x90, 3, 0xff, 0xff, 0x80}, "refuses"},
		{"ends it", config.MQTT5, nil, []byte{0xe0, 1, 0x8b}, "0x8b"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			address := script(t, func(_ int, conn net.Conn, _ byte) {
				switch {
				case test.connack != nil:
					_, _ = conn.Write(test.connack)
				case test.version == config.MQTT5:
					_, _ = conn.Write([]byte{0x20, 3, 0, 0, 0})
				default:
					_, _ = conn.Write([]byte{0x20, 2, 0, 0})
				}
				kind, body, err := readPacket(conn)
				if err != nil || kind != 8 {
					return
				}
				reply := bytes.Clone(test.then)
				if len(reply) > 3 && reply[0] == 0x90 {
					copy(reply[2:], body[:2])
				}
				_, _ = conn.Write(reply)
				_, _ = io.Copy(io.Discard, conn)
			})
			p := &port{}
			start(t, config.MQTTSource{Broker: address, Version: test.version}, p)
			await.True(t, "the reason shows twice", func() bool {
				return strings.Count(p.Reports(), "down ") >= 2 && strings.Contains(p.Reports(), test.want)
			})
		})
	}
}

// Noise in the place of packets never takes the role down.
func TestNoiseFromABrokerIsSurvived(t *testing.T) {
	t.Parallel()
	for _, version := range []config.MQTTVersion{config.MQTT5, config.MQTT311} {
		t.Run(string(version), func(t *testing.T) {
			t.Parallel()
			done := make(chan struct{}, 100)
			address := script(t, func(n int, conn net.Conn, level byte) {
				defer func() { done <- struct{}{} }()
				random := rand.New(rand.NewPCG(1, uint64(n)))
				_, _ = conn.Write(map[bool][]byte{true: {0x20, 3, 0, 0, 0}, false: {0x20, 2, 0, 0}}[level == 5])
				kinds := []byte{0x20, 0x30, 0x32, 0x34, 0x36, 0x62, 0x90, 0xb0, 0xd0, 0xe0}
				for range 200 {
					body := make([]byte, random.IntN(40))
					for i := range body {
						body[i] = byte(random.IntN(256))
						if random.IntN(2) == 0 {
							body[i] = byte(random.IntN(4)) // lengths that fit
						}
					}
					if _, err := conn.Write(append([]byte{kinds[random.IntN(len(kinds))], byte(len(body))},
						body...)); err != nil {
						return
					}
				}
			})
			p := &port{}
			s, _ := start(t, config.MQTTSource{Broker: address, Version: version}, p)
			for range 3 {
				<-done
			}
			if s.Ready() == nil {
				t.Error("got ready on noise")
			}
		})
	}
}
