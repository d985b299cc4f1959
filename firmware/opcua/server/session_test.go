package server

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
)

func TestEveryPolicyAndUser(t *testing.T) {
	s, url, theirs := pair(t, nil)
	ours := s.cfg.Store
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
	_, url, theirs := pair(t, func(c *Config) { c.Anonymous = false })
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

// TestRequestsOfASessionThatEndsWhileTheyWaitAreRefused: served, they would give a session that nothing
// ends any more subscriptions, or values to a user who was removed.
func TestRequestsOfASessionThatEndsWhileTheyWaitAreRefused(t *testing.T) {
	var later atomic.Int64
	padded := header(nil)
	padded.AuditEntryID = strings.Repeat("x", smallMessage)
	requests := map[string]struct {
		request ua.Request
		service uint32
	}{
		"CreateSubscription": {&ua.CreateSubscriptionRequest{RequestHeader: padded},
			id.CreateSubscriptionRequest_Encoding_DefaultBinary},
		"TransferSubscriptions": {&ua.TransferSubscriptionsRequest{RequestHeader: padded, SubscriptionIDs: []uint32{1}},
			id.TransferSubscriptionsRequest_Encoding_DefaultBinary},
		"Read": {&ua.ReadRequest{RequestHeader: padded, NodesToRead: readRequest(nil, stateItem()).NodesToRead},
			id.ReadRequest_Encoding_DefaultBinary},
	}
	for how, end := range map[string]func(*testing.T, *Server, string, *ua.NodeID){
		"closed over another connection": func(t *testing.T, _ *Server, url string, token *ua.NodeID) {
			c := open(t, url)
			if code := activate(t, c, token); code != ua.StatusOK {
				t.Fatal(code)
			}
			if _, code := ask(t, c, &ua.CloseSessionRequest{RequestHeader: header(token)}); code != ua.StatusOK {
				t.Fatal(code)
			}
		},
		"expired": func(t *testing.T, s *Server, _ string, _ *ua.NodeID) {
			later.Add(int64(2 * time.Hour))
			await.True(t, "the session expires", func() bool { return s.Stats().Sessions == 0 })
		},
	} {
		for service, tc := range requests {
			t.Run(service+"/"+how, func(t *testing.T) {
				later.Store(0)
				s, url := start(t, func(c *Config) {
					c.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
				})
				c, token := newSession(t, url)
				st, _ := s.sessions.find(wireToken(t, token))
				padded.AuthenticationToken = token
				s.admission.exclusive <- struct{}{} // another request
				done := make(chan ua.StatusCode, 1)
				go func() { _, code := ask(t, c, tc.request); done <- code }()
				await.True(t, "the request is authenticated",
					func() bool { return st.session.counters[tc.service].total.Load() == 1 })
				end(t, s, url, token)
				<-s.admission.exclusive
				if code := await.Receive(t, "a response", done); code != ua.StatusBadSessionClosed {
					t.Errorf("got %v, want Bad_SessionClosed", code)
				}
				if n := s.Stats().Subscriptions.Subscriptions; n != 0 {
					t.Errorf("%d subscriptions of no session, want 0", n)
				}
			})
		}
	}
}

// wireToken is an AuthenticationToken as it is encoded.
func wireToken(t *testing.T, token *ua.NodeID) string {
	t.Helper()
	b, err := token.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A session ends after the request that is being served, so that the subscription engine drops what it made.
func TestASessionEndsAfterTheRequestThatIsServed(t *testing.T) {
	s, _ := start(t, nil)
	removed := &session{number: 1}
	removed.serving.RLock() // as subscribe does
	done := make(chan bool, 1)
	go func() { s.endSession(removed, true); done <- true }()
	await.True(t, "the end waits", func() bool {
		free := removed.serving.TryRLock()
		if free {
			removed.serving.RUnlock()
		}
		return !free || len(done) > 0
	})
	if removed.ended || len(done) > 0 {
		t.Error("the session ended while a request of it was served")
	}
	removed.serving.RUnlock()
	await.Receive(t, "the end", done)
	if !removed.hasEnded() {
		t.Error("the session has not ended")
	}
}
