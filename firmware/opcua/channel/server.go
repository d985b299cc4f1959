package channel

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/transport"
)

// Our own choices.
const (
	defaultMinLifetime = 10 * time.Second
	defaultMaxLifetime = time.Hour
	defaultOpenTimeout = 10 * time.Second
	renewBurst         = 8               // renewals at once
	renewEvery         = 2 * time.Second // and on average, at least, or half the shortest lifetime
)

// ServerConfig sets how a Server opens channels.
type ServerConfig struct {
	// Identity returns the certificate and key in force. It is called for each new
	// channel, so that a renewed certificate needs no restart.
	Identity func() Identity
	// Security lists what is offered. Policy None must be listed to be offered, even for
	// discovery only.
	Security []Security
	// Authorize checks a client's certificate, with its chain and address, before the
	// private key is used and before anything is answered. The mode is not known yet. A
	// status code in its error is sent to the client, generalised as OPC 10000-4 §6.1.3
	// requires.
	Authorize   func(ctx context.Context, p Peer) error
	MinLifetime time.Duration // of a token, 10 s
	MaxLifetime time.Duration // of a token, 1 h
	OpenTimeout time.Duration // from the hello to the open request, 10 s
	Log         *slog.Logger
}

// Server opens channels in the server's role. It is safe for concurrent use.
type Server struct {
	cfg     ServerConfig
	crypto  chan struct{} // private key operations at a time
	mu      sync.Mutex
	ids     map[uint32]struct{}
	refused atomic.Uint64
	log     *transport.LimitedLog
}

