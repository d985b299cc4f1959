package client

import (
	"bytes"
	"context"
	"math"
	"strings"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
)

// Specification constant.
const nonceSize = 32 // OPC 10000-4 §5.7.2: at least

// Connect makes a session: it finds the endpoint, validates the server's certificate,
// opens the channel, creates and activates the session, and reads the server's capabilities.
func Connect(ctx context.Context, cfg Config) (*Session, error) {
	cfg = cfg.withDefaults()
	secured := cfg.Policy != ua.SecurityPolicyURINone
	if secured && (cfg.Store == nil || cfg.Store.Own() == nil) {
		return nil, &Error{Service: "Connect", Code: ua.StatusBadConfigurationError,
			Reason: "a policy other than None needs a certificate store with a certificate of our own"}
	}
	list, err := FindEndpoints(ctx, cfg)
	if err != nil {
		return nil, err
	}
	found, err := cfg.choose(list)
	if err != nil {
		return nil, err
	}
	ch, own, err := cfg.open(ctx, found)
	if err != nil {
		return nil, err
	}
	s := newSession(cfg, newLink(ch, cfg))
	s.endpoint = found
	if err := s.begin(ctx, found, own); err != nil {
		s.finish(err)
		return nil, err
	}
	cfg.Log.Info("session activated", "endpoint", cfg.Endpoint, "server", s.info.ApplicationURI,
		"policy", strings.TrimPrefix(cfg.Policy, ua.SecurityPolicyURIPrefix),
		"mode", strings.TrimPrefix(cfg.Mode.String(), "MessageSecurityMode"))
	return s, nil
}

// open opens the channel for an endpoint, after the store has validated its certificate.
func (c Config) open(ctx context.Context, e *ua.EndpointDescription) (*channel.Client, channel.Identity, error) {
	cfg := channel.ClientConfig{Security: channel.Security{Policy: c.Policy, Mode: c.Mode}}
	if c.Policy != ua.SecurityPolicyURINone {
		own := c.Store.Own()
		cfg.Identity = channel.Identity{Certificate: own.Chain, Key: own.Key}
		cfg.ServerCertificate, cfg.Authorize = e.ServerCertificate, c.authorize(e)
	}
	ch, err := c.dial(ctx, cfg)
	return ch, cfg.Identity, err
}

// begin creates and activates the session and reads the server's capabilities.
func (s *Session) begin(ctx context.Context, found *ua.EndpointDescription, own channel.Identity) error {
	created, err := s.create(ctx, found, own)
	if err != nil {
		return err
	}
	token, signature, err := s.cfg.userToken(found, created.ServerNonce)
	if err != nil {
		return err
	}
	proof, err := channel.Sign(s.cfg.Policy, own.Key, found.ServerCertificate, created.ServerNonce)
	if err != nil {
		return wrapError("ActivateSession", err)
	}
	if _, err = s.call(ctx, activateSession(), &ua.ActivateSessionRequest{
		ClientSignature: proof, UserIdentityToken: ua.NewExtensionObject(token), UserTokenSignature: signature,
	}); err != nil {
		return err
	}
	s.info.ApplicationURI, s.info.ProductURI = found.Server.ApplicationURI, found.Server.ProductURI
	if err := s.readCapabilities(ctx); err != nil {
		return err
	}
	s.keepAliveEvery(revisedTimeout(created.RevisedSessionTimeout))
	return nil
}

func (s *Session) create(ctx context.Context, found *ua.EndpointDescription,
	own channel.Identity) (*ua.CreateSessionResponse, error) {
	nonce := channel.Nonce()
	resp, err := s.call(ctx, createSession(), &ua.CreateSessionRequest{
		ClientDescription: &ua.ApplicationDescription{
			ApplicationURI:  s.cfg.ApplicationURI,
			ApplicationName: ua.NewLocalizedText(s.cfg.ApplicationName),
			ApplicationType: ua.ApplicationTypeClient,
		},
		EndpointURL: s.cfg.Endpoint, SessionName: s.cfg.SessionName, ClientNonce: nonce,
		ClientCertificate:       own.Certificate,
		RequestedSessionTimeout: float64(sessionTimeout.Milliseconds()),
		MaxResponseMessageSize:  s.ch.Conn().Limits().MaxMessage,
	})
	if err != nil {
		return nil, err
	}
	created := resp.(*ua.CreateSessionResponse)
	refused := func(reason string) error {
		return &Error{Service: "CreateSession", Code: ua.StatusBadSecurityChecksFailed, Reason: reason}
	}
	if s.cfg.Policy != ua.SecurityPolicyURINone {
		switch {
		case !bytes.Equal(channel.LeafCertificate(created.ServerCertificate),
			channel.LeafCertificate(found.ServerCertificate)):
			return nil, refused("the session's certificate differs from the channel's")
		case len(created.ServerNonce) < nonceSize:
			return nil, refused("the server's nonce is shorter than 32 bytes")
		}
		if err := channel.Verify(s.cfg.Policy, found.ServerCertificate, own.Certificate, nonce,
			created.ServerSignature, ua.StatusBadApplicationSignatureInvalid); err != nil {
			return nil, refused("the server does not prove that it has its certificate's key")
		}
		if err := confirm(found, created.ServerEndpoints); err != nil {
			return nil, err
		}
	}
	if s.token, err = created.AuthenticationToken.Encode(); err != nil {
		return nil, wrapError("CreateSession", err)
	}
	s.created.Store(true)
	return created, nil
}

func revisedTimeout(milliseconds float64) time.Duration {
	if math.IsNaN(milliseconds) || milliseconds < 1000 || milliseconds > float64(sessionTimeout.Milliseconds()) {
		return sessionTimeout
	}
	return time.Duration(milliseconds) * time.Millisecond
}
