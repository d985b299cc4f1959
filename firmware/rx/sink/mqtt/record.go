package mqtt

import (
	"encoding/binary"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/rx/sink"
)

// kind is what a queued record is.
type kind byte

const (
	kindMessage kind = iota
	kindState
	kindDeletion
	kindLate
	kindLateDeletion
)

const recordHeader = 1 + 8 + 8

// late reports whether the record happened before what was published already.
func (r record) late() bool { return r.kind == kindLate || r.kind == kindLateDeletion }

// record is an entry of the queue; body is a part of it.
type record struct {
	kind   kind
	run    uint64
	number uint64
	body   []byte
}

// Deliver queues one update.
func (s *Sink) Deliver(u sink.Update) {
	k, body := kindOf(&u), u.Payload
	if u.Late && s.cfg.Late == config.LateDrop {
		s.lateDropped.Add(1)
		if account := s.deps.Channel; account != nil {
			account.Expired(1)
		}
		return
	}
	if k == kindDeletion || k == kindLateDeletion {
		body = u.Key
	}
	rec := make([]byte, 0, recordHeader+len(body))
	rec = append(rec, byte(k))
	rec = binary.BigEndian.AppendUint64(rec, s.run)
	rec = binary.BigEndian.AppendUint64(rec, s.number.Add(1))
	s.deps.Queue.Append(append(rec, body...))
}

func kindOf(u *sink.Update) kind {
	switch deletion := u.Delete && len(u.Payload) == 0; {
	case u.Late && deletion:
		return kindLateDeletion
	case u.Late:
		return kindLate
	case deletion:
		return kindDeletion
	case u.Event:
		return kindMessage
	}
	return kindState
}

func parseRecord(b []byte) (record, bool) {
	if len(b) < recordHeader || kind(b[0]) > kindLateDeletion {
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
	case kindLateDeletion:
		*m = payload.Message{Topic: string(r.body), QoS: 1}
		return payload.ValidTopic(m.Topic)
	case kindState:
		err := m.Parse(r.body)
		m.Retain = true
		return err == nil
	case kindLate:
		err := m.Parse(r.body)
		m.Retain = false
		return err == nil
	default:
		return m.Parse(r.body) == nil
	}
}
