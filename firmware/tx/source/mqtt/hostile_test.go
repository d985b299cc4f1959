package mqtt

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"heliograph/ci/await"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source"
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
		{"length without end", config.MQTT5, nil, []byte{0x30, 0xff, 0xff, 0xff, 0xff, 1}, "never ends"},
		{"more codes than filters on 3.1.1", config.MQTT311, nil, []byte{0x90, 5, 0xff, 0xff, 0, 0, 0}, "too large"},
		{"more codes than filters on 5", config.MQTT5, nil, []byte{0x90, 6, 0xff, 0xff, 0, 2, 0x80, 0x80}, "answers for 3 topics"},
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
	if last := p.Last(); last.State != source.Up {
		t.Errorf("got %s, want up", last)
	}
}

// Noise in the place of packets never takes the role down.
func TestNoiseFromABrokerIsSurvived(t *testing.T) {
	t.Parallel()
	for _, version := range []config.MQTTVersion{config.MQTT5, config.MQTT311} {
		t.Run(string(version), func(t *testing.T) {
			t.Parallel()
			done := make(chan struct{}, 100)
			random := rand.New(rand.NewPCG(1, 2))
			address := script(t, func(n int, conn net.Conn, level byte) {
				defer func() { done <- struct{}{} }()
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
					if _, err := conn.Write(append([]byte{kinds[random.IntN(len(kinds))], byte(len(body))}, body...)); err != nil {
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

// FuzzGuard checks that what passes is a run of packets within the limits,
// however it is cut.
func FuzzGuard(f *testing.F) {
	f.Add([]byte{0x20, 2, 0, 0, 0x30, 3, 0, 1, 'a'}, uint8(1), true)
	f.Add([]byte{0x90, 0x85, 0, 0, 1, 0, 0, 0}, uint8(3), false)
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x7f}, uint8(2), true)
	f.Fuzz(func(t *testing.T, b []byte, cut uint8, five bool) {
		l := limit3()
		if five {
			l = limit5()
		}
		var seen traffic
		whole, pieces := flow{limit: l, seen: &seen.in}, flow{limit: l, seen: &seen.out}
		want := whole.pass(b)
		var got error
		for rest := b; len(rest) > 0 && got == nil; {
			n := min(len(rest), int(cut)+1)
			got = pieces.pass(rest[:n])
			rest = rest[n:]
		}
		if (got == nil) != (want == nil) {
			t.Fatalf("got %v in pieces of %d, want %v as in one", got, int(cut)+1, want)
		}
		if want != nil {
			if !errors.Is(want, errPacket) && !errors.Is(want, errType) {
				t.Fatalf("got %v, want a limit", want)
			}
			return
		}
		for r := bytes.NewReader(b); r.Len() > 0; {
			at := len(b) - r.Len()
			kind, body, err := readBounded(r, l.packet)
			if err != nil {
				return // the last one is not whole yet
			}
			if l.types>>kind&1 == 0 || int64(len(body)) > l.packet {
				t.Fatalf("at %d: passed type %d with %d bytes", at, kind, len(body))
			}
		}
	})
}

// readBounded reads one packet unless it claims to be larger than most.
func readBounded(r *bytes.Reader, most int64) (kind byte, body []byte, err error) {
	first, err := r.ReadByte()
	length := int64(0)
	for shift := 0; err == nil; shift += 7 {
		var b byte
		if b, err = r.ReadByte(); err == nil {
			if length |= int64(b&0x7f) << shift; b&0x80 == 0 {
				break
			}
		}
	}
	if err != nil || length > int64(r.Len()) || length > most {
		return 0, nil, io.ErrUnexpectedEOF
	}
	body = make([]byte, length)
	_, err = io.ReadFull(r, body)
	return first >> 4, body, err
}
