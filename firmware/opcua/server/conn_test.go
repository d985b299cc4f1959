package server

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
)

// Connections whose sessions have ended, in any way, are evicted for others.
func TestConnectionsWhoseSessionsEndedAreEvicted(t *testing.T) {
	var later atomic.Int64
	for name, end := range map[string]func(*testing.T, *Server){
		"expired": func(t *testing.T, s *Server) {
			later.Add(int64(2 * time.Hour))
			await.True(t, "the sessions expire", func() bool { return s.Stats().Sessions == 0 })
		},
		"closed by us": func(t *testing.T, s *Server) {
			for _, gone := range s.sessions.removeAll() {
				s.endSession(gone, true)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			later.Store(0)
			s, url := start(t, func(c *Config) {
				c.Transport.MaxPerAddress = 2
				c.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
			})
			newSession(t, url)
			newSession(t, url)
			if _, err := dial(t, url); err == nil {
				t.Fatal("a third connection got in beside two with sessions")
			}
			end(t, s)
			for range 4 {
				newSession(t, url)
				end(t, s)
			}
			if got := s.Stats().Listener.Evicted; got != 4 {
				t.Errorf("%d connections made room, want 4", got)
			}
		})
	}
}

// A session that moves to another connection leaves the old one without any.
func TestAConnectionWhoseSessionMovedIsEvicted(t *testing.T) {
	_, url := start(t, func(c *Config) { c.Transport.MaxPerAddress = 2 })
	first, token := newSession(t, url)
	second := open(t, url)
	if code := activate(t, second, token); code != ua.StatusOK {
		t.Fatal(code)
	}
	newSession(t, url)
	if _, code := ask(t, first, readRequest(token, stateItem())); code == ua.StatusOK {
		t.Error("the connection that the session left still serves it")
	}
	if _, code := ask(t, second, readRequest(token, stateItem())); code != ua.StatusOK {
		t.Errorf("the session on its new connection: %v", code)
	}
}

// As many channels as one address may have, none with a session, do not keep a client
// behind the same address out.
func TestChannelsWithoutASessionDoNotShutOutOthers(t *testing.T) {
	s, url := start(t, nil)
	for range 275 {
		open(t, url)
	}
	newSession(t, url)
	if got := s.Stats().Listener; got.Evicted != 1 || got.OverQuota != 0 {
		t.Errorf("got %+v, want 1 evicted and none refused", got)
	}
}