// NewServer checks cfg.
func NewServer(cfg ServerConfig) (*Server, error) {
	if len(cfg.Security) == 0 {
		return nil, errors.New("opcua channel: no security policy is offered")
	}
	for _, s := range cfg.Security {
		p, ok := policyOf(s.Policy)
		if !ok || !p.allows(s.Mode) {
			return nil, fail(ua.StatusBadSecurityPolicyRejected,
				s.Policy+" with mode "+s.Mode.String()+" cannot be offered")
		}
		if !p.none() && (cfg.Identity == nil || cfg.Authorize == nil) {
			return nil, errors.New("opcua channel: a policy other than None needs Identity and Authorize")
		}
	}
	if cfg.Identity == nil {
		cfg.Identity = func() Identity { return Identity{} }
	}
	for _, d := range []struct {
		v       *time.Duration
		initial time.Duration
	}{
		{&cfg.MinLifetime, defaultMinLifetime}, {&cfg.MaxLifetime, defaultMaxLifetime},
		{&cfg.OpenTimeout, defaultOpenTimeout},
	} {
		if *d.v <= 0 {
			*d.v = d.initial
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{
		cfg: cfg, crypto: make(chan struct{}, runtime.GOMAXPROCS(0)), ids: map[uint32]struct{}{},
		log: transport.NewLimitedLog(cfg.Log),
	}, nil
}

// Refused counts the channels that were refused.
func (s *Server) Refused() uint64 { return s.refused.Load() }

// Open waits for a client's open request on conn, checks it and answers it. A refused client
// receives the reason that it may have; the complete one is logged. On an error conn is
// closed. The caller calls Forget when a channel has ended.
func (s *Server) Open(ctx context.Context, conn *transport.Conn) (*Channel, error) {
	c, err := s.open(ctx, conn)
	if err == nil {
		return c, nil
	}
	s.refused.Add(1)
	s.log.Warn("secure channel refused", "error", err, "client", conn.RemoteAddr().String())
	var e *transport.Error
	if !errors.As(err, &e) || !e.Remote {
		code, reason := Code(err), ""
		if e != nil {
			reason = wireReason(e)
		}
		conn.Fail(wireCode(code), reason)
	}
	conn.Close()
	return nil, err
}

func (s *Server) open(ctx context.Context, conn *transport.Conn) (*Channel, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	h, chunk, err := conn.ReadChunk(time.Now().Add(s.cfg.OpenTimeout))
	if err != nil {
		return nil, err
	}
	switch h.Type {
	case transport.OpenChannel:
	case transport.ServiceMessage, transport.CloseChannel:
		return nil, fail(ua.StatusBadTCPSecureChannelUnknown, "no channel is open")
	case transport.Err:
		return nil, transport.ParseError(chunk[transport.HeaderSize:])
	default:
		return nil, fail(ua.StatusBadTCPMessageTypeInvalid, "the first message after the hello must be an open request")
	}
	open, err := parseOpenHeader(chunk)
	if err != nil {
		return nil, err
	}
	if open.channel != 0 {
		return nil, fail(ua.StatusBadTCPSecureChannelUnknown, "channels are not resumed on another connection")
	}
	identity := s.cfg.Identity()
	a, peer, err := s.authorize(ctx, open, conn, identity)
	if err != nil {
		return nil, err
	}
	c := newChannel(conn, false, identity, a, peer)
	inside, err := s.decrypt(ctx, a, chunk, open)
	if err != nil {
		return nil, err
	}
	c.received.accept(inside.sequence)
	return c, s.issue(ctx, c, inside)
}

// authorize checks the policy and certificate in the clear part of an open request.
func (s *Server) authorize(
	ctx context.Context, open openHeader, conn *transport.Conn, own Identity,
) (*asymmetric, Peer, error) {
	p, ok := policyOf(open.policy)
	if !ok || !slices.ContainsFunc(s.cfg.Security, func(o Security) bool { return o.Policy == p.uri }) {
		return nil, Peer{}, fail(ua.StatusBadSecurityPolicyRejected, "policy is not offered")
	}
	peer := Peer{Security: Security{Policy: p.uri}, Address: conn.RemoteIP(), EndpointURL: conn.EndpointURL()}
	if p.none() {
		a, err := newAsymmetric(p, nil, nil)
		return a, peer, err
	}
	if !sameBytes(open.thumbprint, Thumbprint(own.Certificate)) {
		return nil, Peer{}, fail(ua.StatusBadCertificateInvalid, "request is encrypted for another certificate")
	}
	var err error
	if peer.Chain, err = ParseChain(open.certificate); err != nil {
		return nil, Peer{}, err
	}
	peer.Certificate = append([]byte(nil), open.certificate...)
	key, err := publicKey(peer.Chain[0])
	if err != nil {
		return nil, Peer{}, err
	}
	if err := s.cfg.Authorize(ctx, peer); err != nil {
		return nil, Peer{}, err
	}
	a, err := newAsymmetric(p, own.Key, key)
	return a, peer, err
}

// decrypt opens an OPN chunk; the number of concurrent decryptions is bounded.
func (s *Server) decrypt(ctx context.Context, a *asymmetric, chunk []byte, h openHeader) (secured, error) {
	select {
	case s.crypto <- struct{}{}:
		defer func() { <-s.crypto }()
		return a.openOpen(chunk, h)
	case <-ctx.Done():
		return secured{}, ctx.Err()
	}
}

// issue gives a new channel its number and first token.
func (s *Server) issue(ctx context.Context, c *Channel, inside secured) error {
	req, err := parseOpenRequest(inside.body)
	if err != nil {
		return err
	}
	if req.renew {
		return fail(ua.StatusBadTCPSecureChannelUnknown, "no channel is open to renew")
	}
	c.peer.Mode = req.mode
	if !slices.Contains(s.cfg.Security, c.peer.Security) {
		return fail(ua.StatusBadSecurityModeRejected, "mode is not offered with this policy")
	}
	c.id = s.newID()
	limit := newRenewLimit(s.cfg.MinLifetime)
	nonce := []byte(nil)
	answer := func(req openRequest, request uint32) error {
		if !c.policy.none() && (len(req.nonce) != nonceSize || sameBytes(req.nonce, nonce)) {
			return fail(ua.StatusBadNonceInvalid, "nonce is not 32 fresh bytes")
		}
		nonce = req.nonce
		return s.answer(c, req, request)
	}
	c.open = func(_ openHeader, in secured) error {
		req, err := parseOpenRequest(in.body)
		switch {
		case err != nil:
			return err
		case !req.renew || req.mode != c.peer.Mode:
			return errSecurity()
		case !limit.allow(time.Now()):
			return fail(ua.StatusBadTCPServerTooBusy, "tokens are renewed too often")
		}
		return answer(req, in.request)
	}
	if err := answer(req, inside.request); err != nil {
		s.Forget(c)
		return err
	}
	return nil
}

func (s *Server) answer(c *Channel, req openRequest, request uint32) error {
	var number uint32 = 1
	if last := c.tokens.newest(); last != nil {
		number = last.id + 1
	}
	var nonce []byte
	if !c.policy.none() {
		nonce = Nonce()
	}
	lifetime := min(max(req.lifetime, s.cfg.MinLifetime), s.cfg.MaxLifetime)
	k, err := c.newToken(number, lifetime, nonce, req.nonce)
	if err != nil {
		return err
	}
	body := openResponse{
		handle: req.handle, channel: c.id, token: number, created: k.created, lifetime: lifetime, nonce: nonce,
	}.encode()
	c.tokens.add(k) // before the client can use it
	return c.sendOpen(c.id, request, body)
}

func (s *Server) newID() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		var b [4]byte
		_, _ = rand.Read(b[:])
		n := binary.LittleEndian.Uint32(b[:])
		if _, taken := s.ids[n]; n != 0 && !taken {
			s.ids[n] = struct{}{}
			return n
		}
	}
}

// Forget releases the number of a channel that has ended.
func (s *Server) Forget(c *Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ids, c.id)
}
