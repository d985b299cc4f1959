package server

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/subscription"
)

// tokenSize is that of the secret in an AuthenticationToken, bytes.
const tokenSize = 32

// session is what a client has created. What is in the first block never changes,
// the rest is guarded by sessions.mu.
type session struct {
	number      uint32
	id          rawvalue.NodeID
	token       string // the AuthenticationToken as it is encoded
	certificate []byte // the client's application instance certificate; nil with policy None
	address     netip.Addr
	timeout     time.Duration
	created     time.Time
	response    uint32 // largest that the client takes, bytes; 0: any

	conn   *conn // where it lives
	client subscription.Client
	active bool
	nonce  []byte // the server's last one
	heard  time.Time
	left   bool                // conn has ended
	person []*x509.Certificate // the user's, where he has shown one

	points points
}

// sessions are all of a server's.
type sessions struct {
	limits Limits

	mu      sync.Mutex
	byToken map[string]*session
	last    uint32
}

func newSessions(l Limits) sessions { return sessions{limits: l, byToken: map[string]*session{}} }

func (ss *sessions) count() int {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return len(ss.byToken)
}

// add takes a new session in. Limits are judged before anybody has to go: a session of
// the same connection or address that nobody has activated, or whose connection is gone.
func (ss *sessions) add(s *session) (evicted *session, code ua.StatusCode) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	mine, same, idle := 0, 0, map[netip.Addr]int{}
	for _, other := range ss.byToken {
		if other.address == s.address {
			same++
		}
		if !other.active {
			idle[other.address]++
			if other.conn == s.conn {
				mine++
			}
		}
	}
	most := s.address // of the addresses, the one with the most sessions that nobody has activated
	for a, n := range idle {
		if n > idle[most] {
			most = a
		}
	}
	switch {
	case mine >= maxPerConn:
		evicted = ss.oldest(func(o *session) bool { return !o.active && o.conn == s.conn })
	case same >= ss.limits.SessionsPerAddress:
		evicted = ss.oldest(func(o *session) bool { return o.address == s.address && o.left })
	case len(ss.byToken) >= ss.limits.Sessions || idle[most] >= maxUnactivated:
		evicted = ss.oldest(func(o *session) bool { return o.left || !o.active && o.address == most })
	}
	if evicted != nil {
		delete(ss.byToken, evicted.token)
	} else if same >= ss.limits.SessionsPerAddress || len(ss.byToken) >= ss.limits.Sessions {
		return nil, ua.StatusBadTooManySessions
	}
	ss.last++
	s.number = ss.last
	ss.byToken[s.token] = s
	return evicted, ua.StatusOK
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
	for token, o := range ss.byToken {
		if o.conn != c {
			continue
		}
		if o.left = true; !o.active {
			delete(ss.byToken, token)
			gone = append(gone, o)
		}
	}
	ss.mu.Unlock()
	for _, o := range gone {
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

func (ss *sessions) remove(s *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.byToken, s.token)
}

// expire removes and returns the sessions that were not heard of in time.
func (ss *sessions) expire(now time.Time) (gone []*session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for token, s := range ss.byToken {
		if s.active && now.Sub(s.heard) > s.timeout || !s.active && now.Sub(s.created) > activateWithin {
			delete(ss.byToken, token)
			gone = append(gone, s)
		}
	}
	return gone
}

func (ss *sessions) clear() (gone []*session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.byToken {
		gone = append(gone, s)
	}
	clear(ss.byToken)
	return gone
}

// authenticate finds the session of a request: activated, and on this channel.
func (q *query) authenticate() ua.StatusCode {
	ss := &q.s.sessions
	ss.mu.Lock()
	s := ss.byToken[string(q.head.Token)]
	var misused bool
	code := ua.StatusOK
	switch {
	case s == nil:
		code = ua.StatusBadSessionIDInvalid
	case s.conn != q.conn:
		code = ua.StatusBadSecureChannelIDInvalid
	case !s.active: // OPC 10000-4 §5.7.2: such a session is closed
		code, misused = ua.StatusBadSessionNotActivated, true
		delete(ss.byToken, s.token)
	default:
		s.heard = q.s.cfg.Now()
		q.session, q.client = s, s.client
	}
	ss.mu.Unlock()
	if misused {
		q.s.engine.SessionClosed(s.number, true)
	}
	return code
}

