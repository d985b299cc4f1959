package server

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/channel"
)

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
	inContact := &session{token: "q", timeout: time.Minute, active: true, lastContact: now, created: now,
		conn: &conn{activeSessions: 2}}
	idle := &session{token: "i", timeout: time.Hour, created: now}
	ss.add(inContact)
	ss.add(idle)
	if gone := ss.expire(now.Add(20 * time.Second)); len(gone) != 0 {
		t.Errorf("%d sessions ended early", len(gone))
	}
	if gone := ss.expire(now.Add(40 * time.Second)); len(gone) != 1 || gone[0] != idle {
		t.Error("a session that anonymous activated lives on")
	}
	if gone := ss.expire(now.Add(61 * time.Second)); len(gone) != 1 || gone[0] != inContact {
		t.Error("a silent session lives on")
	}
}

func TestDisconnectedSessionsAreEvicted(t *testing.T) {
	s, url := start(t, func(c *Config) { c.Limits.SessionsPerAddress = 3 })
	for range 3 {
		c, _ := newSession(t, url)
		_ = c.Conn().Close() // without a word
	}
	await.True(t, "the connections are closed", func() bool { return len(s.connections()) == 0 })
	newSession(t, url)
	if n := s.sessions.count(); n != 3 {
		t.Errorf("%d sessions, want 3", n)
	}
}

// A full server lets the oldest session go that waits for a client to come back, of the
// address that has the most of them.
func TestTheAddressWithTheMostDisconnectedSessionsLosesOne(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	modest, greedy, other := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"),
		netip.MustParseAddr("10.0.0.3")
	ss := newSessions(Limits{Sessions: 4, SessionsPerAddress: 10})
	left := func(token string, from netip.Addr, contact int) *session {
		s := &session{token: token, address: from, active: true, disconnected: true,
			lastContact: now.Add(time.Duration(contact) * time.Second), conn: &conn{activeSessions: 2}}
		if _, code := ss.add(s); code != ua.StatusOK {
			t.Fatal(code)
		}
		return s
	}
	left("a", modest, 0) // the longest unheard of all
	left("b", greedy, 2)
	want := left("c", greedy, 1)
	left("d", greedy, 3)
	if evicted, code := ss.add(&session{token: "e", address: other}); evicted != want || code != ua.StatusOK {
		t.Errorf("got %+v, %v; want the longest unheard of %v", evicted, code, greedy)
	}
}

// A client has as many IPv6 addresses of its network as it likes.
func TestSessionsOfANetworkShareALimit(t *testing.T) {
	for name, c := range map[string]struct {
		third string
		code  ua.StatusCode
	}{
		"of the same /64": {"2001:db8:0:1::3", ua.StatusBadTooManySessions},
		"of another":      {"2001:db8:0:2::1", ua.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			ss := newSessions(Limits{Sessions: 4, SessionsPerAddress: 2})
			add := func(address string) ua.StatusCode {
				_, code := ss.add(&session{token: address, address: netip.MustParseAddr(address), active: true,
					conn: &conn{activeSessions: 2}})
				return code
			}
			for _, address := range []string{"2001:db8:0:1::1", "2001:db8:0:1::2"} {
				if code := add(address); code != ua.StatusOK {
					t.Fatalf("%s: got %v, want Good", address, code)
				}
			}
			if code := add(c.third); code != c.code {
				t.Errorf("%s: got %v, want %v", c.third, code, c.code)
			}
		})
	}
}

// Sessions of many addresses of one network do not evict those of a client with a single address.
func TestTheNetworkWithTheMostUnactivatedSessionsLosesOne(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	ss := newSessions(Limits{Sessions: 5, SessionsPerAddress: 10})
	made := map[string]*session{}
	for i, address := range []string{"10.0.0.1", "10.0.0.1", "2001:db8::1", "2001:db8::2", "2001:db8::3"} {
		s := &session{token: string(rune('a' + i)), address: netip.MustParseAddr(address), conn: &conn{},
			lastContact: now.Add(time.Duration(i) * time.Second)}
		if _, code := ss.add(s); code != ua.StatusOK {
			t.Fatal(code)
		}
		made[s.token] = s
	}
	evicted, code := ss.add(&session{token: "f", address: netip.MustParseAddr("10.0.0.9"), conn: &conn{}})
	if evicted != made["c"] || code != ua.StatusOK {
		t.Errorf("got %+v, %v; want the oldest of the network", evicted, code)
	}
}

