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
	"heliograph/firmware/opcua/transport"
)

// tokenSize is the size of the secret in an AuthenticationToken, bytes.
const tokenSize = 32

// session is a Session (OPC 10000-4 §5.7). The first block never changes, except for the
// locales in info; they and the rest are guarded by the lock of sessions.
type session struct {
	number      uint32
	id          rawvalue.NodeID
	token       string // the AuthenticationToken as it is encoded
	certificate []byte // the client's application instance certificate; nil with policy None
	address     netip.Addr
	network     netip.Addr // of the address, which limits count; set by sessions.add
	timeout     time.Duration
	created     time.Time
	info        clientInfo
	counters    serviceCounters

	conn         *conn // that it is activated on, or was created on
	client       subscription.Client
	active       bool
	nonce        []byte // the server's, for the next ActivateSession
	lastContact  time.Time
	disconnected bool                // conn has ended
	userChain    []*x509.Certificate // of a user who logged in with a certificate

	serving sync.RWMutex // held for reading while the subscription engine serves a request of it
	ended   bool         // guarded by serving: it was removed, and the engine holds nothing for it any more

	continuations continuationPoints[browseState]
	history       continuationPoints[historyPoint]
}

// authenticate finds the session of a request: it must be activated, on this channel.
func (q *query) authenticate() ua.StatusCode {
	s, client, code := q.server.sessions.use(string(q.head.Token), q.conn, q.server.cfg.Now())
	switch code {
	case ua.StatusOK:
		q.session, q.client = s, client
	case ua.StatusBadSessionNotActivated: // OPC 10000-4 §5.7.2: the session is closed
		q.server.aborted(s)
	}
	return code
}

func (q *query) createSession(req *ua.CreateSessionRequest) {
	peer := q.conn.channel.Peer()
	if q.server.closed.Load() {
		q.fault(ua.StatusBadServerHalted)
		return
	}
	if !q.server.offers(peer.Security) {
		q.refuse(ua.StatusBadSecurityPolicyRejected,
			"this security policy and mode serve discovery alone: choose an endpoint of those that GetEndpoints lists")
		return
	}
	if code := q.checkApplication(req, peer); code != ua.StatusOK {
		q.fault(code)
		return
	}
	now := q.server.cfg.Now()
	s := &session{
		token: newToken(), certificate: peer.Certificate, address: peer.Address, created: now, lastContact: now,
		nonce: channel.Nonce(), conn: q.conn,
		timeout: clampTimeout(req.RequestedSessionTimeout, q.server.cfg.Limits),
	}
	s.info, s.counters = q.clientInfo(req), newUsed(q.server.countedServices)
	s.id = rawvalue.NodeID{Namespace: 1, Kind: rawvalue.GUID, Text: string(channel.Nonce()[:16])}
	evicted, code := q.server.sessions.add(s)
	if evicted != nil {
		q.server.evicted.Add(1)
		q.server.refusalLog.Warn("evicted a session that is not activated or not connected", "client",
			evicted.address)
		q.server.aborted(evicted)
	}
	if code != ua.StatusOK {
		q.fault(code)
		return
	}
	own := q.conn.channel.Identity()
	resp := &ua.CreateSessionResponse{
		ResponseHeader: q.header(), SessionID: s.id.UA(),
		AuthenticationToken:   ua.NewByteStringNodeID(0, []byte(s.token[7:])),
		RevisedSessionTimeout: float64(s.timeout / time.Millisecond), ServerNonce: s.nonce,
		ServerEndpoints: q.server.endpoints(req.EndpointURL, nil),
		ServerSignature: &ua.SignatureData{}, MaxRequestMessageSize: q.server.cfg.Limits.Message,
	}
	if own.Key != nil {
		resp.ServerCertificate = own.Certificate
	}
	if peer.Policy != ua.SecurityPolicyURINone {
		signature, err := channel.Sign(peer.Policy, own.Key, peer.Certificate, req.ClientNonce)
		if err != nil {
			q.server.sessions.remove(s)
			q.fault(ua.StatusBadSecurityChecksFailed)
			return
		}
		resp.ServerSignature = signature
	}
	q.reply(resp)
}

// checkApplication compares the client's description of itself with its channel.
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

// activateSession activates a session, moves it to this channel or changes its user.
func (q *query) activateSession(req *ua.ActivateSessionRequest) {
	st, found := q.server.sessions.find(string(q.head.Token))
	if !found {
		q.fault(ua.StatusBadSessionIDInvalid)
		return
	}
	code := q.checkChannel(st)
	if code == ua.StatusOK {
		code = q.checkClientSignature(req, st)
	}
	if code != ua.StatusOK {
		q.fault(code)
		return
	}
	user, code := q.checkUser(req, st)
	if code != ua.StatusOK {
		q.server.refusalLog.Warn("user refused", "client", q.conn.channel.Peer().Address, "status", code)
		q.fault(code)
		return
	}
	nonce := channel.Nonce()
	if !q.server.sessions.activate(st, q.activation(req, st.session.number, user, nonce)) {
		q.fault(ua.StatusBadSessionIDInvalid) // it was closed, or another request has activated it meanwhile
		return
	}
	if st.conn != q.conn {
		q.server.engine.SessionMoved(st.session.number, q.conn.number)
	}
	q.reply(&ua.ActivateSessionResponse{
		ResponseHeader: q.header(), ServerNonce: nonce, Results: []ua.StatusCode{},
		DiagnosticInfos: []*ua.DiagnosticInfo{},
	})
}

