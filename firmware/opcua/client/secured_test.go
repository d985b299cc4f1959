package client

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/pki"
)

// applications are certificate stores of the server, of us (who trust the server), and
// of somebody else; made once, since keys are slow.
var applications = sync.OnceValue(func() (a struct{ server, us, other *pki.Own }) {
	for _, made := range []struct {
		to  **pki.Own
		uri string
	}{{&a.server, "urn:plc"}, {&a.us, "urn:us"}, {&a.other, "urn:plc"}} {
		dir, err := os.MkdirTemp("", "pki")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		s, err := pki.Open(pki.Config{Directory: dir,
			Application: pki.Application{URI: made.uri, Name: "test", Hosts: []string{"plc"}}})
		if err != nil {
			panic(err)
		}
		*made.to = s.Own()
	}
	return a
})

// secured is a fake with encryption and users, of which a test changes what it says.
type secured struct {
	*fake
	own       *pki.Own
	discovery []*ua.EndpointDescription
	created   func(*ua.CreateSessionResponse)
	nonce     []byte
	activated *ua.ActivateSessionRequest
}

func newSecured(t *testing.T) *secured {
	own := applications().server
	identity := channel.Identity{Certificate: own.Chain, Key: own.Key}
	var security []channel.Security
	for _, p := range []string{ua.SecurityPolicyURINone, ua.SecurityPolicyURIBasic256Sha256} {
		security = append(security, channel.Security{Policy: p, Mode: ua.MessageSecurityModeSignAndEncrypt})
	}
	security[0].Mode = ua.MessageSecurityModeNone
	s := &secured{own: own, created: func(*ua.CreateSessionResponse) {}, discovery: endpoints(own)}
	s.fake = startFake(t, &channel.ServerConfig{Identity: func() channel.Identity { return identity },
		Security:  security,
		Authorize: func(context.Context, channel.Peer) error { return nil }})
	s.on(id.GetEndpointsRequest_Encoding_DefaultBinary, func(call) ([]byte, ua.StatusCode) {
		return s.Encode(&ua.GetEndpointsResponse{Endpoints: s.discovery}), 0
	})
	s.on(id.CreateSessionRequest_Encoding_DefaultBinary, s.create)
	s.on(id.ActivateSessionRequest_Encoding_DefaultBinary, s.activate)
	return s
}

func endpoints(own *pki.Own) []*ua.EndpointDescription {
	return []*ua.EndpointDescription{{
		EndpointURL: "opc.tcp://plc:4840", SecurityPolicyURI: ua.SecurityPolicyURIBasic256Sha256,
		SecurityMode: ua.MessageSecurityModeSignAndEncrypt,
		Server: &ua.ApplicationDescription{ApplicationURI: "urn:plc",
			ApplicationName: ua.NewLocalizedText("plc")},
		ServerCertificate: own.Chain,
		UserIdentityTokens: []*ua.UserTokenPolicy{
			{PolicyID: "anyone", TokenType: ua.UserTokenTypeAnonymous},
			{PolicyID: "weak", TokenType: ua.UserTokenTypeUserName,
				SecurityPolicyURI: ua.SecurityPolicyURINone},
			{PolicyID: "name", TokenType: ua.UserTokenTypeUserName},
			{PolicyID: "card", TokenType: ua.UserTokenTypeCertificate,
				SecurityPolicyURI: ua.SecurityPolicyURIAes256Sha256RsaPss},
		},
	}}
}

func (s *secured) create(c call) ([]byte, ua.StatusCode) {
	v, err := channel.Decode(c.Body)
	if err != nil {
		s.t.Error(err)
		return nil, ua.StatusBadDecodingError
	}
	req := v.(*ua.CreateSessionRequest)
	proof, err := channel.Sign(ua.SecurityPolicyURIBasic256Sha256, s.own.Key, req.ClientCertificate,
		req.ClientNonce)
	if err != nil {
		s.t.Error(err)
	}
	s.nonce = channel.Nonce()
	list := endpoints(s.own)
	list[0].ServerCertificate = nil
	resp := &ua.CreateSessionResponse{
		SessionID: ua.NewNumericNodeID(1, 7), AuthenticationToken: ua.NewNumericNodeID(0, 99),
		RevisedSessionTimeout: 60000,
		ServerNonce:           s.nonce, ServerCertificate: s.own.Chain, ServerSignature: proof,
		ServerEndpoints: list,
	}
	s.created(resp)
	return s.Encode(resp), 0
}

