package server

import (
	"errors"
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
)

func TestEveryPolicyAndUser(t *testing.T) {
	s, url, ours, theirs := pair(t, nil)
	s.Set(named("taga0"), dataValue(t, uint32(42)))
	certificate, key := person(t, "joe")
	trust(t, ours, certificate, true)
	users := map[string]client.User{
		"anonymous": {}, "password": {Name: "joe", Password: "secret"},
		"certificate": {Certificate: certificate.Raw, Key: key},
	}
	for _, security := range secured {
		for name, user := range users {
			t.Run(security.Policy[len(ua.SecurityPolicyURIPrefix):]+"/"+security.Mode.String()+"/"+name,
				func(t *testing.T) {
					c, err := connect(t, url, security, theirs, user)
					if err != nil {
						t.Fatal(err)
					}
					var got uint32
					err = c.Read(t.Context(), []client.ReadItem{{Node: named("taga0"), Attribute: ua.AttributeIDValue}},
						0, func(_ int, dv rawvalue.DataValue) { got = number(dv) })
					if err != nil || got != 42 {
						t.Errorf("read %d, %v; want 42", got, err)
					}
				})
		}
	}
}

func TestRefusedUsersAndApplications(t *testing.T) {
	_, url, _, theirs := pair(t, func(c *Config) { c.Anonymous = false })
	stranger := store(t, "urn:test:stranger")
	trust(t, stranger, theirs.List("trusted")[0].Certificate, false)
	unknown, key := person(t, "mallory")
	for name, c := range map[string]struct {
		security channel.Security
		user     client.User
		stranger bool
		want     ua.StatusCode
	}{
		"anonymous": {secured[1], client.User{}, false, ua.StatusBadIdentityTokenRejected},
		"wrong password": {secured[1], client.User{Name: "joe", Password: "guess"}, false,
			ua.StatusBadUserAccessDenied},
		"unknown user": {secured[3], client.User{Name: "mallory", Password: "secret"}, false,
			ua.StatusBadUserAccessDenied},
		"certificate anonymous trusts": {secured[1], client.User{Certificate: unknown.Raw, Key: key}, false,
			ua.StatusBadIdentityTokenRejected},
		"application anonymous trusts": {secured[1], client.User{Name: "joe", Password: "secret"}, true,
			ua.StatusBadSecurityChecksFailed},
		"a policy that is not offered": {plain, client.User{}, false, ua.StatusBadSecurityPolicyRejected},
	} {
		t.Run(name, func(t *testing.T) {
			st := theirs
			if c.stranger {
				st = stranger
			}
			_, err := connect(t, url, c.security, st, c.user)
			if !errors.Is(err, c.want) && channel.Code(err) != c.want {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestServicesNeedAnActivatedSessionOnItsChannel(t *testing.T) {
	_, url := start(t, nil)
	mine, token := newSession(t, url)
	other := open(t, url)
	fresh, _ := create(t, other)
	for name, c := range map[string]struct {
		channel *channel.Client
		token   *ua.NodeID
		want    ua.StatusCode
	}{
		"no token": {mine, nil, ua.StatusBadSessionIDInvalid},
		"an invented token": {mine, ua.NewByteStringNodeID(0, make([]byte, tokenSize)),
			ua.StatusBadSessionIDInvalid},
		"another client's token":  {other, token, ua.StatusBadSecureChannelIDInvalid},
		"a session not activated": {other, fresh.AuthenticationToken, ua.StatusBadSessionNotActivated},
		"its own":                 {mine, token, ua.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			for _, req := range []any{
				readRequest(c.token, stateItem()),
				&ua.CreateSubscriptionRequest{RequestHeader: header(c.token), RequestedPublishingInterval: 100},
				&ua.CancelRequest{RequestHeader: header(c.token)},
			} {
				_, code := ask(t, c.channel, req)
				if code != c.want &&
					!(c.want == ua.StatusBadSessionNotActivated && code == ua.StatusBadSessionIDInvalid) {
					t.Errorf("%T: %v, want %v", req, code, c.want)
				}
			}
		})
	}
	if code := activate(t, other, fresh.AuthenticationToken); code != ua.StatusBadSessionIDInvalid {
		t.Errorf("a session that was used before its activation is activated: %v", code)
	}
}

func TestASessionMovesToAnotherChannelWithItsUserOnly(t *testing.T) {
	s, url := start(t, nil)
	first, token := newSession(t, url)
	second := open(t, url)
	if code := activate(t, second, token); code != ua.StatusOK {
		t.Fatalf("the same user on another channel: %v", code)
	}
	if _, code := ask(t, first, readRequest(token, stateItem())); code != ua.StatusBadSecureChannelIDInvalid {
		t.Errorf("the channel that it left: %v", code)
	}
	if _, code := ask(t, second, readRequest(token, stateItem())); code != ua.StatusOK {
		t.Errorf("the channel that it came to: %v", code)
	}
	if n := s.sessions.count(); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
}

func TestClosedSessionsAreRemoved(t *testing.T) {
	s, url := start(t, nil)
	c, token := newSession(t, url)
	if _, code := ask(t, c, &ua.CloseSessionRequest{RequestHeader: header(token)}); code != ua.StatusOK {
		t.Fatal(code)
	}
	if _, code := ask(t, c, readRequest(token, stateItem())); code != ua.StatusBadSessionIDInvalid ||
		s.sessions.count() != 0 {
		t.Errorf("after CloseSession: %v, %d sessions", code, s.sessions.count())
	}
}
