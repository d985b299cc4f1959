package mqtt

import (
	"encoding/binary"
	"sync/atomic"

	"heliograph/firmware/mqtt/packet"
)

// skimmer removes the QoS 0 messages from what a broker sends, while it is on,
// and reports the topics of those that have the retain flag. It reads as fast as
// memory goes: a broker drops QoS 0 messages for a client that is slow.
//
//	PUBLISH  type and flags(1), length(1…4), topic length(2) topic, …  (MQTT 5.0 §3.3)
type skimmer struct {
	on    atomic.Bool
	topic func([]byte) // valid during the call

	head  packet.Header
	left  int64 // of the packet, once its header is complete
	skims bool  // this packet
	name  []byte
	out   []byte // what is left for the library
}

// filter returns what is not removed from b; it is valid until the next call.
func (s *skimmer) filter(b []byte) []byte {
	s.out = s.out[:0]
	for len(b) > 0 {
		if s.left == 0 {
			s.header(b[0])
			b = b[1:]
			continue
		}
		n := int(min(s.left, int64(len(b))))
		if s.skims {
			s.skim(b[:n])
		} else {
			s.out = append(s.out, b[:n]...)
		}
		s.left -= int64(n)
		b = b[n:]
	}
	return s.out
}

// header reads one byte of a fixed header. One that is not valid passes: it ends
// the connection in brokerConn.
func (s *skimmer) header(b byte) {
	done, err := s.head.Add(b)
	if !done && err == nil {
		return
	}
	s.skims, s.name = false, s.name[:0]
	if err == nil {
		const qos = 3 << 1
		s.left = s.head.Size()
		s.skims = s.on.Load() && s.head.Type() == packet.Publish && s.head.First()&qos == 0 &&
			s.left > 0 && s.left <= maxPacket
	}
	if !s.skims {
		s.out = append(s.out, s.head.Bytes()...)
	}
}

// skim reads a part of a message.
func (s *skimmer) skim(b []byte) {
	const lengthSize = 2
	want := lengthSize
	for len(b) > 0 {
		if len(s.name) >= lengthSize {
			want = lengthSize + int(binary.BigEndian.Uint16(s.name))
		}
		if len(s.name) == want {
			return // reported already
		}
		n := min(want-len(s.name), len(b))
		s.name = append(s.name, b[:n]...)
		b = b[n:]
		if len(s.name) == want && want > lengthSize && s.head.First()&1 == 1 {
			s.topic(s.name[lengthSize:])
		}
	}
}
