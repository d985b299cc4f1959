package client

import (
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
)

func TestUserIsIdentifiedByTheEndpointsPolicy(t *testing.T) {
	other := applications().other
	for name, test := range map[string]struct {
		user  User
		check func(t *testing.T, s *secured)
	}{
		"anonymous": {User{}, func(t *testing.T, s *secured) {
			token := s.activated.UserIdentityToken.Value.(*ua.AnonymousIdentityToken)
			if got := token.PolicyID; got != "anyone" {
				t.Errorf("got policy %q, want anyone", got)
			}
		}},
		"the password is encrypted though the channel is": {User{Name: "ot", Password: "secret"},
			func(t *testing.T, s *secured) {
				k := s.activated.UserIdentityToken.Value.(*ua.UserNameIdentityToken)
				got, err := channel.DecryptPassword(ua.SecurityPolicyURIBasic256Sha256, s.own.Key,
					s.nonce,
					k.EncryptionAlgorithm, k.Password)
				if err != nil || string(got) != "secret" || k.UserName != "ot" || k.PolicyID != "name" {
					t.Errorf("got %+v, %q, %v", k, got, err)
				}
			}},
		"a certificate is proved": {User{Certificate: other.Chain, Key: other.Key},
			func(t *testing.T, s *secured) {
				k := s.activated.UserIdentityToken.Value.(*ua.X509IdentityToken)
				err := channel.Verify(ua.SecurityPolicyURIAes256Sha256RsaPss, k.CertificateData,
					s.own.Chain,
					s.nonce, s.activated.UserTokenSignature, ua.StatusBadUserSignatureInvalid)
				if err != nil || k.PolicyID != "card" {
					t.Errorf("got %v, policy %q", err, k.PolicyID)
				}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSecured(t)
			c := s.config()
			c.User = test.user
			session, err := Connect(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			session.Close()
			test.check(t, s)
		})
	}
}

func TestAPasswordIsNotSentInTheClearUnasked(t *testing.T) {
	own := applications().server
	name := func(policy string) *ua.EndpointDescription {
		e := endpoints(own)[0]
		e.UserIdentityTokens = []*ua.UserTokenPolicy{{PolicyID: "p", TokenType: ua.UserTokenTypeUserName,
			SecurityPolicyURI: policy}}
		return e
	}
	none, encrypted := ua.SecurityPolicyURINone, ua.SecurityPolicyURIBasic256Sha256
	for _, test := range []struct {
		name, channel, token string
		mode                 ua.MessageSecurityMode
		clear, want          bool
	}{
		{"in the clear, over None", none, none, ua.MessageSecurityModeNone, false, false},
		{"in the clear, signed", encrypted, none, ua.MessageSecurityModeSign, false, false},
		{"in the clear, within encryption", encrypted, none, ua.MessageSecurityModeSignAndEncrypt, false, true},
		{"encrypted with an unknown policy", none, encrypted, ua.MessageSecurityModeNone, false, false},
		{"in the clear, as allowed", none, none, ua.MessageSecurityModeNone, true, true},
	} {
		c := Config{Policy: test.channel, Mode: test.mode,
			User: User{Name: "ot", Password: "secret", ClearPassword: test.clear}}
		_, _, err := c.userToken(name(test.token), channel.Nonce())
		if (err == nil) != test.want {
			t.Errorf("%s: got %v, want it sent: %v", test.name, err, test.want)
		}
	}
}
