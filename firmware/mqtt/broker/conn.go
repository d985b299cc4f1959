package broker

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"heliograph/firmware/mqtt/packet"
)

// Our own bounds.
const (
	maxControl    = 64 << 10 // bytes of answers that wait for a client that does not read
	maxClientID   = 1024     // bytes, also of a user name
	maxReceived   = 64       // QoS 2 messages of a client whose exchange is open
	keepAliveSlop = 3        // halves of the keep alive (MQTT 5.0 section 3.1.2.10)
)

// Conn is a client's connection.
type Conn struct {
	b         *Broker
	address   netip.Prefix
	notify    func(ending bool)
	session   *session
	version   byte
	bridge    bool
	keepAlive time.Duration
	ending    bool

	control  []byte // answers
	buf      []byte
	segments [][]byte
	writing  []writing
	maximum  int // bytes of a packet to the client
	window   int // messages of QoS 1 and 2 in flight
	open     int // of them in flight now
	turn     bool
	behind   time.Time // since when it lags; zero: it does not
	moved    time.Time // when something was written last
}

// Accept adds a connection. notify is called when there is something to
// write; with ending the connection is to be closed soon, read or not. It must
// not call back.
func (b *Broker) Accept(address netip.Prefix, notify func(ending bool)) *Conn {
	return &Conn{b: b, address: address, notify: notify, maximum: math.MaxInt}
}

// Client returns the identifier and user of the client that is connected; false before
// CONNECT was accepted.
func (c *Conn) Client() (id, user string, connected bool) {
	if c.session == nil || c.ending {
		return "", "", false
	}
	return c.session.id, c.session.user, true
}

// ReadTime is how long the client may send nothing; 0: for ever.
func (c *Conn) ReadTime() time.Duration { return c.keepAlive * keepAliveSlop / 2 }

// Fail ends the connection for an error of a decoder or of the framing.
func (c *Conn) Fail(err error) {
	fault, ok := err.(Fault)
	if !ok {
		fault = ProtocolError
	}
	if !c.ending && (fault == Malformed || fault == ProtocolError || fault == TooLarge) {
		c.b.stats.Malformed++
	}
	c.end(fault)
}

// Shutdown ends the connection because the broker ends.
func (c *Conn) Shutdown() { c.end(shuttingDown) }

// end closes the connection, with the reason on MQTT 5.
func (c *Conn) end(reason Fault) {
	if c.ending {
		return
	}
	c.control = appendDisconnect(c.control, c.version, reason)
	c.ending = true
	c.notify(true)
}

// answer queues a packet for the client, in front of messages.
func (c *Conn) answer(b []byte) {
	if len(c.control)+len(b) > maxControl {
		c.end(quotaExceeded)
		return
	}
	c.control = append(c.control, b...)
	c.notify(false)
}

// Close notes that the connection is gone.
func (c *Conn) Close(now time.Time) {
	c.written()
	c.ending = true
	c.detach(now)
}

// detach separates the session from its connection.
func (c *Conn) detach(now time.Time) {
	s := c.session
	if s == nil {
		return
	}
	c.written()
	c.session, s.conn, s.left = nil, nil, now
	if s.expiry == 0 {
		c.b.remove(s)
	}
}

// refuse answers CONNECT and ends the connection. Of unknown versions, those with
// the high bit are bridges, and get the answer of 3.1.1.
func (c *Conn) refuse(version byte, reason Fault) {
	c.b.stats.Refused++
	body := []byte{0, byte(reason), 0}
	if version < 5 || version >= 0x80 {
		body = []byte{0, code311(reason)}
	}
	c.control = appendPacket(c.control, packet.Connack, 0, body)
	c.ending = true
	c.notify(true)
}

// Connect answers a CONNECT; authorized reports whether its user may read.
func (c *Conn) Connect(now time.Time, p *Connect, authorized bool) {
	switch {
	case c.ending:
		return
	case p.Version != 4 && p.Version != 5:
		c.refuse(p.Version, badVersion)
		return
	case p.properties.has(propAuthMethod):
		c.refuse(p.Version, badMethod)
		return
	case !authorized, len(p.Username) > maxClientID:
		c.refuse(p.Version, badPassword)
		return
	case p.ClientID == "" && p.Version == 4 && !p.Clean, len(p.ClientID) > maxClientID:
		c.refuse(p.Version, badClientID)
		return
	}
	if p.will {
		c.b.stats.NotPublished++
	}
	assigned := ""
	if p.ClientID == "" {
		c.b.assigned++
		assigned = fmt.Sprintf("%s-%d", c.b.run, c.b.assigned)
		p.ClientID = assigned
	}
	s, present := c.b.openSession(p, c)
	if s == nil {
		c.refuse(p.Version, quotaExceeded)
		return
	}
	s.conn, s.address, c.session, c.version = c, c.address, s, p.Version
	c.bridge = p.Bridge
	c.keepAlive = time.Duration(p.KeepAlive) * time.Second
	c.window, s.expiry = maxWindow311, 0
	if p.Version == 4 && !p.Clean {
		s.expiry = c.b.cfg.SessionExpiry
	}
	if p.Version == 5 {
		c.applyProperties(p, s)
	}
	s.resume()
	c.acknowledge(p, s, present, assigned)
}

// openSession finds or makes the session of a client; nil when there is no room.
func (b *Broker) openSession(p *Connect, c *Conn) (s *session, present bool) {
	old := b.sessions[p.ClientID]
	if old != nil && old.conn != nil {
		gone := old.conn
		gone.written()
		gone.session, old.conn = nil, nil
		gone.end(takenOver)
	}
	if old != nil && !p.Clean && old.user == p.Username && old.expiry > 0 {
		return old, true
	}
	if old != nil {
		b.remove(old)
	}
	s = &session{
		b: b, id: p.ClientID, user: p.Username, address: c.address,
		subs: map[string]*subscription{}, flights: map[uint16]flight{},
	}
	b.sessions[s.id] = s
	for len(b.sessions) > b.cfg.Sessions {
		s.conn = c // it is not an abandoned one
		if !b.makeRoom((*session).one) || b.sessions[s.id] != s {
			return nil, false
		}
	}
	return s, false
}

// applyProperties applies what a client of MQTT 5 asks for.
func (c *Conn) applyProperties(p *Connect, s *session) {
	c.window = maxWindow
	if n := p.properties.number(propReceiveMaximum); n > 0 {
		c.window = min(c.window, int(n))
	}
	if n := p.properties.number(propMaximumPacket); n > 0 {
		c.maximum = int(n)
	}
	s.expiry = min(time.Duration(p.properties.number(propSessionExpiry))*time.Second, c.b.cfg.SessionExpiry)
}

// acknowledge sends CONNACK.
func (c *Conn) acknowledge(p *Connect, s *session, present bool, assigned string) {
	body := []byte{0, 0}
	if present {
		body[0] = 1
	}
	if p.Version == 5 {
		props := []byte{propReceiveMaximum, 0, maxReceived, propSharedSub, 0}
		props = append(props, propMaximumPacket)
		props = appendUint32(props, MaximumPacket)
		if asked := p.properties.number(propSessionExpiry); time.Duration(asked)*time.Second != s.expiry {
			props = appendUint32(append(props, propSessionExpiry), uint32(s.expiry/time.Second))
		}
		if assigned != "" {
			props = appendString(append(props, propAssignedID), assigned)
		}
		body = append(appendVarint(body, len(props)), props...)
	}
	c.answer(appendPacket(nil, packet.Connack, 0, body))
}