func (q *query) createSession(req *ua.CreateSessionRequest) {
	peer := q.channel.Peer()
	if q.s.shut.Load() {
		q.fault(ua.StatusBadServerHalted)
		return
	}
	if !q.s.offers(peer.Security) {
		q.fault(ua.StatusBadSecurityPolicyRejected)
		return
	}
	if code := q.checkApplication(req, peer); code != ua.StatusOK {
		q.fault(code)
		return
	}
	now := q.s.cfg.Now()
	s := &session{
		token: newToken(), certificate: peer.Certificate, address: peer.Address, created: now, heard: now, nonce: channel.Nonce(), conn: q.conn,
		timeout: clampTimeout(req.RequestedSessionTimeout, q.s.cfg.Limits), response: req.MaxResponseMessageSize,
	}
	s.id = rawvalue.NodeID{Namespace: 1, Kind: rawvalue.GUID, Text: string(channel.Nonce()[:16])}
	evicted, code := q.s.sessions.add(s)
	if evicted != nil {
		q.s.engine.SessionClosed(evicted.number, true)
	}
	if code != ua.StatusOK {
		q.fault(code)
		return
	}
	own := q.channel.Identity()
	resp := &ua.CreateSessionResponse{
		ResponseHeader: q.header(), SessionID: s.id.UA(), AuthenticationToken: ua.NewByteStringNodeID(0, []byte(s.token[7:])),
		RevisedSessionTimeout: float64(s.timeout / time.Millisecond), ServerNonce: s.nonce, ServerEndpoints: q.s.endpoints(req.EndpointURL, nil),
		ServerSignature: &ua.SignatureData{}, MaxRequestMessageSize: q.s.cfg.Limits.Message,
	}
	if own.Key != nil {
		resp.ServerCertificate = own.Certificate
	}
	if peer.Policy != ua.SecurityPolicyURINone {
		signature, err := channel.Sign(peer.Policy, own.Key, peer.Certificate, req.ClientNonce)
		if err != nil {
			q.s.sessions.remove(s)
			q.fault(ua.StatusBadSecurityChecksFailed)
			return
		}
		resp.ServerSignature = signature
	}
	q.reply(resp)
}

// checkApplication compares what a client says of itself with its channel.
func (q *query) checkApplication(req *ua.CreateSessionRequest, peer channel.Peer) ua.StatusCode {
	if peer.Policy == ua.SecurityPolicyURINone {
		return ua.StatusOK
	}
	switch {
	case !bytes.Equal(channel.LeafCertificate(req.ClientCertificate), channel.LeafCertificate(peer.Certificate)):
		return ua.StatusBadSecurityChecksFailed
	case len(req.ClientNonce) < minClientNonce:
		return ua.StatusBadNonceInvalid
	case req.ClientDescription == nil:
		return ua.StatusBadCertificateURIInvalid
	}
	for _, uri := range peer.Chain[0].URIs {
		if uri.String() == req.ClientDescription.ApplicationURI {
			return ua.StatusOK
		}
	}
	return ua.StatusBadCertificateURIInvalid
}

// newToken returns a secret NodeId as it is encoded: a ByteString of namespace 0.
func newToken() string {
	var secret [tokenSize]byte
	_, _ = rand.Read(secret[:]) // never fails
	b := binary.LittleEndian.AppendUint32([]byte{5, 0, 0}, tokenSize)
	return string(append(b, secret[:]...))
}

func clampTimeout(ms float64, l Limits) time.Duration {
	if !(ms > 0) || ms > float64(l.MaxTimeout/time.Millisecond) {
		return l.MaxTimeout
	}
	return max(l.MinTimeout, time.Duration(ms)*time.Millisecond)
}

