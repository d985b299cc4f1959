package mqtt

import (
	"errors"
	"net"
	"slices"
	"testing"

	"heliograph/firmware/config"
)

func TestQoS2CrossesOnceOverConnections(t *testing.T) {
	s := newDeliveries()
	var done []string
	take := func(name string, o origin, sum uint64) *delivery {
		return s.add(2, o, &delivery{
			sum: sum, done: func() { done = append(done, name) },
			fail: func(err error) { done = append(done, name+": "+err.Error()) },
		})
	}
	d := take("first", origin{id: 1}, 7)
	if take("again", origin{id: 1, dup: true}, 7) != nil {
		t.Error("got a second delivery, want none")
	}
	s.left(d)
	if take("late", origin{id: 1, dup: true}, 7) != nil {
		t.Error("got a second delivery after it left, want none")
	}
	if want := []string{"again", "late"}; !slices.Equal(done, want) {
		t.Errorf("got %v, want %v: each connection acknowledges it once", done, want)
	}
	if take("other", origin{id: 1, dup: true}, 8) == nil || take("new", origin{id: 1}, 8) == nil {
		t.Error("got another message taken for the one before")
	}
	lost := take("lost", origin{id: 2}, 9)
	s.lost(lost, origin{id: 2}, errors.New("gone"))
	if take("after", origin{id: 2, dup: true}, 9) == nil {
		t.Error("got nothing for a message that never left")
	}
	take("kept", origin{id: 3}, 1)
	s.reset()
	if take("fresh", origin{id: 3, dup: true}, 1) == nil {
		t.Error("got a message of another session taken for this one's")
	}
}

// TestAnIdentifierIsUsedAgain has a broker complete a QoS 2 exchange, send an equal message
// under the same identifier, and lose the connection before that arrives: it comes marked
// DUP, and is another message all the same.
func TestAnIdentifierIsUsedAgain(t *testing.T) {
	t.Parallel()
	for _, version := range []config.MQTTVersion{config.MQTT5, config.MQTT311} {
		t.Run(string(version), func(t *testing.T) {
			t.Parallel()
			connack, publish := []byte{0x20, 2, 0, 0}, []byte{0x34, 6, 0, 1, 'x', 0, 7, '1'}
			suback, unsuback := []byte{0x90, 3, 0, 0, 2}, []byte{0xb0, 2, 0, 0}
			if version == config.MQTT5 {
				connack, publish = []byte{0x20, 3, 0, 0, 0}, []byte{0x34, 7, 0, 1, 'x', 0, 7, 0, '1'}
				suback, unsuback = []byte{0x90, 4, 0, 0, 0, 2}, []byte{0xb0, 4, 0, 0, 0, 0x11}
			}
			address := script(t, func(n int, conn net.Conn, _ byte) {
				first := slices.Clone(connack)
				if n > 0 {
					first[2] = 1 // Session Present
					first = append(append(first, publish[0]|8), publish[1:]...)
				}
				_, _ = conn.Write(first)
				for {
					kind, body, err := readPacket(conn)
					var reply []byte
					switch {
					case err != nil || kind == 7 && n == 0: // PUBCOMP
						return
					case kind == 8:
						reply = slices.Concat(suback[:2], body[:2], suback[4:])
						if n == 0 {
							reply = append(reply, publish...)
						}
					case kind == 10:
						reply = slices.Concat(unsuback[:2], body[:2], unsuback[4:])
					case kind == 5: // PUBREC, which PUBREL answers
						reply = []byte{0x62, 2, 0, 7}
					}
					_, _ = conn.Write(reply)
				}
			})
			p := &port{}
			// A shared subscription brings nothing retained, so there is no reader.
			start(t, config.MQTTSource{Broker: address, Version: version, Topics: []string{"$share/g/x"}}, p)
			p.expect(t, "", `x event q2 "1"`, `x event q2 "1"`)
		})
	}
}
