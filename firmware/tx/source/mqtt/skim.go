package mqtt

import (
	"encoding/binary"
	"sync/atomic"
)

// skimmer takes the QoS 0 messages out of what a broker sends, while it is on,
// and tells the topics of those that have the retain flag. It reads as fast as
// memory goes: a broker drops QoS 0 messages for a client that is slow.
//
//	PUBLISH  type and flags(1), length(1…4), topic length(2) topic, …  (MQTT 5.0 §3.3)
type skimmer struct {
	on    atomic.Bool
	topic func([]byte) // valid during the call

	head  [5]byte // of the packet
	have  int
	left  int64 // of the packet, once its head is known
	skims bool  // this packet
	name  []byte
	out   []byte // what is left for the library
}

// filter returns what is not taken out of b; it is valid until the next call.
func (s *skimmer) filter(b []byte) []byte {
	s.out = s.out[:0]
	for len(b) > 0 {
		if s.left == 0 {
			b = s.header(b)
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

// header takes one byte of a fixed header. What is not one is left to the guard.
func (s *skimmer) header(b []byte) []byte {
	s.head[s.have] = b[0]
	s.have++
	if s.have == 1 || b[0]&0x80 != 0 && s.have < len(s.head) {
		return b[1:]
	}
	for i := s.have - 1; i > 0; i-- {
		s.left = s.left<<7 | int64(s.head[i]&0x7f)
	}
	const qos = 3 << 1
	s.skims = s.on.Load() && s.head[0]>>4 == typePublish && s.head[0]&qos == 0 && s.left > 0 && s.left <= maxPacket
	if s.name = s.name[:0]; !s.skims {
		s.out = append(s.out, s.head[:s.have]...)
	}
	s.have = 0
	return b[1:]
}

// skim takes a part of a message.
func (s *skimmer) skim(b []byte) {
	const lengthSize = 2
	want := lengthSize
	for len(b) > 0 {
		if len(s.name) >= lengthSize {
			want = lengthSize + int(binary.BigEndian.Uint16(s.name))
		}
		if len(s.name) == want {
			return // told already
		}
		n := min(want-len(s.name), len(b))
		s.name = append(s.name, b[:n]...)
		b = b[n:]
		if len(s.name) == want && want > lengthSize && s.head[0]&1 == 1 {
			s.topic(s.name[lengthSize:])
		}
	}
}
