package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/tx/send"
	"heliograph/firmware/tx/source"
)

// port is a channel as its source sees it.
type port struct {
	link    *Link
	name    string
	channel *send.Channel

	mu     sync.Mutex
	state  source.State
	reason string
	missed []missed // the oldest first
}

// missed is what a source lost before the link.
type missed struct {
	n    uint64
	what string
}

// Port adds a channel to the link. To be called before Run.
func (l *Link) Port(name string, class wire.Class) source.Holder {
	p := &port{link: l, name: name, channel: l.mux.Channel(name, class)}
	if l.config.Totals != nil {
		l.mux.Resume(p.channel, l.config.Totals.Earlier(name))
	}
	l.ports = append(l.ports, p)
	return p
}

// Put implements source.Port.
func (p *port) Put(u source.Update) error {
	if p.link.closed.Load() {
		return source.ErrClosed
	}
	r := send.Record{
		Key: u.Key, Payload: u.Payload, Event: u.Event, Delete: u.Delete, Urgent: u.Urgent, Late: u.Late, Left: u.Left,
	}
	if !u.Time.IsZero() {
		r.Time = u.Time.UnixNano()
	}
	_, err := p.link.mux.Put(p.channel, r) // what is dropped has no Left
	switch {
	case errors.Is(err, send.ErrTooLarge):
		err = source.ErrTooLarge
	case errors.Is(err, send.ErrStateFull):
		err = source.ErrStateFull
	case errors.Is(err, send.ErrFull):
		return source.ErrFull
	}
	p.link.notify()
	return err
}

// Room implements source.Holder.
func (p *port) Room() <-chan struct{} { return p.link.mux.Room(p.channel) }

// SetComplete implements source.Port.
func (p *port) SetComplete(complete bool) {
	p.link.mux.SetComplete(p.channel, complete)
	p.link.notify()
}

// Report implements source.Port.
func (p *port) Report(s source.State, reason string) {
	p.mu.Lock()
	p.state, p.reason = s, reason
	p.mu.Unlock()
	p.link.mux.Describe(p.channel, record.SourceState(s), reason)
	p.link.notify()
}

// Range implements source.Port.
func (p *port) Range(f func(key, payload []byte) bool) { p.link.mux.Range(p.channel, f) }

// Conflated implements source.Port.
func (p *port) Conflated(n uint64) { p.link.mux.AddConflated(p.channel, n) }

// Missed implements source.Port.
func (p *port) Missed(n uint64, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n == 0 {
		return
	}
	at := slices.IndexFunc(p.missed, func(m missed) bool { return m.what == what })
	if at < 0 {
		at = len(p.missed)
		p.missed = append(p.missed, missed{what: what})
	}
	p.missed[at].n += n
}

// sumMissed returns what was missed in all, and in words. It is called with mu held.
func (p *port) sumMissed() (n uint64, why string) {
	var all []string
	for _, m := range p.missed {
		n += m.n
		all = append(all, fmt.Sprintf("%d %s", m.n, m.what))
	}
	return n, strings.Join(all, ", ")
}

// notify wakes the loop to send what is queued.
func (l *Link) notify() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// ChannelStatus is what an operator sees of a channel on the plant's side.
type ChannelStatus struct {
	Name string
	send.Counts
	State     source.State
	Reason    string
	Missed    uint64 `shown:"channels.missed"` // lost before the link, not part of Counts
	MissedWhy string // what of Missed, in words
}

// Down returns why the channel's source is not up, "" when it is.
func (c ChannelStatus) Down() string {
	switch {
	case c.State == source.Up:
		return ""
	case c.Reason == "":
		return fmt.Sprintf("source %s", c.State)
	}
	return fmt.Sprintf("source %s: %s", c.State, c.Reason)
}

// Channels returns the state of every channel, in the order they were added.
func (l *Link) Channels() []ChannelStatus {
	out := make([]ChannelStatus, len(l.ports))
	for i, p := range l.ports {
		p.mu.Lock()
		out[i] = ChannelStatus{
			Name: p.name, Counts: l.mux.Counts(p.channel), State: p.state, Reason: p.reason,
		}
		out[i].Missed, out[i].MissedWhy = p.sumMissed()
		p.mu.Unlock()
	}
	return out
}
