package server

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/channel"
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
	newSession(t, url) // a new client finds room too
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
