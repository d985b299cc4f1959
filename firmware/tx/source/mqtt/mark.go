package mqtt

import (
	"hash/maphash"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
)

// expirySlack is how many seconds two ends of one message's life may be apart:
// brokers count down in whole seconds.
const expirySlack = 2

// mark identifies a retained message: everything but its QoS, which a
// subscription may lower, and its remaining life; and that.
type mark struct {
	sum    uint64
	expiry uint32
	until  int64 // seconds since 1970
}

// same reports whether two messages are the same one.
func (m mark) same(o mark) bool {
	apart := m.until - o.until
	return m.sum == o.sum && (m.expiry == o.expiry || (apart >= -expirySlack && apart <= expirySlack))
}

// mark returns what identifies a message. encoded are its bytes.
func (r *retainedSet) mark(m *payload.Message, encoded []byte) mark {
	if !m.Expires {
		return mark{sum: r.sum(encoded)}
	}
	bare := *m
	bare.Expiry, bare.Received = 0, time.Time{}
	return mark{
		sum: r.sum(bare.Append(nil)), expiry: m.Expiry,
		until: m.Received.Add(time.Duration(m.Expiry) * time.Second).Unix(),
	}
}

// sum hashes an encoded message but for its QoS.
func (r *retainedSet) sum(encoded []byte) uint64 {
	const flags, qos = 1, 3 // see package payload/mqtt
	var h maphash.Hash
	h.SetSeed(r.seed)
	_ = h.WriteByte(encoded[flags] &^ qos)
	_, _ = h.Write(encoded[flags+1:])
	return h.Sum64()
}
