package server

import (
	"bytes"
	"crypto/x509"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/subscription"
	"heliograph/firmware/opcua/transport"
)

// sessions are all sessions of a server. Its lock is taken by its own methods alone.
type sessions struct {
	limits Limits

	mu      sync.Mutex
	byToken map[string]*session
	last    uint32
}

func newSessions(l Limits) sessions { return sessions{limits: l, byToken: map[string]*session{}} }

// dropLocked removes a session, unless it is removed already. mu is held.
func (ss *sessions) dropLocked(s *session) {
	if ss.byToken[s.token] == s {
		delete(ss.byToken, s.token)
		s.detach()
	}
}

// attach binds an activated session to a connection. The lock of sessions is held.
func (s *session) attach(c *conn, large uint32) {
	s.detach()
	s.conn, s.active = c, true
	if c.activeSessions++; c.activeSessions == 1 {
		c.tcp.SetInUse(true)
		c.channel.SetMaxMessage(large)
	}
}

// detach unbinds a session from its connection. A connection without sessions may be closed
// when there are too many, and receives small messages only. The lock of sessions is held.
func (s *session) detach() {
	if !s.active {
		return
	}
	if s.conn.activeSessions--; s.conn.activeSessions == 0 {
		s.conn.tcp.SetInUse(false)
		s.conn.channel.SetMaxMessage(smallMessage)
	}
}

func (ss *sessions) count() int {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return len(ss.byToken)
}

// add adds a session. Where a limit is reached it evicts one that is not activated or not
// connected: of the same connection or network, or of the network with the most of them.
func (ss *sessions) add(s *session) (evicted *session, code ua.StatusCode) {
	s.network = transport.Network(s.address)
	ss.mu.Lock()
	defer ss.mu.Unlock()
	mine, same, idle, spare := 0, 0, map[netip.Addr]int{}, map[netip.Addr]int{}
	for _, other := range ss.byToken {
		if other.network == s.network {
			same++
		}
		if other.evictable() {
			spare[other.network]++
		}
		if !other.active {
			idle[other.network]++
			if other.conn == s.conn {
				mine++
			}
		}
	}
	switch mostIdle, mostSpare := networkWithMost(idle), networkWithMost(spare); {
	case mine >= maxPerConn:
		evicted = ss.oldest(func(o *session) bool { return !o.active && o.conn == s.conn })
	case same >= ss.limits.SessionsPerAddress:
		evicted = ss.oldest(func(o *session) bool { return o.network == s.network && o.evictable() })
	case len(ss.byToken) >= ss.limits.Sessions:
		evicted = ss.oldest(func(o *session) bool { return o.network == mostSpare && o.evictable() })
	case idle[mostIdle] >= maxUnactivated:
		evicted = ss.oldest(func(o *session) bool { return o.network == mostIdle && !o.active })
	}
	if evicted != nil {
		ss.dropLocked(evicted)
	} else if same >= ss.limits.SessionsPerAddress || len(ss.byToken) >= ss.limits.Sessions {
		return nil, ua.StatusBadTooManySessions
	}
	ss.last++
	s.number = ss.last
	ss.byToken[s.token] = s
	return evicted, ua.StatusOK
}

// evictable reports whether a session may be removed when there are too many.
func (s *session) evictable() bool { return s.disconnected || !s.active }

func networkWithMost(n map[netip.Addr]int) (network netip.Addr) {
	for a := range n {
		if n[a] > n[network] {
			network = a
		}
	}
	return network
}

// oldest returns the session with the longest time since its last request among those that fit.
func (ss *sessions) oldest(fits func(*session) bool) (oldest *session) {
	for _, o := range ss.byToken {
		if fits(o) && (oldest == nil || o.lastContact.Before(oldest.lastContact)) {
			oldest = o
		}
	}
	return oldest
}

// use returns the session of a request, if it is activated on this connection. One that is not
// activated is removed.
func (ss *sessions) use(token string, c *conn, now time.Time) (s *session, client subscription.Client,
	code ua.StatusCode) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s = ss.byToken[token]
	switch {
	case s == nil:
		return nil, client, ua.StatusBadSessionIDInvalid
	case s.conn != c:
		return nil, client, ua.StatusBadSecureChannelIDInvalid
	case !s.active:
		ss.dropLocked(s)
		return s, client, ua.StatusBadSessionNotActivated
	}
	s.lastContact = now
	return s, s.client, ua.StatusOK
}

// sessionState is a session with a copy of what ActivateSession depends on.
type sessionState struct {
	session *session
	conn    *conn
	active  bool
	nonce   []byte
	client  subscription.Client
}

// find returns the state of a session.
func (ss *sessions) find(token string) (st sessionState, found bool) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.byToken[token]
	if s == nil {
		return st, false
	}
	return sessionState{session: s, conn: s.conn, active: s.active, nonce: s.nonce, client: s.client}, true
}

// activation is what ActivateSession sets.
type activation struct {
	conn       *conn
	client     subscription.Client
	userChain  []*x509.Certificate
	nonce      []byte
	locales    []string
	setLocales bool // else they stay as they are (OPC 10000-4 §5.7.3)
	at         time.Time
}

// activate activates a session, unless it was closed or activated since its state was found.
func (ss *sessions) activate(st sessionState, a activation) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := st.session
	if ss.byToken[s.token] != s || !bytes.Equal(s.nonce, st.nonce) {
		return false
	}
	s.attach(a.conn, ss.limits.Message)
	s.disconnected, s.nonce, s.lastContact = false, a.nonce, a.at
	s.userChain, s.client = a.userChain, a.client
	if a.setLocales {
		s.info.locales = a.locales
	}
	return true
}

// close removes a session of a connection and returns it, nil if there is none.
func (ss *sessions) close(token string, c *conn) *session {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.byToken[token]
	if s == nil || s.conn != c {
		return nil
	}
	ss.dropLocked(s)
	return s
}

// disconnect records that a connection has ended. Its activated sessions can be activated
// on another one; the others are removed and returned.
func (ss *sessions) disconnect(c *conn) (removed []*session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, o := range ss.byToken {
		if o.conn != c {
			continue
		}
		if o.disconnected = true; !o.active {
			ss.dropLocked(o)
			removed = append(removed, o)
		}
	}
	return removed
}

// totalCreated returns how many sessions were created so far.
func (ss *sessions) totalCreated() uint32 {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.last
}

// userSession is a session whose user logged in with a certificate.
type userSession struct {
	*session
	userChain []*x509.Certificate
}

func (ss *sessions) certificateUsers() (list []userSession) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.byToken {
		if s.userChain != nil {
			list = append(list, userSession{s, s.userChain})
		}
	}
	return list
}

// sessionsByUser returns the activated sessions by user name.
func (ss *sessions) sessionsByUser() map[string][]*session {
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
	ss.dropLocked(s)
}

// expire removes and returns the sessions whose timeout has passed.
func (ss *sessions) expire(now time.Time) (removed []*session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.byToken {
		if s.active && now.Sub(s.lastContact) > s.timeout || !s.active && now.Sub(s.created) > activateWithin {
			ss.dropLocked(s)
			removed = append(removed, s)
		}
	}
	return removed
}

func (ss *sessions) removeAll() (removed []*session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.byToken {
		ss.dropLocked(s)
		removed = append(removed, s)
	}
	return removed
}
