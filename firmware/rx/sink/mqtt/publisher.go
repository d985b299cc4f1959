package mqtt

import (
	"context"
	"errors"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
)

// connection is a broker that was reached. One goroutine uses it.
type connection interface {
	// room is how many more messages of QoS 1 and 2 may be sent now.
	room() int
	// limits returns what the broker takes; 0 bytes: no limit.
	limits() limits
	// send hands over a message, which is written at the latest with flush.
	send(m *payload.Message, expiry uint32) error
	flush() error
	// settled returns the verdicts on the oldest messages that were sent, in
	// the order in which they were sent, waiting a while for the first.
	settled(wait time.Duration) ([]verdict, error)
	// lost is closed when the connection is gone, whose cause err returns.
	lost() <-chan struct{}
	err() error
	// note describes what differs from a broker that takes everything, "" for nothing.
	note() string
	// snapshotSent notes that the snapshot was sent.
	snapshotSent()
	// close ends the connection; clean has the will published, as at a clean end.
	close(clean bool)
}

// limits is what a broker takes.
type limits struct {
	qos        byte
	retain     bool
	bytes      int
	properties bool
}

// flight is a message that is on its way, or a record that needs none.
type flight struct {
	queued   bool // it is in the queue
	sent     bool // a verdict will come
	snapshot bool // it is of the snapshot
	late     bool // an outage delayed it
	own      bool // it is the gateway's, with its whole topic
	alone    bool // nothing else is sent until its verdict came
	qos      byte
	topic    string
}

// publisher publishes over one connection.
type publisher struct {
	s        *Sink
	c        connection
	lim      limits
	suspects *suspects

	flights []flight
	queued  int       // of them in the queue
	last    time.Time // of an acknowledgement, or of a message sent with none before it

	unproven   map[string]bool // topics of QoS 0, repeated and own, that nothing acknowledged follows
	unprovenAt time.Time       // when the last one was sent

	leftOut map[string]bool // topics that were left out on this connection

	snap *snapshot // that is to be published; nil: it was
	own  own
	msg  payload.Message
}

func newPublisher(s *Sink, c connection, before *suspects) *publisher {
	return &publisher{s: s, c: c, lim: c.limits(), suspects: before, last: time.Now(), unproven: map[string]bool{},
		leftOut: map[string]bool{}}
}

// run publishes until the connection breaks or ctx ends.
func (p *publisher) run(ctx context.Context) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.c.lost():
			cancel()
		case <-inner.Done():
		}
	}()
	p.snap = p.s.snapshot(nil)
	if err := p.publishOnline(); err != nil {
		return err
	}
	for {
		if err := p.step(inner); err != nil {
			if cause := p.c.err(); cause != nil && ctx.Err() == nil {
				return cause
			}
			return err
		}
	}
}

// step publishes what is new and takes off the queue what the broker has.
func (p *publisher) step(ctx context.Context) error {
	fresh, err := p.fresh(ctx)
	if err != nil {
		return err
	}
	for _, rec := range fresh {
		if p.full(flight{queued: true}) || p.snap != nil && p.caughtUp(rec) {
			break
		}
		if err := p.publishRecord(rec); err != nil {
			return err
		}
	}
	if p.snap != nil && p.snapshotIsNext(fresh) {
		if err := p.publishSnapshot(ctx); err != nil {
			return err
		}
	}
	if err := p.retryLeft(ctx); err != nil {
		return err
	}
	if err := p.publishStatus(ctx); err != nil {
		return err
	}
	return p.settle(p.settleWait(len(fresh)))
}

// fresh returns the records that are not in flight yet; none after a while.
func (p *publisher) fresh(ctx context.Context) ([][]byte, error) {
	wait := refresh
	if p.snap != nil || len(p.flights) > 0 {
		wait = time.Millisecond // an empty queue must not hold up what is on its way
	}
	brief, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	recs, err := p.s.deps.Queue.Next(brief, p.queued+batch)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return recs[min(p.queued, len(recs)):], nil
}

// full reports whether a message may not be sent now.
func (p *publisher) full(f flight) bool {
	if n := len(p.flights); n > 0 && (p.flights[n-1].alone || p.suspects.alone(f.queued, f.topic)) {
		return true // find out which message it is that breaks connections
	}
	return len(p.flights) >= 4*batch || p.c.room() <= 0
}
