package server

import (
	"testing"

	"github.com/gopcua/opcua/ua"

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

func TestClosingOneOfTwoSessionsLeavesTheOther(t *testing.T) {
	_, url := start(t, nil)
	c, first := newSession(t, url)
	made, _ := create(t, c)
	if code := activate(t, c, made.AuthenticationToken); code != ua.StatusOK {
		t.Fatal(code)
	}
	large := readRequest(made.AuthenticationToken)
	for range 5000 {
		large.NodesToRead = append(large.NodesToRead,
			&ua.ReadValueID{NodeID: named("taga0").UA(), AttributeID: ua.AttributeIDNodeClass,
				DataEncoding: &ua.QualifiedName{}})
	}
	if _, code := ask(t, c, &ua.CloseSessionRequest{RequestHeader: header(first)}); code != ua.StatusOK {
		t.Fatal(code)
	}
	if _, code := ask(t, c, large); code != ua.StatusOK {
		t.Errorf("a large request of the other session: got %v, want Good", code)
	}
	if _, code := ask(t, c,
		&ua.CloseSessionRequest{RequestHeader: header(made.AuthenticationToken)}); code != ua.StatusOK {
		t.Fatal(code)
	}
	if _, code := ask(t, c, large); code == ua.StatusBadSessionIDInvalid || code == ua.StatusOK {
		t.Errorf("a large request without any session was taken in: %v", code)
	}
}

func TestSessionsOfUntrustedUsersAreClosed(t *testing.T) {
	s, url, ours, theirs := pair(t, nil)
	certificate, key := person(t, "joe")
	trusted, err := ours.TrustCertificate(certificate, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, url, secured[1], theirs, client.User{Certificate: certificate.Raw, Key: key}); err != nil {
		t.Fatal(err)
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
