package broker

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// MaximumPacket bounds a packet from a client, in bytes: clients only ask.
const MaximumPacket = 64 << 10

// Config bounds a broker. A zero bound is the default.
type Config struct {
	Sessions      int           // connected or resumable
	Subscriptions int           // of a session
	Share         int64         // bytes of one session
	Budget        int64         // bytes of all sessions together
	SessionExpiry time.Duration // the longest that a session stays without its client
	Writable      bool          // clients may publish
}

func (c *Config) defaults() {
	for bound, value := range map[*int]int{&c.Sessions: 200, &c.Subscriptions: 100} {
		if *bound == 0 {
			*bound = value
		}
	}
	if c.Share == 0 {
		c.Share = 12 << 20
	}
	if c.Budget == 0 {
		c.Budget = 48 << 20
	}
	if c.SessionExpiry == 0 {
		c.SessionExpiry = time.Hour
	}
}

// Stats is what a broker has done.
type Stats struct {
	Clients      uint64 `gauge:"connected_clients" help:"Clients connected to the built-in broker."`
	Sessions     uint64 `gauge:"sessions" help:"Sessions, those of clients that went away included."`
	Held         uint64 `gauge:"held_bytes" help:"Bytes that all sessions together hold."`
	Retained     uint64 `gauge:"retained_messages" help:"Retained messages."`
	Published    uint64 `count:"published_messages" help:"Messages published by the gateway."`
	Sent         uint64 `count:"sent_messages" help:"Messages sent to clients, repetitions included."`
	Expired      uint64 `count:"expired_messages" help:"Messages to a client that expired while it did not read."`
	Oversized    uint64 `count:"oversized_messages" help:"Messages larger than a client takes, which it did not get."`
	Dropped      uint64 `count:"dropped_messages" help:"Messages that a client did not get because it read too slowly or its session made room."`
	Evicted      uint64 `count:"evicted_sessions" help:"Sessions ended because they held more than their share or made room for others."`
	Refused      uint64 `count:"refused_connections" help:"Connections refused: wrong password, client identifier or version."`
	NotPublished uint64 `count:"refused_publishes" help:"Publishes and wills of clients, which are refused."`
	Malformed    uint64 `count:"malformed_packets" help:"Connections ended because of a packet that breaks the protocol."`
}

// Broker serves the sessions. One goroutine at a time uses it and its Conns.
type Broker struct {
	cfg      Config
	sessions map[string]*session
	tree     tree
	retained retained
	number   uint64 // of the last publication
	held     int64  // bytes
	swept    time.Time
	matched  []*session
	assigned uint64 // client identifiers
	run      string
	victim   string
	stats    Stats
}

// New returns an empty broker. run makes the client identifiers unique that it
// assigns.
func New(cfg Config, run string) *Broker {
	cfg.defaults()
	return &Broker{cfg: cfg, sessions: map[string]*session{}, retained: retained{byTopic: map[string]*Message{}},
		run: run}
}

// Stats returns the counters.
func (b *Broker) Stats() Stats {
	st := b.stats
	st.Sessions, st.Held, st.Retained = uint64(len(b.sessions)), uint64(max(b.held, 0)), uint64(len(b.retained.byTopic))
	for _, s := range b.sessions {
		if s.conn != nil {
			st.Clients++
		}
	}
	return st
}

// Victim names the session that was evicted last.
func (b *Broker) Victim() string { return b.victim }

// Publish sends a message to every session that subscribed to its topic.
func (b *Broker) Publish(m *Message) {
	b.stats.Published++
	b.number++
	m.number = b.number
	if m.retain {
		b.retained.set(m)
	}
	b.keep(m)
	b.matched = b.matched[:0]
	b.tree.find(m.topic, func(sub *subscription) { b.merge(m, sub) })
	for _, s := range b.matched {
		s.offer(s.merged)
		s.merged = delivery{}
	}
	b.drop(m)
	b.bound()
}

