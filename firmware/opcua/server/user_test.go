package server

import (
	"crypto/rand"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/client"
)

func TestTokensOfPoliciesThatAreNotOffered(t *testing.T) {
	_, url := start(t, nil)
	for name, token := range map[string]any{
		"anonymous":   &ua.AnonymousIdentityToken{PolicyID: "x"},
		"user name":   &ua.UserNameIdentityToken{PolicyID: policyAnonymous, UserName: "joe"},
		"certificate": &ua.X509IdentityToken{PolicyID: policyUserName},
	} {
		c := open(t, url)
		made, _ := create(t, c)
		_, code := ask(t, c, &ua.ActivateSessionRequest{
			RequestHeader: header(made.AuthenticationToken), ClientSignature: &ua.SignatureData{},
			UserTokenSignature: &ua.SignatureData{}, UserIdentityToken: ua.NewExtensionObject(token),
		})
		if code != ua.StatusBadIdentityTokenInvalid {
			t.Errorf("%s: got %v, want Bad_IdentityTokenInvalid", name, code)
		}
	}
}

func TestSessionsOfUntrustedUsersAreClosed(t *testing.T) {
	s, url, theirs := pair(t, nil)
	ours := s.cfg.Store
	certificate, key := person(t, "joe")
	trusted, err := ours.TrustCertificate(certificate, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, url, secured[1], theirs, client.User{Certificate: certificate.Raw, Key: key}); err != nil {
		t.Fatal(err)
	}
	if c := s.Clients(); len(c) != 1 || c[0].User != "joe" {
		t.Errorf("clients: got %+v, want the name in joe's certificate", c)
	}
	s.CheckTrust()
	if n := s.sessions.count(); n != 1 {
		t.Fatalf("a trusted user: %d sessions, want 1", n)
	}
	if _, err := ours.Distrust(trusted.Thumbprint); err != nil {
		t.Fatal(err)
	}
	s.CheckTrust()
	if n := s.sessions.count(); n != 0 {
		t.Errorf("a user who is not trusted: %d sessions, want 0", n)
	}
}

// No oracle: a client cannot learn what is wrong with a password token, neither from the
// answer nor from how long it takes. Each costs the check of a password.
func TestPasswordFailuresAreIndistinguishable(t *testing.T) {
	var checked atomic.Int64
	s, url, theirs := pair(t, func(c *Config) {
		c.Password = func(name, password string, _ netip.Addr) bool {
			checked.Add(1)
			return name == "joe" && password == "secret"
		}
	})
	ours := s.cfg.Store
	joe := enter(t, url, theirs, ours.Own().Chain)
	joe.create(t)
	broken := func(change func(b []byte) []byte) func(nonce []byte) *ua.UserNameIdentityToken {
		return func(nonce []byte) *ua.UserNameIdentityToken {
			token := joe.password(t, "joe", "secret", nonce)
			token.Password = change(token.Password)
			return token
		}
	}
	garbage := make([]byte, 256)
	_, _ = rand.Read(garbage)
	for name, token := range map[string]func(nonce []byte) *ua.UserNameIdentityToken{
		"wrong password": func(nonce []byte) *ua.UserNameIdentityToken {
			return joe.password(t, "joe", "guess",
				nonce)
		},
		"unknown user": func(nonce []byte) *ua.UserNameIdentityToken {
			return joe.password(t, "mallory", "secret",
				nonce)
		},
		"another nonce": func([]byte) *ua.UserNameIdentityToken {
			return joe.password(t, "joe", "secret",
				channel.Nonce())
		},
		"no nonce":          func([]byte) *ua.UserNameIdentityToken { return joe.password(t, "joe", "secret", nil) },
		"garbage":           broken(func([]byte) []byte { garbage[0] = 0; return garbage }),
		"above the modulus": broken(func(b []byte) []byte { return append([]byte{0xff, 0xff, 0xff, 0xff}, b[4:]...) }),
		"a flipped bit":     broken(func(b []byte) []byte { b[100] ^= 1; return b }),
		"zeros":             broken(func(b []byte) []byte { return make([]byte, len(b)) }),
		"cut short":         broken(func(b []byte) []byte { return b[:len(b)-1] }),
		"two blocks":        broken(func(b []byte) []byte { return append(b, garbage...) }),
		"another's scheme": func(nonce []byte) *ua.UserNameIdentityToken {
			token := joe.password(t, "joe", "secret", nonce)
			token.EncryptionAlgorithm = "http://www.w3.org/2001/04/xmlenc#rsa-1_5"
			return token
		},
	} {
		before := checked.Load()
		if code := joe.activate(t,
			joe.activation(t, joe.token, joe.nonce, token(joe.nonce))); code != ua.StatusBadUserAccessDenied {
			t.Errorf("%s: got %v, want Bad_UserAccessDenied", name, code)
		}
		if n := checked.Load() - before; n != 1 {
			t.Errorf("%s: %d passwords were checked, want 1", name, n)
		}
	}
	if code := joe.activate(t,
		joe.activation(t, joe.token, joe.nonce, joe.password(t, "joe", "secret", joe.nonce))); code != ua.StatusOK {
		t.Errorf("the right one: got %v, want Good", code)
	}
}

func TestSessionsOfRemovedUsersAreClosed(t *testing.T) {
	var known atomic.Bool
	known.Store(true)
	s, url, theirs := pair(t,
		func(c *Config) { c.Known = func(name string) bool { return name == "joe" && known.Load() } })
	if _, err := connect(t, url, secured[1], theirs, client.User{Name: "joe", Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, url, secured[1], theirs, client.User{}); err != nil {
		t.Fatal(err)
	}
	s.checkUsers()
	if n := s.sessions.count(); n != 2 {
		t.Fatalf("%d sessions, want joe's and the anonymous one", n)
	}
	users := map[string]bool{}
	for _, c := range s.Clients() {
		if users[c.User] = true; !c.Address.IsLoopback() || c.Application != "test" || c.Since.IsZero() {
			t.Errorf("client: got %+v", c)
		}
	}
	if len(users) != 2 || !users["joe"] || !users["anonymous"] {
		t.Errorf("clients: got users %v, want joe and anonymous", users)
	}
	known.Store(false)
	await.True(t, "joe's session ends", func() bool { return s.sessions.count() == 1 })
}
