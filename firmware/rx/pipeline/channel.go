package pipeline

import (
	"sync/atomic"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/rx/holes"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/sink"
)

// Channel is a configured channel: its state, and the sink that its records go to.
// It implements sink.Channel. Safe for concurrent use, but for DeliverTo and Volatile.
type Channel struct {
	link       *Link
	name       string
	mirror     *mirror.Channel
	receivedAt time.Time // of the last record of the channel
	totals     uint64    // that came since the link was silent last
	sink       sink.Sink // nil: only the state is kept

	watch watch

	acceptsLate func() bool // nil: always

	refused, expired atomic.Uint64 // by the sink, not yet in the mirror's account
	volatile         func() uint64 // nil: the sink keeps nothing
}

// Channel adds a channel. To be called before Run.
func (l *Link) Channel(name string) *Channel {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &Channel{link: l, name: name}
	c.mirror = mirror.New(c.deliver)
	c.mirror.ShareRoom(&l.room)
	if l.config.Budget != nil {
		c.mirror.Bound(l.config.Budget)
	}
	l.channels[record.ChannelID(name)] = c
	l.names = append(l.names, name)
	return c
}

// DeliverTo has the channel's records go to s. To be called before Run.
func (c *Channel) DeliverTo(s sink.Sink) { c.sink = s }

// TakeLate says how the channel's sink takes records late; as long as it does not,
// what was missed stays lost. To be called before Resume and Run.
func (c *Channel) TakeLate(l mirror.Late) {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	c.mirror.TakeLate(l)
}

// AcceptLateIf sets the function that reports whether the sink accepts late records now.
// While it does not, they are left to a later pass. It is called under the link's lock.
// To be called before Run.
func (c *Channel) AcceptLateIf(f func() bool) { c.acceptsLate = f }

// defersLate reports whether late records are left to a later pass.
func (c *Channel) defersLate() bool { return c.acceptsLate != nil && !c.acceptsLate() }

// Holes returns when records of the channel are missing, oldest first, those that are
// lost for good too.
func (c *Channel) Holes() []holes.Hole {
	c.link.mu.RLock()
	defer c.link.mu.RUnlock()
	return c.mirror.Holes()
}

// Volatile sets the function that returns how many of the channel's records wait
// where a crash would lose them. It is called under the link's lock. To be called
// before Run.
func (c *Channel) Volatile(f func() uint64) { c.volatile = f }

// Refused implements sink.Account.
func (c *Channel) Refused(n uint64) { c.refused.Add(n) }

// Expired implements sink.Account.
func (c *Channel) Expired(n uint64) { c.expired.Add(n) }

// settle moves what the sink did not get its peer to take from delivered to terms of
// their own.
func (c *Channel) settle() {
	c.mirror.Refused(c.refused.Swap(0))
	c.mirror.Expired(c.expired.Swap(0))
}

func (c *Channel) deliver(u mirror.Update) {
	if c.sink != nil {
		c.sink.Deliver(sink.Update{
			Key: u.Key, Payload: u.Payload, Time: sourceTime(u.Time), Event: u.Event, Delete: u.Delete, Late: u.Late,
			Valueless: u.Valueless,
		})
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
	s := c.mirror.Status()
	return sink.Health{
		Stale: c.link.stale(), Complete: s.Complete, Valueless: s.Over > 0, Totals: c.totals,
		State: sink.State(s.State), Reason: s.Reason,
	}
}
