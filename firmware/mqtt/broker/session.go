package broker

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Our own bounds.
const (
	deliveryOverhead     = 80      // bytes of a delivery, beside its message
	subscriptionOverhead = 300     // bytes of a subscription, and of each level of its filter
	maxFlightBytes       = 1 << 20 // of them; less where that is more than a quarter of the session's share
	maxWindow            = 512     // messages of QoS 1 and 2 that are sent and not acknowledged
	maxWindow311         = 100     // the same for a client that cannot give a Receive Maximum
	lagDeliveries        = 1024
	caughtUpDeliveries   = 64
	maxLag               = time.Second            // that publishing waits for a client that lags
	stillTime            = 100 * time.Millisecond // without a write, after which a client does not read
)

type subscription struct {
	session *session
	filterOptions
	identifiers []uint32 // one or none
}

// flight is a message of QoS 1 or 2 that was sent and whose exchange is open.
type flight struct {
	delivery
	serial   uint64 // rises with every flight of the session
	released bool   // PUBREC came: the message itself is not needed any more
	here     bool   // it was sent on the present connection
}

// session is what the broker keeps for a client identifier (MQTT 5.0 section 4.1).
type session struct {
	b        *Broker
	id, user string
	address  netip.Prefix
	conn     *Conn         // nil while the client is away
	left     time.Time     // when it went away
	expiry   time.Duration // how long the session then stays

	subs     map[string]*subscription
	feeds    []*feed
	queue    fifo
	flights  map[uint16]flight
	resend   []uint16 // flights that a resumed session has to send again
	lastID   uint16
	serial   uint64
	received map[uint16]struct{} // QoS 2 messages of a publishing client
	charge   int64               // bytes of all that it holds
	flying   int64               // of them in flight

	merged delivery // of the publication with the number mark
	mark   uint64
}

// hold charges a session for a delivery.
func (s *session) hold(d *delivery) {
	s.charge += d.m.size() + deliveryOverhead
	s.b.held += deliveryOverhead
	s.b.keep(d.m)
}

// release ends that.
func (s *session) release(d *delivery) {
	s.charge -= d.m.size() + deliveryOverhead
	s.b.held -= deliveryOverhead
	s.b.drop(d.m)
}

// cost is about what a subscription takes in memory.
func (sub *subscription) cost() int64 {
	return int64(len(sub.filter)) + subscriptionOverhead*int64(2+strings.Count(sub.filter, "/"))
}

// subscribe makes or replaces a subscription.
func (s *session) subscribe(o filterOptions, identifier uint32) {
	old := s.subs[o.filter]
	sub := &subscription{session: s, filterOptions: o}
	if identifier > 0 {
		sub.identifiers = []uint32{identifier}
	}
	s.subs[o.filter] = sub
	s.b.tree.add(o.filter, sub)
	if old == nil {
		s.charge += sub.cost()
		s.b.held += sub.cost()
	}
	if o.retainHandling == 0 || o.retainHandling == 1 && old == nil {
		s.endFeed(old)
		s.feeds = append(s.feeds, &feed{sub: sub, last: s.b.number})
		return
	}
	for _, f := range s.feeds {
		if f.sub == old { // section 3.8.4: replacing a subscription loses no messages
			f.sub = sub
		}
	}
}

// endFeed gives up the retained messages that a subscription was still to get.
func (s *session) endFeed(sub *subscription) {
	s.feeds = slices.DeleteFunc(s.feeds, func(f *feed) bool { return f.sub == sub })
}

// unsubscribe ends a subscription, and reports whether there was one.
func (s *session) unsubscribe(filter string) bool {
	sub := s.subs[filter]
	if sub == nil {
		return false
	}
	delete(s.subs, filter)
	s.b.tree.remove(filter, s)
	s.charge -= sub.cost()
	s.b.held -= sub.cost()
	s.endFeed(sub)
	return true
}

