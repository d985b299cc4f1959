package mqtt

import (
	"context"
	"errors"
	"fmt"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
)

// connection is a broker that was reached. One goroutine uses it.
type connection interface {
	// room is how many more messages of QoS 1 and 2 may be sent now.
	room() int
	// limits tells what the broker takes; 0 bytes: no limit.
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
	// note says what is worth knowing about the connection, "" for nothing.
	note() string
	// filled says that the picture was sent.
	filled()
	// close ends the connection, politely if asked to.
	close(polite bool)
}

type limits struct {
	qos        byte
	retain     bool
	bytes      int
	properties bool
}

type progress int

const (
	idle  progress = iota // there was nothing to publish
	moved                 // the broker took something
	stuck                 // it broke before it took anything
)

var errNoAck = errors.New("the broker stopped acknowledging")

// flight is a message that is on its way, or a record that needs none.
type flight struct {
	queued  bool // it stands in the queue
	sent    bool // a verdict will come
	picture bool
	topic   string
}

// publisher works on one connection.
type publisher struct {
	s         *Sink
	c         connection
	lim       limits
	fruitless int

	flights []flight
	queued  int // of them in the queue
	took    bool
	last    time.Time // of an acknowledgement, or of a message sent with none before it

	snap    *snapshot // the picture that is to be published; nil: it was
	gateway []byte    // as it was published last
	looked  time.Time
	msg     payload.Message
}

func newPublisher(s *Sink, c connection, fruitless int) *publisher {
	return &publisher{s: s, c: c, lim: c.limits(), fruitless: fruitless, last: time.Now()}
}

func (p *publisher) progress() progress {
	switch {
	case p.took:
		return moved
	case p.queued > 0:
		return stuck
	}
	return idle
}

// work publishes until the connection breaks or ctx ends.
func (p *publisher) work(ctx context.Context) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.c.lost():
			cancel()
		case <-inner.Done():
		}
	}()
	p.snap = p.s.snapshot()
	if err := p.online(); err != nil {
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

// step publishes what is new and gives up what the broker has.
func (p *publisher) step(ctx context.Context) error {
	fresh, err := p.fresh(ctx)
	if err != nil {
		return err
	}
	for _, rec := range fresh {
		if p.full() || p.snap != nil && p.caughtUp(rec) {
			break
		}
		if err := p.record(rec); err != nil {
			return err
		}
	}
	if p.snap != nil && (len(fresh) == 0 || p.caughtUp(fresh[0])) {
		if err := p.picture(ctx); err != nil {
			return err
		}
	}
	if err := p.status(); err != nil {
		return err
	}
	return p.settle(p.patience(len(fresh)))
}

// fresh returns the records that are not in flight yet; none after a while.
func (p *publisher) fresh(ctx context.Context) ([][]byte, error) {
	wait := refresh
	if p.snap != nil || len(p.flights) > 0 {
		wait = time.Millisecond // an empty queue must keep nothing else back
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

func (p *publisher) full() bool {
	if p.fruitless >= alone && !p.took && p.queued > 0 {
		return true // find out which record it is that breaks connections
	}
	return len(p.flights) >= 4*batch || p.c.room() <= 0
}

// record publishes one record of the queue.
func (p *publisher) record(b []byte) error {
	r, ok := parseRecord(b)
	switch {
	case !ok || !r.message(&p.msg):
		p.s.unreadable.Add(1)
		if account := p.s.channel(); account != nil {
			account.Refused(1)
		}
		p.skip()
		return nil
	case p.fruitless >= giveUp && !p.took && p.queued == 0:
		p.s.refuse(&refusal{disconnects, fmt.Sprintf("%d bytes", len(p.msg.Payload))}, p.s.cfg.TopicPrefix+p.msg.Topic, true)
		p.fruitless, p.took = 0, true
		p.s.deps.Queue.Done(1) // at once: were it on the queue when the connection breaks, it would count twice
		return nil
	case p.snap != nil && p.snap.covers(r):
		p.s.superseded.Add(1)
		p.skip()
		return nil
	}
	return p.publish(flight{queued: true})
}

func (p *publisher) skip() {
	p.flights = append(p.flights, flight{queued: true})
	p.queued++
}

// publish sends p.msg, if it may be sent at all.
func (p *publisher) publish(f flight) error {
	m := &p.msg
	m.Topic = p.s.cfg.TopicPrefix + m.Topic
	left, expired := m.Left(p.s.clock())
	f.topic = m.Topic
	switch {
	case expired:
		p.s.expire(f.queued)
	case !payload.ValidTopic(m.Topic):
		p.s.refuse(&refusal{badTopic, "not a topic of MQTT with its prefix"}, m.Topic, f.queued)
	case p.lim.bytes > 0 && size(m) > p.lim.bytes:
		p.s.refuse(&refusal{tooLarge, fmt.Sprintf("%d bytes, it takes %d", size(m), p.lim.bytes)}, m.Topic, f.queued)
	default:
		p.fit(m)
		if err := p.c.send(m, left); err != nil {
			return err
		}
		f.sent = true
	}
	if len(p.flights) == 0 {
		p.last = time.Now()
	}
	p.flights = append(p.flights, f)
	if f.queued {
		p.queued++
	}
	return nil
}

// fit lowers a message to what the broker takes.
func (p *publisher) fit(m *payload.Message) {
	if m.QoS > p.lim.qos || m.Retain && !p.lim.retain {
		m.QoS, m.Retain = min(m.QoS, p.lim.qos), m.Retain && p.lim.retain
		p.s.lowered.Add(1)
		p.s.once("the broker offers less QoS or no retained messages; messages are lowered to that")
	}
	if !p.lim.properties && hasProperties(m) {
		p.s.stripped.Add(1)
		p.s.once("MQTT 3.1.1 carries no properties; messages are published without them")
	}
}

// patience is how long to wait for acknowledgements before looking at the queue again.
func (p *publisher) patience(fresh int) time.Duration {
	switch {
	case p.full():
		return time.Second
	case len(p.flights) == 0:
		return 0
	case fresh == 0 || p.fruitless >= alone:
		return 2 * time.Millisecond
	}
	return 0
}

// settle takes off the queue what the broker has.
func (p *publisher) settle(wait time.Duration) error {
	if err := p.c.flush(); err != nil {
		return err
	}
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
			p.judge(f, verdicts[0])
			verdicts = verdicts[1:]
		}
		if f.queued {
			done++
		}
	}
	p.flights = append(p.flights[:0], p.flights[n:]...)
	if done > 0 {
		p.queued -= done
		p.took = true
		p.s.deps.Queue.Done(done)
	}
	if len(p.flights) > 0 && time.Since(p.last) > ackTime {
		return errNoAck
	}
	return nil
}

func (p *publisher) judge(f flight, v verdict) {
	switch {
	case v != nil:
		p.s.refuse(v, f.topic, f.queued)
	case f.queued:
		p.s.published.Add(1)
	case f.picture:
		p.s.picture.Add(1)
	}
}
