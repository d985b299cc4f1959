package pipeline

import (
	"sync/atomic"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/receive"
	"heliograph/firmware/rx/sink"
)

// Channel is a configured channel: its state, and the sink that its records go to.
// It implements sink.Channel. Safe for concurrent use, but for DeliverTo and Volatile.
type Channel struct {
	link       *Link
	name       string
	mirror     *mirror.Channel
	receivedAt time.Time // of the last record of the channel
	sink       sink.Sink // nil: only the state is kept

	refused, expired atomic.Uint64 // by the sink, not yet in the mirror's account
	volatile         func() uint64 // nil: the sink keeps nothing
}

// Channel adds a channel. To be called before Run.
func (l *Link) Channel(name string) *Channel {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &Channel{link: l, name: name}
	c.mirror = mirror.New(c.deliver)
	if l.config.Budget != nil {
		c.mirror.Bound(l.config.Budget)
	}
	l.channels[record.ChannelID(name)] = c
	l.names = append(l.names, name)
	return c
}

// DeliverTo has the channel's records go to s. To be called before Run.
func (c *Channel) DeliverTo(s sink.Sink) { c.sink = s }

// Volatile sets the function that returns how many of the channel's records wait
// where a crash would lose them. It is called under the link's lock. To be called
// before Run.
func (c *Channel) Volatile(f func() uint64) { c.volatile = f }

// Refused implements sink.Account.
func (c *Channel) Refused(n uint64) { c.refused.Add(n) }

// Expired implements sink.Account.
func (c *Channel) Expired(n uint64) { c.expired.Add(n) }

// settle moves what the sink did not get rid of from delivered to its own terms.
func (c *Channel) settle() {
	c.mirror.Refused(c.refused.Swap(0))
	c.mirror.Expired(c.expired.Swap(0))
}

func (c *Channel) deliver(u mirror.Update) {
	if c.sink != nil {
		c.sink.Deliver(sink.Update{Key: u.Key, Payload: u.Payload, Time: sourceTime(u.Time), Event: u.Event, Delete: u.Delete})
	}
}

// Range implements sink.Snapshot.
func (c *Channel) Range(f func(key, payload []byte) bool) {
	c.link.mu.RLock()
	defer c.link.mu.RUnlock()
	c.mirror.Range(f)
}

// States is Range with the source's time of each payload.
func (c *Channel) States(f func(sink.Update) bool) {
	c.link.mu.RLock()
	defer c.link.mu.RUnlock()
	c.mirror.States(func(key, payload []byte, time int64) bool {
		return f(sink.Update{Key: key, Payload: payload, Time: sourceTime(time)})
	})
}

// sourceTime converts ns since 1970; 0 stands for none.
func sourceTime(ns int64) (t time.Time) {
	if ns != 0 {
		t = time.Unix(0, ns)
	}
	return t
}

// Confirmed implements sink.Snapshot.
func (c *Channel) Confirmed(key []byte) bool {
	c.link.mu.RLock()
	defer c.link.mu.RUnlock()
	return c.mirror.Confirmed(key)
}

// Health implements sink.Snapshot.
func (c *Channel) Health() sink.Health {
	c.link.mu.RLock()
	defer c.link.mu.RUnlock()
	s, age := c.mirror.Status(), c.link.silence()
	return sink.Health{
		Stale: c.link.beatAt.IsZero() || age > c.link.config.StaleAfter, HeartbeatAge: age,
		Complete: s.Complete, State: sink.State(s.State), Reason: s.Reason,
	}
}

// record takes one record off the link.
func (l *Link) record(kind record.Kind, body []byte) {
	var err error
	switch kind {
	case record.KindUpdate:
		var u record.Update
		if err = u.Parse(body); err == nil {
			l.of(u.Channel, func(c *Channel) { c.mirror.Update(&u) })
		}
	case record.KindBatch:
		var b record.Batch
		if err = b.Parse(body); err == nil {
			l.of(b.Channel, func(c *Channel) { err = c.mirror.Batch(&b) })
		}
	case record.KindPage:
		var p record.Page
		if err = p.Parse(body); err == nil {
			l.of(p.Channel, func(c *Channel) { err = c.mirror.Page(&p) })
		}
	case record.KindManifest:
		var m record.Manifest
		if err = m.Parse(body); err == nil {
			l.of(m.Channel, func(c *Channel) { c.mirror.Manifest(&m) })
		}
	case record.KindTotals:
		var t record.Totals
		if err = t.Parse(body); err == nil {
			l.of(t.Channel, func(c *Channel) { c.mirror.Totals(&t) })
		}
	case record.KindHeartbeat:
		err = l.heartbeat(body)
	}
	if err != nil {
		l.decoded.Malformed++
	}
}

func (l *Link) of(id uint16, f func(*Channel)) {
	c := l.channels[id]
	if c == nil {
		l.counts.Unknown++
		return
	}
	c.receivedAt = l.now
	f(c)
}

func (l *Link) heartbeat(body []byte) error {
	if err := l.beat.Parse(body); err != nil {
		return err
	}
	// Uptime is monotonic, UTC may be set: only the former tells how late it is.
	offset := l.now.Sub(l.config.base) - time.Duration(l.beat.Uptime)*time.Millisecond
	if l.beatAt.IsZero() {
		l.offset = offset
	}
	l.offset = min(offset, l.offset+clockDrift)
	l.late = offset - l.offset
	l.beatAt = l.now
	l.failedAtBeat = l.opener.Counts().AuthFailed
	if l.beat.ClockSet {
		l.beats++
		l.clock = time.Unix(0, l.beat.UTC).Add(l.late).Sub(l.now.Round(0)) // of the day, not of the stopwatch
	}
	return nil
}

// Status is what an operator sees of the link and its channels.
type Status struct {
	Epoch        uint64
	Open         bool // a session is open
	Frames       receive.Counts
	HeartbeatAge time.Duration // −1 before the first
	Delay        time.Duration // of the last heartbeat, beyond the quickest of late
	Bytes        uint64        // received, whatever they were
	Dropped      uint64        // by the kernel, because this program was too slow
	ClockSet     bool
	Clock        time.Duration // to be added to this machine's clock for the transmitter's; without what the way always takes
	ClockBeats   uint64        // heartbeats with a time of day so far
	Unknown      uint64        // records of channels that are not configured here
	Err          error
	Channels     []ChannelStatus
}

// ChannelStatus is what an operator sees of a channel.
type ChannelStatus struct {
	Name string
	mirror.Status
	Age time.Duration // since the last word about the channel; −1 before the first
}

// Status returns a snapshot.
func (l *Link) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	s := Status{Frames: l.frames(), HeartbeatAge: age(now, l.beatAt), ClockSet: l.beat.ClockSet, Unknown: l.counts.Unknown, Err: l.err}
	s.Epoch, _, s.Open = l.opener.Sequence()
	s.Delay, s.Bytes, s.Dropped = l.late, l.bytes, l.dropped()
	s.Clock, s.ClockBeats = l.clock, l.beats
	for _, name := range l.names {
		c := l.channels[record.ChannelID(name)]
		c.settle()
		s.Channels = append(s.Channels, ChannelStatus{Name: name, Status: c.mirror.Status(), Age: age(now, c.receivedAt)})
	}
	return s
}

func age(now, then time.Time) time.Duration {
	if then.IsZero() {
		return -1
	}
	return now.Sub(then)
}