// checkChannel decides whether a session may be activated over this channel: its own, or, once
// it is activated, another one of the same client certificate.
func (q *query) checkChannel(st sessionState) ua.StatusCode {
	peer := q.conn.channel.Peer()
	if st.conn == q.conn || st.active && bytes.Equal(st.session.certificate, peer.Certificate) &&
		q.server.offers(peer.Security) {
		return ua.StatusOK
	}
	return ua.StatusBadSecureChannelIDInvalid
}

// checkClientSignature verifies that the client has the key of its certificate.
func (q *query) checkClientSignature(req *ua.ActivateSessionRequest, st sessionState) ua.StatusCode {
	peer := q.conn.channel.Peer()
	if peer.Policy == ua.SecurityPolicyURINone {
		return ua.StatusOK
	}
	own := q.conn.channel.Identity().Certificate
	err := channel.Verify(peer.Policy, peer.Certificate, own, st.nonce, req.ClientSignature,
		ua.StatusBadApplicationSignatureInvalid)
	if err != nil {
		return channel.Code(err)
	}
	return ua.StatusOK
}

// checkUser identifies the user, who may change only on the session's own channel (OPC 10000-4
// §5.7.3). An activated session stays as well protected as it was: what it monitors was given
// over the better channel.
func (q *query) checkUser(req *ua.ActivateSessionRequest, st sessionState) (user string, code ua.StatusCode) {
	user, code = q.user(req, st.nonce)
	switch {
	case code != ua.StatusOK:
		return "", code
	case st.active && weaker(q.conn.channel.Peer().Mode, st.client):
		return "", ua.StatusBadSecurityModeInsufficient
	case st.conn != q.conn && user != st.client.User:
		return "", ua.StatusBadIdentityTokenRejected
	}
	return user, ua.StatusOK
}

func (q *query) activation(req *ua.ActivateSessionRequest, session uint32, user string, nonce []byte) activation {
	peer := q.conn.channel.Peer()
	a := activation{conn: q.conn, nonce: nonce, userChain: q.userChain, at: q.server.cfg.Now()}
	a.client = subscription.Client{
		Session: session, Connection: q.conn.number, User: user, Address: transport.Network(peer.Address),
		Signed:    peer.Mode != ua.MessageSecurityModeNone,
		Encrypted: peer.Mode == ua.MessageSecurityModeSignAndEncrypt,
	}
	if req.LocaleIDs != nil {
		a.locales, a.setLocales = clientLocales(req.LocaleIDs), true
	}
	return a
}

// weaker reports whether a mode protects less than the channel that a client had before.
func weaker(mode ua.MessageSecurityMode, before subscription.Client) bool {
	return before.Encrypted && mode != ua.MessageSecurityModeSignAndEncrypt || before.Signed &&
		mode == ua.MessageSecurityModeNone
}

func (q *query) closeSession(req *ua.CloseSessionRequest) {
	s := q.server.sessions.close(string(q.head.Token), q.conn)
	if s == nil {
		q.fault(ua.StatusBadSessionIDInvalid)
		return
	}
	q.server.endSession(s, req.DeleteSubscriptions)
	q.reply(&ua.CloseSessionResponse{ResponseHeader: q.header()})
}

// cancel cancels no request: they are answered one by one, and a queued Publish is kept.
func (q *query) cancel(*ua.CancelRequest) {
	q.reply(&ua.CancelResponse{ResponseHeader: q.header()})
}

// hasEnded reports whether a session was removed since a request of it was authenticated.
func (s *session) hasEnded() bool {
	s.serving.RLock()
	defer s.serving.RUnlock()
	return s.ended
}

// endSession ends a session that was removed: requests of it that wait for admission are refused, and
// the subscription engine, which has answered all others, holds nothing for it any more.
func (s *Server) endSession(removed *session, deleteSubscriptions bool) {
	removed.serving.Lock()
	removed.ended = true
	removed.serving.Unlock()
	s.engine.SessionClosed(removed.number, deleteSubscriptions)
}

// subscribe passes a request to the subscription engine, which would hold a subscription of a session
// that has ended for ever.
func (q *query) subscribe(req any) {
	q.session.serving.RLock()
	defer q.session.serving.RUnlock()
	if q.session.ended {
		q.fault(ua.StatusBadSessionClosed)
		return
	}
	q.server.engine.Serve(&q.client, req, q.respond)
}
