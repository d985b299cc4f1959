package mqtt

import (
	"context"
	"encoding/binary"
	"maps"
	"time"
)

// snapshot is all retained messages of a moment.
type snapshot struct {
	run, number uint64          // of the last record that is older
	data        []byte          // payloads, each behind its length(4)
	topics      map[string]bool // that it has, with their prefix
}

// snapshot copies the channel's state, or of the topics in only; Range holds the link up as
// long as it lasts.
func (s *Sink) snapshot(only map[string]bool) *snapshot {
	snap := &snapshot{run: s.run, number: s.number.Load(), topics: map[string]bool{}}
	channel := s.deps.Channel
	if channel == nil {
		return snap
	}
	first := true
	channel.Range(func(key, payload []byte) bool {
		if first { // no record comes while Range lasts
			snap.number, first = s.number.Load(), false
		}
		topic := s.cfg.TopicPrefix + string(key)
		if only != nil && !only[topic] {
			return true
		}
		snap.data = binary.BigEndian.AppendUint32(snap.data, uint32(len(payload)))
		snap.data = append(snap.data, payload...)
		snap.topics[topic] = true
		return true
	})
	if only != nil {
		return snap
	}
	maps.DeleteFunc(s.left, func(topic string, _ time.Time) bool { return !s.isLeft(topic) })
	maps.DeleteFunc(s.replaced, func(topic string, _ bool) bool { return !snap.topics[topic] })
	return snap
}

// older reports whether the record was queued before the moment of the snapshot.
func (n *snapshot) older(r record) bool { return r.run != n.run || r.number <= n.number }

// covers reports whether publishing the snapshot makes a record needless, which is for a topic.
// One whose key has no value, after a restart or for want of room, it does not bring.
func (n *snapshot) covers(r record, topic string) bool {
	return r.kind == kindState && n.older(r) && n.topics[topic]
}

// caughtUp reports whether the queue has come to the moment of the snapshot.
func (p *publisher) caughtUp(rec []byte) bool {
	r, ok := parseRecord(rec)
	return ok && !p.snap.older(r)
}

// snapshotIsNext reports whether all that is older than the snapshot was published, by what of the
// queue is not in flight. The queue hands out a bounded number of bytes, so that none of it may be
// fresh while more waits.
func (p *publisher) snapshotIsNext(fresh [][]byte) bool {
	if len(fresh) > 0 {
		return p.caughtUp(fresh[0])
	}
	return p.s.deps.Queue.Stats().Records <= p.queued
}

// publishSnapshot publishes the snapshot.
func (p *publisher) publishSnapshot(ctx context.Context) error {
	for rest := p.snap.data; len(rest) > 0; {
		n := binary.BigEndian.Uint32(rest)
		b := rest[4 : 4+n]
		rest = rest[4+n:]
		if p.msg.Parse(b) != nil {
			p.s.unreadable.Add(1)
			continue
		}
		p.msg.Retain = true
		f := flight{snapshot: true, topic: p.s.cfg.TopicPrefix + p.msg.Topic}
		if p.leaveOut(f) {
			continue
		}
		if err := p.makeRoom(ctx, f); err != nil {
			return err
		}
		if err := p.publish(f); err != nil {
			return err
		}
	}
	p.snap = nil
	p.c.snapshotSent()
	return nil
}
