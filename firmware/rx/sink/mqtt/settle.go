package mqtt

import (
	"context"
	"errors"
	"time"
)

var errNoAck = errors.New("the broker stopped acknowledging")

// settleWait is how long to wait for acknowledgements before the queue is read again.
func (p *publisher) settleWait(fresh int) time.Duration {
	switch {
	case p.full(flight{queued: true}):
		return time.Second
	case len(p.flights) == 0:
		return 0
	case fresh == 0 || p.suspects.failures >= aloneAfter:
		return 2 * time.Millisecond
	}
	return 0
}

// makeRoom waits until a message may be sent.
func (p *publisher) makeRoom(ctx context.Context, f flight) error {
	for p.full(f) {
		if err := p.settle(p.settleWait(0)); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// settle takes off the queue what the broker has.
func (p *publisher) settle(wait time.Duration) error {
	began := time.Now()
	if err := p.c.flush(); err != nil {
		return err
	}
	p.last = p.last.Add(time.Since(began)) // while it was written the broker could not acknowledge it
	verdicts, err := p.c.settled(wait)
	if err != nil {
		return err
	}
	if len(verdicts) > 0 {
		p.last = time.Now()
	}
	done, n := 0, 0
	for ; n < len(p.flights); n++ {
		f := p.flights[n]
		if f.sent {
			if len(verdicts) == 0 {
				break
			}
			p.count(f, verdicts[0])
			p.proven(f)
			verdicts = verdicts[1:]
		}
		if f.queued {
			done++
		}
	}
	p.flights = append(p.flights[:0], p.flights[n:]...)
	if done > 0 {
		p.queued -= done
		p.suspects.queued = false
		p.s.deps.Queue.Done(done)
	}
	if len(p.flights) > 0 && time.Since(p.last) > ackTime {
		return errNoAck
	}
	return nil
}

// count counts what became of a message.
func (p *publisher) count(f flight, v verdict) {
	accounted := p.accounted(f)
	switch {
	case v != nil:
		p.s.refuse(v, f.topic, accounted)
	case f.queued:
		p.s.published.Add(1)
		if f.late {
			p.s.late.Add(1)
		}
	case f.snapshot:
		p.s.repeated.Add(1)
	}
}

// accounted reports whether a message, of which it is known now what became, counts as
// delivered: it was queued, or it is the snapshot's in place of one that was.
func (p *publisher) accounted(f flight) bool {
	if !f.snapshot {
		return f.queued
	}
	replaced := p.s.replaced[f.topic]
	delete(p.s.replaced, f.topic)
	return replaced
}
