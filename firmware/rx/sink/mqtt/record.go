package mqtt

import (
	"encoding/binary"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/rx/sink"
)

// kind is what a queued record is.
type kind byte

const (
	kindMessage kind = iota
	kindState
	kindDeletion
)

const recordHeader = 1 + 8 + 8

// record is an entry of the queue; body is a part of it.
type record struct {
	kind   kind
	run    uint64
	number uint64
	body   []byte
}

// Deliver queues one update.
func (s *Sink) Deliver(u sink.Update) {
	k, body := kindMessage, u.Payload
	switch {
	case u.Delete && len(u.Payload) == 0:
		k, body = kindDeletion, u.Key
	case !u.Event:
		k = kindState
	}
	rec := make([]byte, 0, recordHeader+len(body))
	rec = append(rec, byte(k))
	rec = binary.BigEndian.AppendUint64(rec, s.run)
	rec = binary.BigEndian.AppendUint64(rec, s.number.Add(1))
	s.deps.Queue.Append(append(rec, body...))
}

func parseRecord(b []byte) (record, bool) {
	if len(b) < recordHeader || kind(b[0]) > kindDeletion {
		return record{}, false
	}
	return record{
		kind: kind(b[0]), run: binary.BigEndian.Uint64(b[1:]), number: binary.BigEndian.Uint64(b[9:]),
		body: b[recordHeader:],
	}, true
}

// message returns what is to be published for the record, without the prefix.
func (r record) message(m *payload.Message) bool {
	switch r.kind {
	case kindDeletion:
		*m = payload.Message{Topic: string(r.body), QoS: 1, Retain: true}
		return payload.ValidTopic(m.Topic)
	case kindState:
		err := m.Parse(r.body)
		m.Retain = true
		return err == nil
	default:
		return m.Parse(r.body) == nil
	}
}
