package server

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/subscription"
	"heliograph/firmware/opcua/transport"
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
	about       about // but for its locales, which are guarded
	used        used

	conn   *conn // where it lives
	client subscription.Client
	active bool
	nonce  []byte // the server's last one
	heard  time.Time
	left   bool                // conn has ended
	person []*x509.Certificate // the user's, where he has shown one

	points points
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
		ss.drop(s)
	default:
		s.heard = q.s.cfg.Now()
		q.session, q.client = s, s.client
	}
	ss.mu.Unlock()
	if misused {
		q.s.totals.aborts.Add(1)
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
		q.refuse(ua.StatusBadSecurityPolicyRejected, "this security policy and mode serve discovery alone: choose an endpoint of those that GetEndpoints lists")
		return
	}
	if code := q.checkApplication(req, peer); code != ua.StatusOK {
		q.fault(code)
		return
	}
	now := q.s.cfg.Now()
	s := &session{
		token: newToken(), certificate: peer.Certificate, address: peer.Address, created: now, heard: now, nonce: channel.Nonce(), conn: q.conn,
		timeout: clampTimeout(req.RequestedSessionTimeout, q.s.cfg.Limits),
	}
	s.about, s.used = q.about(req), newUsed(q.s.counted)
	s.id = rawvalue.NodeID{Namespace: 1, Kind: rawvalue.GUID, Text: string(channel.Nonce()[:16])}
	evicted, code := q.s.sessions.add(s)
	if evicted != nil {
		q.s.evicted.Add(1)
		q.s.totals.aborts.Add(1)
		q.s.refusals.Warn("opcua server closes a session to make room: it is not activated, or its connection is gone", "client", evicted.address)
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
		q.s.refusals.Warn("opcua server refuses a user", "client", peer.Address, "status", code)
		q.fault(code)
		return
	}
	fresh := channel.Nonce()
	ss.mu.Lock()
	still := ss.byToken[s.token] == s && bytes.Equal(s.nonce, nonce) // nobody was quicker
	if still {
		s.attach(q.conn, q.s.cfg.Limits.Message)
		s.left, s.nonce, s.heard = false, fresh, q.s.cfg.Now()
		s.person = q.person
		if req.LocaleIDs != nil { // OPC 10000-4 §5.7.3: none leaves them as they are
			s.about.locales = localesOf(req.LocaleIDs)
		}
		s.client = subscription.Client{
			Session: s.number, User: user, Address: transport.Network(peer.Address), Signed: peer.Mode != ua.MessageSecurityModeNone,
			Encrypted: peer.Mode == ua.MessageSecurityModeSignAndEncrypt,
		}
	}
	ss.mu.Unlock()
	if !still {
		q.fault(ua.StatusBadSessionIDInvalid)
		return
	}
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
	mine := s != nil && s.conn == q.conn
	if mine {
		ss.drop(s)
	}
	ss.mu.Unlock()
	if !mine {
		q.fault(ua.StatusBadSessionIDInvalid)
		return
	}
	q.s.engine.SessionClosed(s.number, req.DeleteSubscriptions)
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
