package server

import (
	"crypto/x509"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"
)

// sessions are all of a server's.
type sessions struct {
	limits Limits

	mu      sync.Mutex
	byToken map[string]*session
	last    uint32
}

func newSessions(l Limits) sessions { return sessions{limits: l, byToken: map[string]*session{}} }

// drop removes a session, unless it is gone already. mu is held.
func (ss *sessions) drop(s *session) {
	if ss.byToken[s.token] == s {
		delete(ss.byToken, s.token)
		s.detach()
	}
}

// attach lets an activated session live on a connection, and on that one alone.
// sessions.mu is held.
func (s *session) attach(c *conn, large uint32) {
	s.detach()
	s.conn, s.active = c, true
	if c.carried++; c.carried == 1 {
		c.tcp.SetInUse(true)
		c.channel.SetMaxMessage(large)
	}
}

// detach takes a session off its connection. One that carries none makes room for others
// when there are too many, and takes small messages alone. sessions.mu is held.
func (s *session) detach() {
	if !s.active {
		return
	}
	if s.conn.carried--; s.conn.carried == 0 {
		s.conn.tcp.SetInUse(false)
		s.conn.channel.SetMaxMessage(smallMessage)
	}
}

func (ss *sessions) count() int {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return len(ss.byToken)
}

// add takes a new session in. Limits are judged before one has to go: a session of the
// same connection or address that nobody has activated, or whose connection is gone; of
// all addresses, the one with the most such sessions.
func (ss *sessions) add(s *session) (evicted *session, code ua.StatusCode) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	mine, same, idle, spare := 0, 0, map[netip.Addr]int{}, map[netip.Addr]int{}
	for _, other := range ss.byToken {
		if other.address == s.address {
			same++
		}
		if other.spare() {
			spare[other.address]++
		}
		if !other.active {
			idle[other.address]++
			if other.conn == s.conn {
				mine++
			}
		}
	}
	switch laziest, greediest := most(idle), most(spare); {
	case mine >= maxPerConn:
		evicted = ss.oldest(func(o *session) bool { return !o.active && o.conn == s.conn })
	case same >= ss.limits.SessionsPerAddress:
		evicted = ss.oldest(func(o *session) bool { return o.address == s.address && o.spare() })
	case len(ss.byToken) >= ss.limits.Sessions:
		evicted = ss.oldest(func(o *session) bool { return o.address == greediest && o.spare() })
	case idle[laziest] >= maxUnactivated:
		evicted = ss.oldest(func(o *session) bool { return o.address == laziest && !o.active })
	}
	if evicted != nil {
		ss.drop(evicted)
	} else if same >= ss.limits.SessionsPerAddress || len(ss.byToken) >= ss.limits.Sessions {
		return nil, ua.StatusBadTooManySessions
	}
	ss.last++
	s.number = ss.last
	ss.byToken[s.token] = s
	return evicted, ua.StatusOK
}

// spare tells whether a session may go when there are too many.
func (s *session) spare() bool { return s.left || !s.active }

func most(n map[netip.Addr]int) (address netip.Addr) {
	for a := range n {
		if n[a] > n[address] {
			address = a
		}
	}
	return address
}

// oldest returns the session that was not heard of the longest among those that fit.
func (ss *sessions) oldest(fits func(*session) bool) (oldest *session) {
	for _, o := range ss.byToken {
		if fits(o) && (oldest == nil || o.heard.Before(oldest.heard)) {
			oldest = o
		}
	}
	return oldest
}

// abandon notes that a connection has ended. Its sessions wait to be taken up on
// another one, but for those that nobody has activated.
func (s *Server) abandon(c *conn) {
	ss := &s.sessions
	ss.mu.Lock()
	var gone []*session
	for _, o := range ss.byToken {
		if o.conn != c {
			continue
		}
		if o.left = true; !o.active {
			ss.drop(o)
			gone = append(gone, o)
		}
	}
	ss.mu.Unlock()
	for _, o := range gone {
		s.totals.aborts.Add(1)
		s.engine.SessionClosed(o.number, true)
	}
}

// cumulated counts all sessions there ever were.
func (ss *sessions) cumulated() uint32 {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.last
}

// showing is a session whose user has shown a certificate.
type showing struct {
	*session
	person []*x509.Certificate
}

func (ss *sessions) persons() (list []showing) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.byToken {
		if s.person != nil {
			list = append(list, showing{s, s.person})
		}
	}
	return list
}

// named returns the active sessions by the name that their users gave.
func (ss *sessions) named() map[string][]*session {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	list := map[string][]*session{}
	for _, s := range ss.byToken {
		if name, ok := strings.CutPrefix(s.client.User, policyUserName+":"); ok && s.active {
			list[name] = append(list[name], s)
		}
	}
	return list
}

func (ss *sessions) remove(s *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.drop(s)
}

// expire removes and returns the sessions that were not heard of in time.
func (ss *sessions) expire(now time.Time) (gone []*session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.byToken {
		if s.active && now.Sub(s.heard) > s.timeout || !s.active && now.Sub(s.created) > activateWithin {
			ss.drop(s)
			gone = append(gone, s)
		}
	}
	return gone
}

func (ss *sessions) clear() (gone []*session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.byToken {
		ss.drop(s)
		gone = append(gone, s)
	}
	return gone
}
