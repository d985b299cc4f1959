package broker

import (
	"encoding/binary"
	"math"
	"time"

	"heliograph/firmware/mqtt/packet"
)

// appendVarint appends a variable byte integer (MQTT 5.0 section 1.5.5).
func appendVarint(b []byte, n int) []byte {
	for ; n > 0x7f; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func varintLength(n int) int {
	length := 1
	for ; n > 0x7f; n >>= 7 {
		length++
	}
	return length
}

func appendString[T string | []byte](b []byte, s T) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// appendPacket appends a packet whose body is short.
func appendPacket(b []byte, kind, flags byte, body []byte) []byte {
	return append(appendVarint(append(b, kind<<4|flags), len(body)), body...)
}

// appendAck appends PUBACK, PUBREC, PUBREL or PUBCOMP. 3.1.1 has no reasons.
func appendAck(b []byte, version, kind byte, id uint16, reason byte) []byte {
	flags, length := byte(0), byte(2)
	if kind == packet.Pubrel {
		flags = 2
	}
	if version == 5 && reason != 0 {
		length = 3
	}
	b = binary.BigEndian.AppendUint16(append(b, kind<<4|flags, length), id)
	if length == 3 {
		b = append(b, reason)
	}
	return b
}

// appendDisconnect appends a DISCONNECT with its reason; 3.1.1 has none.
func appendDisconnect(b []byte, version byte, reason Fault) []byte {
	if version != 5 {
		return b
	}
	return append(b, packet.Disconnect<<4, 1, byte(reason))
}

// code311 is the return code of a CONNACK on 3.1.1 (section 3.2.2.3).
func code311(reason Fault) byte {
	switch reason {
	case 0:
		return 0
	case badVersion:
		return 1
	case badClientID:
		return 2
	case badPassword, notAuthorized:
		return 5
	}
	return 3
}

// appendSubscriptionAck appends SUBACK or UNSUBACK.
func appendSubscriptionAck(b []byte, version, kind byte, id uint16, codes []byte) []byte {
	body := binary.BigEndian.AppendUint16(nil, id)
	if version == 5 {
		body = append(body, 0) // no properties
	}
	return appendPacket(b, kind, 0, append(body, codes...))
}

// delivery is a message as a session gets it.
type delivery struct {
	m           *Message
	identifiers []uint32 // of the subscriptions
	qos         byte
	retain      bool
}

// propertiesLength is the length of a delivery's properties on MQTT 5.
func (d *delivery) propertiesLength() int {
	n := len(d.m.properties)
	if !d.m.expires.IsZero() {
		n += 5
	}
	for _, id := range d.identifiers {
		n += 1 + varintLength(int(id))
	}
	return n
}

// remaining is the remaining length of a delivery's PUBLISH.
func (d *delivery) remaining(version byte) int {
	n := 2 + len(d.m.topic) + len(d.m.payload)
	if d.qos > 0 {
		n += 2
	}
	if version == 5 {
		p := d.propertiesLength()
		n += varintLength(p) + p
	}
	return n
}

// packetSize is the size of a delivery's PUBLISH.
func (d *delivery) packetSize(version byte) int {
	n := d.remaining(version)
	return 1 + varintLength(n) + n
}

// appendPublish appends a PUBLISH but for its payload.
func (d *delivery) appendPublish(b []byte, version byte, id uint16, dup bool, now time.Time) []byte {
	header := byte(packet.Publish<<4) | d.qos<<1
	if d.retain {
		header |= 1
	}
	if dup {
		header |= 8
	}
	b = appendVarint(append(b, header), d.remaining(version))
	b = appendString(b, d.m.topic)
	if d.qos > 0 {
		b = binary.BigEndian.AppendUint16(b, id)
	}
	if version != 5 {
		return b
	}
	b = append(appendVarint(b, d.propertiesLength()), d.m.properties...)
	if !d.m.expires.IsZero() {
		b = binary.BigEndian.AppendUint32(append(b, propExpiry), d.m.left(now))
	}
	for _, id := range d.identifiers {
		b = appendVarint(append(b, propSubscription), int(id))
	}
	return b
}

// left is how many seconds of a message's life are left at now, rounded up.
func (m *Message) left(now time.Time) uint32 {
	seconds := (m.expires.Sub(now) + time.Second - 1) / time.Second
	return uint32(min(max(seconds, 0), math.MaxUint32))
}