func (s *secured) activate(c call) ([]byte, ua.StatusCode) {
	v, err := channel.Decode(c.Body)
	if err != nil {
		s.t.Error(err)
		return nil, ua.StatusBadDecodingError
	}
	s.activated = v.(*ua.ActivateSessionRequest)
	err = channel.Verify(ua.SecurityPolicyURIBasic256Sha256, applications().us.Chain, s.own.Chain, s.nonce,
		s.activated.ClientSignature, ua.StatusBadApplicationSignatureInvalid)
	if err != nil {
		s.t.Errorf("our signature: %v", err)
	}
	return s.Encode(&ua.ActivateSessionResponse{ServerNonce: channel.Nonce()}), 0
}

// config is that of a client which trusts the server.
func (s *secured) config() Config {
	c := s.fake.config()
	c.Policy, c.Mode, c.Store = "Basic256Sha256", ua.MessageSecurityModeSignAndEncrypt, ourStore(s.t, s.own)
	return c
}

func ourStore(t *testing.T, trusted *pki.Own) *pki.Store {
	t.Helper()
	dir := t.TempDir()
	saveOwn(t, dir, applications().us)
	s, err := pki.Open(pki.Config{Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.TrustCertificate(trusted.Certificate, false); err != nil {
		t.Fatal(err)
	}
	return s
}

// saveOwn puts a certificate and its key where a store takes them for its own.
func saveOwn(t *testing.T, dir string, own *pki.Own) {
	t.Helper()
	key := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(own.Key)})
	for path, content := range map[string][]byte{"own/certs/us.der": own.Chain, "own/private/us.pem": key} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConnectRefusesAServerThatDoesNotProveItself(t *testing.T) {
	a := applications()
	for name, test := range map[string]struct {
		change  func(*secured)
		trusted *pki.Own
		want    ua.StatusCode
	}{
		"an honest one":                  {func(*secured) {}, a.server, 0},
		"the certificate is not trusted": {func(*secured) {}, a.other, ua.StatusBadCertificateUntrusted},
		"discovery gives another's certificate, which is trusted": {
			func(s *secured) { s.discovery = endpoints(a.other) }, a.other,
			ua.StatusBadSecurityChecksFailed},
		"discovery names another application": {
			func(s *secured) { s.discovery[0].Server.ApplicationURI = "urn:other" }, a.server,
			ua.StatusBadCertificateURIInvalid},
		"the session has another certificate": {func(s *secured) {
			s.created = func(r *ua.CreateSessionResponse) { r.ServerCertificate = a.other.Chain }
		}, a.server, ua.StatusBadSecurityChecksFailed},
		"the session has no certificate": {func(s *secured) {
			s.created = func(r *ua.CreateSessionResponse) { r.ServerCertificate = nil }
		}, a.server, ua.StatusBadSecurityChecksFailed},
		"the signature is another's": {func(s *secured) {
			s.created = func(r *ua.CreateSessionResponse) { r.ServerSignature.Signature[9]++ }
		}, a.server, ua.StatusBadSecurityChecksFailed},
		"there is no signature": {func(s *secured) {
			s.created = func(r *ua.CreateSessionResponse) { r.ServerSignature = &ua.SignatureData{} }
		}, a.server, ua.StatusBadSecurityChecksFailed},
		"the nonce is short": {func(s *secured) {
			s.created = func(r *ua.CreateSessionResponse) { r.ServerNonce = r.ServerNonce[:31] }
		}, a.server, ua.StatusBadSecurityChecksFailed},
		"the session has no endpoints": {func(s *secured) {
			s.created = func(r *ua.CreateSessionResponse) { r.ServerEndpoints = nil }
		}, a.server, ua.StatusBadSecurityChecksFailed},
		"discovery was changed to have the password in the clear": {func(s *secured) {
			s.discovery[0].UserIdentityTokens[2].SecurityPolicyURI = ua.SecurityPolicyURINone
		}, a.server, ua.StatusBadSecurityChecksFailed},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSecured(t)
			test.change(s)
			c := s.config()
			c.Store = ourStore(t, test.trusted)
			session, err := Connect(t.Context(), c)
			if got := codeOf(err); got != test.want {
				t.Errorf("got %v, want %s", err, codeName(test.want))
			}
			if session != nil {
				session.Close()
			} else if s.activated != nil {
				t.Error("got a user's token sent, want none")
			}
			if test.want == ua.StatusBadCertificateUntrusted &&
				!strings.Contains(err.Error(), "neither it nor an issuer of it is trusted") {
				t.Errorf("got %v, want the store's reason", err)
			}
		})
	}
}