// offer queues a message, unless the session has no room for it.
func (s *session) offer(d delivery) {
	share := s.b.cfg.Share
	switch {
	case s.conn == nil && d.qos == 0:
		return // section 3.1.2.4: a session keeps messages of QoS 1 and 2
	case d.qos == 0 && s.charge > share/2:
		s.b.stats.Dropped++
		return
	case s.charge > share:
		s.b.stats.Dropped++
		s.b.evict(s)
		return
	}
	s.hold(&d)
	s.queue.push(d)
	s.wake()
}

// wake has what is new sent, if there is a connection.
func (s *session) wake() {
	if s.conn != nil {
		s.conn.notify(false)
	}
}

// full reports whether the client has to acknowledge something before it gets
// more of QoS 1 and 2.
func (s *session) full() bool {
	return s.conn.open >= s.conn.window || s.flying > min(maxFlightBytes, s.b.cfg.Share/4)
}

// waiting is how many messages the client has not got yet.
func (s *session) waiting() (n uint64) {
	for _, f := range s.flights {
		if !f.released {
			n++
		}
	}
	return n + uint64(s.queue.len())
}

// resume prepares a session for a new connection (section 4.4).
func (s *session) resume() {
	for id, f := range s.flights {
		f.here = false
		s.flights[id] = f
	}
	s.resend = slices.SortedFunc(maps.Keys(s.flights), func(a, b uint16) int {
		if s.flights[a].serial < s.flights[b].serial {
			return -1
		}
		return 1
	})
}

// clear releases what the session holds.
func (s *session) clear() {
	for filter := range s.subs {
		s.unsubscribe(filter)
	}
	for s.queue.len() > 0 {
		d := s.queue.pop()
		s.release(&d)
	}
	for _, f := range s.flights {
		if !f.released {
			s.release(&f.delivery)
		}
	}
	s.flying = 0
	clear(s.flights)
}

// nextID is a packet identifier that is not in use.
func (s *session) nextID() uint16 {
	for {
		s.lastID++
		if _, used := s.flights[s.lastID]; s.lastID != 0 && !used {
			return s.lastID
		}
	}
}

// releaseFlight releases the message of a flight.
func (s *session) releaseFlight(f *flight) {
	s.flying -= f.m.size()
	if s.conn != nil {
		s.conn.chargeWriting(f.m)
	}
	s.release(&f.delivery)
	f.delivery, f.released = delivery{qos: f.qos}, true
}

// acknowledged ends an exchange whose last packet came.
func (s *session) acknowledged(id uint16, f flight) {
	if !f.released {
		s.releaseFlight(&f)
	}
	delete(s.flights, id)
	if f.here {
		s.conn.open--
	}
	s.wake()
}

// lags reports whether a client that reads needs a moment. It gets one until it
// has caught up, but not more than maxLag at a time, and none when it stopped
// reading.
func (s *session) lags(now time.Time) bool {
	c, n := s.conn, s.queue.len()
	if c == nil || c.ending {
		return false
	}
	if n < caughtUpDeliveries && s.charge < s.b.cfg.Share/8 {
		c.behind = time.Time{}
	}
	if n < lagDeliveries && s.charge < s.b.cfg.Share/4 {
		return false
	}
	if c.behind.IsZero() {
		c.behind = now
	}
	return now.Sub(c.behind) < maxLag && now.Sub(c.moved) < stillTime
}

// fifo is a queue of deliveries.
type fifo struct {
	items []delivery
	first int
}

func (q *fifo) len() int { return len(q.items) - q.first }

func (q *fifo) push(d delivery) { q.items = append(q.items, d) }

func (q *fifo) head() *delivery { return &q.items[q.first] }

func (q *fifo) pop() delivery {
	d := q.items[q.first]
	q.items[q.first] = delivery{}
	q.first++
	switch {
	case q.first == len(q.items) && cap(q.items) > lagDeliveries:
		*q = fifo{}
	case q.first == len(q.items):
		q.items, q.first = q.items[:0], 0
	case q.first >= lagDeliveries && q.first*2 >= len(q.items):
		n := copy(q.items, q.items[q.first:])
		clear(q.items[n:])
		q.items, q.first = q.items[:n], 0
	}
	return d
}
