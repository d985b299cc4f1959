package mqtt

import (
	"encoding/binary"
	"time"
)

// Parse decodes b. Payload and CorrelationData are parts of it.
func (m *Message) Parse(b []byte) error {
	r := reader{rest: b}
	v, flags := r.byte(), r.byte()
	*m = Message{QoS: flags & 3, Retain: flags&flagRetain != 0, Topic: r.string()}
	if flags&flagProperties != 0 {
		m.parseProperties(&r)
	}
	m.Payload = r.rest
	if r.bad || v != version || flags&^(3|flagRetain|flagProperties) != 0 || !m.Valid() {
		return ErrMalformed
	}
	return nil
}

func (m *Message) parseProperties(r *reader) {
	have := r.byte()
	if have&haveFormat != 0 {
		f := r.byte()
		m.PayloadFormat = &f
	}
	if have&haveExpiry != 0 {
		if b := r.next(12); b != nil {
			m.Expires = true
			m.Expiry = binary.BigEndian.Uint32(b)
			m.Received = time.UnixMilli(int64(binary.BigEndian.Uint64(b[4:])))
		}
	}
	if have&haveContentType != 0 {
		t := r.string()
		m.ContentType = &t
	}
	if have&haveResponse != 0 {
		m.ResponseTopic = r.string()
	}
	if have&haveCorrelation != 0 {
		m.CorrelationData = r.next(r.length())
	}
	if have&haveUser != 0 {
		n := r.uvarint()
		for i := uint64(0); i < n && i <= MaxUserProperties && !r.bad; i++ {
			m.User = append(m.User, Property{Name: r.string(), Value: r.string()})
		}
	}
	// A property whose bit is set must be present: every message has one encoding.
	r.bad = r.bad || have == 0 || have != m.have()
}

type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) next(n uint64) []byte {
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.next(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if r.bad || n <= 0 || (n > 1 && r.rest[n-1] == 0) {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) length() uint64 {
	n := r.uvarint()
	if n > maxString {
		r.bad = true
	}
	return n
}

func (r *reader) string() string { return string(r.next(r.length())) }