// All that changes a session, from everywhere at once, with its own token: what
// is left is a server that answers, and no session twice.
func TestSessionServicesRace(t *testing.T) {
	s, url := start(t, nil)
	mine, token := newSession(t, url)
	for range 20 {
		first := open(t, url)
		made, code := create(t, first)
		if code != ua.StatusOK {
			t.Fatal(code)
		}
		stolen := made.AuthenticationToken
		second := open(t, url)
		activation := &ua.ActivateSessionRequest{
			RequestHeader: header(stolen), ClientSignature: &ua.SignatureData{},
			UserTokenSignature: &ua.SignatureData{},
			UserIdentityToken:  ua.NewExtensionObject(&ua.AnonymousIdentityToken{PolicyID: policyAnonymous}),
		}
		var race sync.WaitGroup
		for _, c := range []*channel.Client{first, second} {
			for _, req := range []any{
				activation, &ua.CloseSessionRequest{RequestHeader: header(stolen), DeleteSubscriptions: true},
				&ua.CancelRequest{RequestHeader: header(stolen), RequestHandle: 7},
				readRequest(stolen, stateItem()), &ua.PublishRequest{RequestHeader: header(stolen)},
				&ua.CreateSubscriptionRequest{RequestHeader: header(stolen), RequestedPublishingInterval: 100,
					RequestedLifetimeCount: 60, RequestedMaxKeepAliveCount: 10, PublishingEnabled: true},
			} {
				race.Go(func() {
					body, err := channel.Encode(req)
					if err != nil {
						t.Error(err)
						return
					}
					raw, err := c.Do(await.Context(t), body)
					if err == nil {
						_, _, err = channel.PeekResponse(raw)
					}
					if err != nil {
						t.Errorf("%T: %v", req, err)
					}
				})
			}
		}
		race.Wait()
		_, _ = ask(t, first, &ua.CloseSessionRequest{RequestHeader: header(stolen), DeleteSubscriptions: true})
		_, _ = ask(t, second, &ua.CloseSessionRequest{RequestHeader: header(stolen), DeleteSubscriptions: true})
		answered(t, mine, token)
	}
	if n := s.sessions.count(); n != 1 {
		t.Errorf("%d sessions are left, want the one that was not attacked", n)
	}
}

// A client that loses its connection and activates its session on another one gets the next message
// with its next Publish.
func TestPublishRequestsOfALostConnectionTakeNoMessage(t *testing.T) {
	for name, lose := range map[string]func(*testing.T, *Server, *channel.Client){
		"it has ended": func(t *testing.T, s *Server, c *channel.Client) {
			_ = c.Conn().Close()
			await.True(t, "the connection is closed", func() bool { return len(s.connections()) == 0 })
		},
		"it is still open": func(*testing.T, *Server, *channel.Client) {},
	} {
		t.Run(name, func(t *testing.T) {
			s, url := start(t, nil)
			tag := named("taga0")
			s.Set(tag, dataValue(t, int32(1)))
			first, token := newSession(t, url)
			resp, _ := ask(t, first, &ua.CreateSubscriptionRequest{RequestHeader: header(token),
				PublishingEnabled: true, RequestedPublishingInterval: 50, RequestedLifetimeCount: 300_000,
				RequestedMaxKeepAliveCount: 100_000}) // no keep-alive but the first
			sub, _ := resp.(*ua.CreateSubscriptionResponse)
			if sub == nil {
				t.Fatalf("got %T, want a subscription", resp)
			}
			publish := &ua.PublishRequest{RequestHeader: header(token),
				SubscriptionAcknowledgements: []*ua.SubscriptionAcknowledgement{}}
			if _, code := ask(t, first, publish); code != ua.StatusOK {
				t.Fatal(code)
			}
			resp, code := ask(t, first, &ua.CreateMonitoredItemsRequest{RequestHeader: header(token),
				SubscriptionID: sub.SubscriptionID, ItemsToCreate: []*ua.MonitoredItemCreateRequest{{
					ItemToMonitor: &ua.ReadValueID{NodeID: tag.UA(), AttributeID: ua.AttributeIDValue,
						DataEncoding: &ua.QualifiedName{}}, MonitoringMode: ua.MonitoringModeSampling,
					RequestedParameters: &ua.MonitoringParameters{QueueSize: 1,
						Filter: ua.NewExtensionObject(nil)}}}})
			if code != ua.StatusOK {
				t.Fatal(code)
			}
			item := resp.(*ua.CreateMonitoredItemsResponse).Results[0].MonitoredItemID
			body, err := channel.Encode(publish)
			if err != nil {
				t.Fatal(err)
			}
			for n := range uint32(3) {
				if err := first.Channel.Send(10_000+n, body); err != nil {
					t.Fatal(err)
				}
			}
			answered(t, first, token) // they were received
			lose(t, s, first)
			second := open(t, url)
			if code := activate(t, second, token); code != ua.StatusOK {
				t.Fatal(code)
			}
			if _, code := ask(t, second, &ua.SetMonitoringModeRequest{RequestHeader: header(token),
				SubscriptionID: sub.SubscriptionID, MonitoringMode: ua.MonitoringModeReporting,
				MonitoredItemIDs: []uint32{item}}); code != ua.StatusOK {
				t.Fatal(code)
			}
			resp, code = ask(t, second, publish)
			if p, _ := resp.(*ua.PublishResponse); p == nil || len(p.NotificationMessage.NotificationData) != 1 {
				t.Errorf("got %T, %v, want the value", resp, code)
			}
		})
	}
}