func (q *query) activateSession(req *ua.ActivateSessionRequest) {
	ss := &q.s.sessions
	ss.mu.Lock()
	s := ss.byToken[string(q.head.Token)]
	var nonce []byte
	var before subscription.Client
	active, here := false, false
	if s != nil {
		nonce, before, active, here = s.nonce, s.client, s.active, s.conn == q.conn
	}
	ss.mu.Unlock()
	peer := q.channel.Peer()
	switch {
	case s == nil:
		q.fault(ua.StatusBadSessionIDInvalid)
		return
	case !here && (!active || !bytes.Equal(s.certificate, peer.Certificate) || !q.s.offers(peer.Security)):
		q.fault(ua.StatusBadSecureChannelIDInvalid)
		return
	}
	if peer.Policy != ua.SecurityPolicyURINone {
		own := q.channel.Identity().Certificate
		if err := channel.Verify(peer.Policy, peer.Certificate, own, nonce, req.ClientSignature, ua.StatusBadApplicationSignatureInvalid); err != nil {
			q.fault(channel.Code(err))
			return
		}
	}
	user, code := q.user(req, nonce)
	if code == ua.StatusOK && active && weaker(peer.Mode, before) { // what it watches was given over a better channel
		code = ua.StatusBadSecurityModeInsufficient
	}
	if code == ua.StatusOK && !here && user != before.User { // OPC 10000-4 §5.7.3: on another channel only the same user
		code = ua.StatusBadIdentityTokenRejected
	}
	if code != ua.StatusOK {
		q.s.cfg.Log.Warn("opcua server refuses a user", "client", peer.Address, "status", code)
		q.fault(code)
		return
	}
	fresh := channel.Nonce()
	ss.mu.Lock()
	still := ss.byToken[s.token] == s && bytes.Equal(s.nonce, nonce) // nobody was quicker
	if still {
		s.conn, s.left, s.active, s.nonce, s.heard = q.conn, false, true, fresh, q.s.cfg.Now()
		s.person = q.person
		s.client = subscription.Client{
			Session: s.number, User: user, Locale: req.LocaleIDs, Signed: peer.Mode != ua.MessageSecurityModeNone,
			Encrypted: peer.Mode == ua.MessageSecurityModeSignAndEncrypt,
		}
	}
	ss.mu.Unlock()
	if !still {
		q.fault(ua.StatusBadSessionIDInvalid)
		return
	}
	q.channel.SetMaxMessage(q.s.cfg.Limits.Message)
	q.tcp.SetInUse(true)
	q.reply(&ua.ActivateSessionResponse{ResponseHeader: q.header(), ServerNonce: fresh, Results: []ua.StatusCode{}, DiagnosticInfos: []*ua.DiagnosticInfo{}})
}

// weaker tells whether a mode protects less than a client's channel did.
func weaker(mode ua.MessageSecurityMode, before subscription.Client) bool {
	return before.Encrypted && mode != ua.MessageSecurityModeSignAndEncrypt || before.Signed && mode == ua.MessageSecurityModeNone
}

func (q *query) closeSession(req *ua.CloseSessionRequest) {
	ss := &q.s.sessions
	ss.mu.Lock()
	s := ss.byToken[string(q.head.Token)]
	mine, others := s != nil && s.conn == q.conn, false
	if mine {
		delete(ss.byToken, s.token)
	}
	for _, o := range ss.byToken {
		others = others || o.conn == q.conn && o.active
	}
	ss.mu.Unlock()
	if !mine {
		q.fault(ua.StatusBadSessionIDInvalid)
		return
	}
	q.s.engine.SessionClosed(s.number, req.DeleteSubscriptions)
	if !others {
		q.tcp.SetInUse(false)
		q.channel.SetMaxMessage(smallMessage)
	}
	q.reply(&ua.CloseSessionResponse{ResponseHeader: q.header()})
}

// cancel cancels nothing: requests are answered one by one, and a Publish is worth
// its answer.
func (q *query) cancel(*ua.CancelRequest) {
	q.reply(&ua.CancelResponse{ResponseHeader: q.header()})
}

// subscribe hands a request to the subscriptions.
func (q *query) subscribe(req any) {
	q.s.engine.Serve(&q.client, req, q.respond)
}