// bound evicts sessions until the rest is within the budget.
func (b *Broker) bound() {
	for b.held > b.cfg.Budget && b.makeRoom((*session).charged) {
	}
}

// merge makes one delivery of all subscriptions of a session that select a
// message: the highest QoS, all identifiers (MQTT 5.0 section 3.3.4).
func (b *Broker) merge(m *Message, sub *subscription) {
	s := sub.session
	if sub.noLocal && m.from == s.id && m.from != "" {
		return
	}
	d := delivery{m: m, qos: min(m.qos, sub.qos), retain: m.retain && sub.retainAsPublished,
		identifiers: sub.identifiers}
	if s.mark != b.number {
		s.mark, s.merged = b.number, d
		b.matched = append(b.matched, s)
		return
	}
	s.merged.qos, s.merged.retain = max(s.merged.qos, d.qos), s.merged.retain || d.retain
	s.merged.identifiers = append(slices.Clip(s.merged.identifiers), d.identifiers...)
}

// keep and drop count the references to a message; its bytes count once.
func (b *Broker) keep(m *Message) {
	if m.refs++; m.refs == 1 {
		b.held += m.size()
	}
}

func (b *Broker) drop(m *Message) {
	if m.refs--; m.refs == 0 {
		b.held -= m.size()
	}
}

// charged and one are measures of makeRoom.
func (s *session) charged() int64 { return s.charge }

func (*session) one() int64 { return 1 }

// makeRoom evicts a session of the address that holds most by the given measure:
// its oldest abandoned one, or else the one that holds most. It reports whether
// there was one.
func (b *Broker) makeRoom(measure func(*session) int64) bool {
	held := map[netip.Prefix]int64{}
	for _, s := range b.sessions {
		held[s.address] += measure(s)
	}
	var worst *session
	for _, s := range b.sessions {
		if worst == nil || b.before(s, worst, held, measure) {
			worst = s
		}
	}
	if worst == nil {
		return false
	}
	b.evict(worst)
	return true
}

// before reports whether a is evicted before o.
func (b *Broker) before(a, o *session, held map[netip.Prefix]int64, measure func(*session) int64) bool {
	switch {
	case held[a.address] != held[o.address]:
		return held[a.address] > held[o.address]
	case (a.conn == nil) != (o.conn == nil):
		return a.conn == nil
	case a.conn == nil:
		return a.left.Before(o.left)
	}
	return measure(a) > measure(o)
}

// evict ends a session, and its connection.
func (b *Broker) evict(s *session) {
	b.stats.Evicted++
	b.stats.Dropped += s.waiting()
	b.victim = fmt.Sprintf("%.64q of %s", s.id, s.address)
	c := s.conn
	b.remove(s)
	if c != nil {
		c.end(quotaExceeded)
	}
}

// remove ends a session and leaves its connection open. What that is still writing
// is dropped with it.
func (b *Broker) remove(s *session) {
	s.clear()
	delete(b.sessions, s.id)
	if s.conn != nil {
		s.conn.written()
		s.conn.session = nil
		s.conn = nil
	}
}

// sweepEvery is how often retained messages that expired are removed.
const sweepEvery = time.Minute

// Expire ends the sessions whose clients stayed away too long.
func (b *Broker) Expire(now time.Time) {
	for _, s := range b.sessions {
		if s.conn == nil && now.Sub(s.left) >= s.expiry {
			b.stats.Dropped += s.waiting()
			b.remove(s)
		}
	}
	if now.Sub(b.swept) >= sweepEvery {
		b.swept = now
		b.retained.expire(now)
	}
}

// Lagging reports whether a client that reads needs a moment before more is
// published. None gets more than maxLag before it has caught up again.
func (b *Broker) Lagging(now time.Time) bool {
	lagging := false
	for _, s := range b.sessions {
		lagging = s.lags(now) || lagging
	}
	return lagging
}
