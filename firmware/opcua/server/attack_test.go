package server

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/transport"
)

// dialFrom opens a channel from another address of this machine.
func dialFrom(t testing.TB, url, address string) (*channel.Client, error) {
	t.Helper()
	dialer := &transport.Dialer{DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext(ctx, network, to)
	}}
	conn, err := dialer.Dial(t.Context(), url)
	if err != nil {
		return nil, err
	}
	c, err := channel.Open(t.Context(), conn, channel.ClientConfig{Security: plain})
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// One address that takes all it can get, and keeps asking, takes nothing from
// another.
func TestAFloodFromOneAddressDoesNotShutOutOthers(t *testing.T) {
	_, url := start(t, func(c *Config) { c.Limits.SessionsPerAddress = 20 })
	mine, token := newSession(t, url)
	before := heap()
	var sessions, refused, asked atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	for range 8 {
		flood.Go(func() {
			for ctx.Err() == nil {
				c, err := dialFrom(t, url, "127.0.0.2")
				if err != nil {
					refused.Add(1)
					continue
				}
				body, _ := channel.Encode(&ua.CreateSessionRequest{
					RequestHeader:           header(nil),
					ClientDescription:       &ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText("")},
					RequestedSessionTimeout: 60_000,
				})
				for range 6 {
					if _, err := c.Do(ctx, body); err == nil {
						sessions.Add(1)
					}
				}
				read, _ := channel.Encode(readRequest(nil, stateItem()))
				for range 50 {
					if _, err := c.Do(ctx, read); err == nil {
						asked.Add(1)
					}
				}
			}
		})
	}
	await.True(t, "the flood flows", func() bool { return asked.Load() > 2000 && sessions.Load() > 100 })
	for range 20 {
		answered(t, mine, token)
	}
	newSession(t, url) // who comes anew finds room too
	stop()
	flood.Wait()
	if grown := int64(heap()) - int64(before); grown > 64<<20 {
		t.Errorf("the flood costs %d MB, want at most 64", grown>>20)
	}
	t.Logf("%d requests, %d sessions, %d connections refused", asked.Load(), sessions.Load(), refused.Load())
}

// Channels that are opened and then idle give way to who has something to say.
func TestIdleChannelsAreEvicted(t *testing.T) {
	s, url := start(t, func(c *Config) {
		c.Limits.Sessions, c.Transport.MaxConnections, c.Transport.MaxPerAddress = 5,
			10, 100
	})
	mine, token := newSession(t, url)
	for range 30 {
		open(t, url)
	}
	answered(t, mine, token)
	newSession(t, url)
	await.True(t, "at most 10 connections are held", func() bool { return len(s.connections()) <= 10 })
}

// A small question without a session never has an answer large enough to be
// useful for reflection attacks.
func TestDiscoveryHardlyAmplifies(t *testing.T) {
	// which answers with the name that was asked for
	s, _, _, _ := pair(t, func(c *Config) { c.Listen = "opc.tcp://0.0.0.0:0" })
	_, port, _ := net.SplitHostPort(s.Addr().String())
	url := "opc.tcp://127.0.0.1:" + port
	for name, c := range map[string]struct {
		req  any
		most int // bytes
	}{
		"GetEndpoints": {&ua.GetEndpointsRequest{RequestHeader: header(nil), EndpointURL: url}, 16 << 10},
		"GetEndpoints, long URL": {&ua.GetEndpointsRequest{RequestHeader: header(nil),
			EndpointURL: "opc.tcp://" + strings.Repeat("x", 50_000) + ":4840"}, 64 << 10},
		"FindServers": {&ua.FindServersRequest{RequestHeader: header(nil), EndpointURL: url}, 4 << 10},
		"FindServers, long URL": {&ua.FindServersRequest{RequestHeader: header(nil),
			EndpointURL: "opc.tcp://" + strings.Repeat("x", 50_000) + ":4840"}, 64 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := channel.Encode(c.req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := open(t, url).Do(t.Context(), body)
			if err == nil && len(got) > c.most {
				t.Errorf("%d bytes are answered with %d, want at most %d", len(body), len(got), c.most)
			}
		})
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
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					defer cancel()
					raw, err := c.Do(ctx, body)
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

func TestSessionsOfRemovedUsersAreClosed(t *testing.T) {
	var known atomic.Bool
	known.Store(true)
	s, url, _, theirs := pair(t,
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
	known.Store(false)
	await.True(t, "joe's session ends", func() bool { return s.sessions.count() == 1 })
}
