package mqtt

import (
	"context"
	"encoding/binary"
)

// snapshot is the retained picture of a moment.
type snapshot struct {
	run, number uint64 // of the last record that is older
	data        []byte // payloads, each behind its length(4)
}

// snapshot copies the picture out; Range holds the link up as long as it lasts.
func (s *Sink) snapshot() *snapshot {
	snap := &snapshot{run: s.run, number: s.number.Load()}
	pic := s.channel()
	if pic == nil {
		return snap
	}
	first := true
	pic.Range(func(_, payload []byte) bool {
		if first { // no record comes while Range lasts
			snap.number, first = s.number.Load(), false
		}
		snap.data = binary.BigEndian.AppendUint32(snap.data, uint32(len(payload)))
		snap.data = append(snap.data, payload...)
		return true
	})
	return snap
}

// older tells whether the record was queued before the moment of the picture.
func (n *snapshot) older(r record) bool { return r.run != n.run || r.number <= n.number }

// covers tells whether publishing the picture makes the record needless.
func (n *snapshot) covers(r record) bool { return r.kind == kindState && n.older(r) }

// caughtUp tells whether the queue has come to the moment of the picture.
func (p *publisher) caughtUp(rec []byte) bool {
	r, ok := parseRecord(rec)
	return ok && !p.snap.older(r)
}

// picture publishes the retained picture.
func (p *publisher) picture(ctx context.Context) error {
	for rest := p.snap.data; len(rest) > 0; {
		n := binary.BigEndian.Uint32(rest)
		b := rest[4 : 4+n]
		rest = rest[4+n:]
		if p.msg.Parse(b) != nil {
			p.s.unreadable.Add(1)
			continue
		}
		p.msg.Retain = true
		for p.full() {
			if err := p.settle(p.patience(0)); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		if err := p.publish(flight{picture: true}); err != nil {
			return err
		}
	}
	p.snap = nil
	p.c.filled()
	return nil
}
