package server

import (
	"context"
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/opcua/transport"
)

// party is a client application with its channel to a server, and the state of the
// session it made there.
type party struct {
	*channel.Client
	store  *pki.Store
	server []byte // its certificate
	token  *ua.NodeID
	nonce  []byte // the server's last one
}

var strongest = secured[3]

func enter(t *testing.T, url string, st *pki.Store, server []byte) *party {
	t.Helper()
	p := &party{store: st, server: server}
	conn, err := (&transport.Dialer{}).Dial(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	p.Client, err = channel.Open(t.Context(), conn, channel.ClientConfig{
		Security: strongest, Identity: channel.Identity{Certificate: st.Own().Chain, Key: st.Own().Key},
		ServerCertificate: server,
		Authorize:         func(context.Context, channel.Peer) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func (p *party) create(t *testing.T) {
	t.Helper()
	own := p.store.Own()
	resp, code := ask(t, p.Client, &ua.CreateSessionRequest{
		RequestHeader: header(nil), ClientNonce: channel.Nonce(), ClientCertificate: own.Chain,
		RequestedSessionTimeout: 3_600_000,
		ClientDescription: &ua.ApplicationDescription{ApplicationURI: own.Certificate.URIs[0].String(),
			ApplicationName: ua.NewLocalizedText("")},
	})
	if code != ua.StatusOK {
		t.Fatal(code)
	}
	made := resp.(*ua.CreateSessionResponse)
	p.token, p.nonce = made.AuthenticationToken, made.ServerNonce
}

// activation is a request to activate a session, signed by this party.
func (p *party) activation(t *testing.T, token *ua.NodeID, nonce []byte, user any) *ua.ActivateSessionRequest {
	t.Helper()
	signature, err := channel.Sign(strongest.Policy, p.store.Own().Key, p.server, nonce)
	if err != nil {
		t.Fatal(err)
	}
	return &ua.ActivateSessionRequest{RequestHeader: header(token), ClientSignature: signature,
		UserTokenSignature: &ua.SignatureData{}, UserIdentityToken: ua.NewExtensionObject(user)}
}

func (p *party) activate(t *testing.T, req *ua.ActivateSessionRequest) ua.StatusCode {
	t.Helper()
	resp, code := ask(t, p.Client, req)
	if code == ua.StatusOK {
		p.nonce = resp.(*ua.ActivateSessionResponse).ServerNonce
	}
	return code
}

// password is a user's token, encrypted for the server.
func (p *party) password(t *testing.T, name, password string, nonce []byte) *ua.UserNameIdentityToken {
	t.Helper()
	algorithm, secret, err := channel.EncryptPassword(strongest.Policy, p.server, nonce, []byte(password))
	if err != nil {
		t.Fatal(err)
	}
	return &ua.UserNameIdentityToken{PolicyID: policyUserName, UserName: name, Password: secret,
		EncryptionAlgorithm: algorithm}
}

var anonymous = &ua.AnonymousIdentityToken{PolicyID: policyAnonymous}

// Messages and secrets that were recorded are refused on another client's channel, and
// nothing a second time.
func TestReplaysAreRefused(t *testing.T) {
	s, url, theirs := pair(t, nil)
	ours := s.cfg.Store
	thief := store(t, "urn:test:thief") // an application that is trusted, too
	trust(t, ours, thief.Own().Certificate, false)
	server := ours.Own().Chain
	joe := enter(t, url, theirs, server)
	joe.create(t)
	first := joe.nonce
	opening := joe.activation(t, joe.token, joe.nonce, joe.password(t, "joe", "secret", joe.nonce))
	if code := joe.activate(t, opening); code != ua.StatusOK {
		t.Fatal(code)
	}
	other, again := enter(t, url, thief, server), enter(t, url, theirs, server)
	for name, c := range map[string]struct {
		from *party
		req  any
		want ua.StatusCode
	}{
		"the token on another channel": {other, readRequest(joe.token, stateItem()),
			ua.StatusBadSecureChannelIDInvalid},
		"the token where there is no security": {&party{Client: open(t, url)},
			readRequest(joe.token, stateItem()), ua.StatusBadSecureChannelIDInvalid},
		"closing another's session": {other,
			&ua.CloseSessionRequest{RequestHeader: header(joe.token), DeleteSubscriptions: true},
			ua.StatusBadSessionIDInvalid},
		"another application takes the session": {other, other.activation(t, joe.token, joe.nonce, anonymous),
			ua.StatusBadSecureChannelIDInvalid},
		"the activation played again":              {joe, opening, ua.StatusBadApplicationSignatureInvalid},
		"the activation played on another channel": {again, opening, ua.StatusBadApplicationSignatureInvalid},
		"a signature over a nonce from before": {joe, joe.activation(t, joe.token, first, anonymous),
			ua.StatusBadApplicationSignatureInvalid},
		"a password that was encrypted for it": {joe,
			joe.activation(t, joe.token, joe.nonce, joe.password(t, "joe", "secret", first)),
			ua.StatusBadUserAccessDenied},
		"the same application without its user": {again, again.activation(t, joe.token, joe.nonce, anonymous),
			ua.StatusBadIdentityTokenRejected},
		"an invented token": {joe,
			readRequest(ua.NewByteStringNodeID(0, make([]byte, tokenSize)), stateItem()), ua.StatusBadSessionIDInvalid},
		"a token that is a number, as others give them": {joe, readRequest(ua.NewNumericNodeID(0, 1), stateItem()),
			ua.StatusBadSessionIDInvalid},
	} {
		if _, code := ask(t, c.from.Client, c.req); code != c.want {
			t.Errorf("%s: got %v, want %v", name, code, c.want)
		}
	}
	if _, code := ask(t, joe.Client, readRequest(joe.token, stateItem())); code != ua.StatusOK {
		t.Errorf("joe's own session: got %v, want Good", code)
	}
}

// The server uses no nonce and no token twice.
func TestNoncesAndTokensAreUnique(t *testing.T) {
	s, url, theirs := pair(t, nil)
	ours := s.cfg.Store
	joe := enter(t, url, theirs, ours.Own().Chain)
	seen := map[string]bool{}
	fresh := func(what string, b []byte) {
		if seen[string(b)] || len(b) < 32 {
			t.Errorf("%s %x is not 32 fresh bytes", what, b)
		}
		seen[string(b)] = true
	}
	for range 5 {
		joe.create(t)
		fresh("nonce", joe.nonce)
		fresh("token", []byte(joe.token.StringID()))
		for range 5 {
			if code := joe.activate(t, joe.activation(t, joe.token, joe.nonce, anonymous)); code != ua.StatusOK {
				t.Fatal(code)
			}
			fresh("nonce", joe.nonce)
		}
	}
}
