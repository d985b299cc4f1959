package server

import (
	"errors"
	"testing"
	"time"

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

func TestPolicyNoneServesDiscoveryAlone(t *testing.T) {
	_, url, _, _ := pair(t, nil)
	c := open(t, url)
	resp, code := ask(t, c,
		&ua.GetEndpointsRequest{RequestHeader: header(nil), EndpointURL: "opc.tcp://mirror.example:4840/x"})
	if code != ua.StatusOK || len(resp.(*ua.GetEndpointsResponse).Endpoints) != len(secured) {
		t.Errorf("GetEndpoints: %v %v, want %d endpoints", code, resp, len(secured))
	}
	if _, code := create(t, c); code != ua.StatusBadSecurityPolicyRejected {
		t.Errorf("CreateSession: %v, want Bad_SecurityPolicyRejected", code)
	}
}

func TestEndpointsNameTheHostThatTheClientUsed(t *testing.T) {
	s, _ := start(t, func(c *Config) { c.Listen = "opc.tcp://0.0.0.0:0" })
	port := s.port()
	for asked, want := range map[string]string{
		"opc.tcp://mirror.example:1/y": "opc.tcp://mirror.example:" + port,
		"opc.tcp://[::1]:4840":         "opc.tcp://[::1]:" + port,
		"":                             "opc.tcp://0.0.0.0:0",
	} {
		if got := s.endpoints(asked, nil)[0].EndpointURL; got != want {
			t.Errorf("a client that asked %q gets %q, want %q", asked, got, want)
		}
	}
	if got := s.endpoints("opc.tcp://x", []string{"http://example/other-profile"}); len(got) != 0 {
		t.Errorf("%d endpoints of another profile", len(got))
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

func TestUnactivatedSessionsAreEvicted(t *testing.T) {
	s, url := start(t, nil)
	newSession(t, url)
	attacker := open(t, url)
	for range 3 * maxUnactivated {
		create(t, attacker)
	}
	if n := s.sessions.count(); n > maxUnactivated+2 {
		t.Errorf("%d sessions are kept", n)
	}
	c, mine := newSession(t, url)
	if _, code := ask(t, c, readRequest(mine, stateItem())); code != ua.StatusOK {
		t.Errorf("a new client: %v", code)
	}
}

func TestSessionsAreLimited(t *testing.T) {
	_, url := start(t, func(c *Config) { c.Limits.Sessions, c.Limits.SessionsPerAddress = 3, 2 })
	newSession(t, url)
	newSession(t, url)
	c := open(t, url)
	if _, code := create(t, c); code != ua.StatusBadTooManySessions {
		t.Errorf("the third session of an address: %v", code)
	}
}

func TestIdleSessionsExpire(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	ss := newSessions(Limits{Sessions: 10, SessionsPerAddress: 10})
	quiet := &session{token: "q", timeout: time.Minute, active: true, lastContact: now, created: now,
		conn: &conn{activeSessions: 2}}
	idle := &session{token: "i", timeout: time.Hour, created: now}
	ss.add(quiet)
	ss.add(idle)
	if gone := ss.expire(now.Add(20 * time.Second)); len(gone) != 0 {
		t.Errorf("%d sessions ended early", len(gone))
	}
	if gone := ss.expire(now.Add(40 * time.Second)); len(gone) != 1 || gone[0] != idle {
		t.Error("a session that anonymous activated lives on")
	}
	if gone := ss.expire(now.Add(61 * time.Second)); len(gone) != 1 || gone[0] != quiet {
		t.Error("a silent session lives on")
	}
}

func TestCloseSessionsAndReopen(t *testing.T) {
	s, url := start(t, nil)
	c, _ := newSession(t, url)
	s.CloseSessions(ua.StatusBadSessionClosed)
	select {
	case <-c.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("a channel stays open")
	}
	again := open(t, url)
	if _, code := create(t, again); code != ua.StatusBadServerHalted {
		t.Errorf("a session while the address space is replaced: %v", code)
	}
	s.Reopen()
	newSession(t, url)
	if n := s.sessions.count(); n != 1 {
		t.Errorf("%d sessions, want the new one", n)
	}
}

func TestUntrustedChannelsAreClosed(t *testing.T) {
	s, url, ours, theirs := pair(t, nil)
	c, err := connect(t, url, secured[1], theirs, client.User{})
	if err != nil {
		t.Fatal(err)
	}
	s.CheckTrust()
	if c.Err() != nil {
		t.Fatalf("a trusted client was sent away: %v", c.Err())
	}
	if _, err := ours.Distrust(ours.List("trusted")[0].Thumbprint); err != nil {
		t.Fatal(err)
	}
	s.CheckTrust()
	select {
	case <-c.Done():
	case <-time.After(10 * time.Second):
		t.Error("a client that is not trusted any more stays")
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
