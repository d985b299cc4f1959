package server

import (
	"context"
	"sync"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/pki"
)

// CheckTrust closes the channels of clients, and the sessions of users, whose
// certificates are no longer trusted.
func (s *Server) CheckTrust() {
	for _, o := range s.sessions.certificateUsers() {
		if err := s.cfg.Store.Check(o.userChain, pki.Purpose{User: true}, o.address.String()); err != nil {
			s.cfg.Log.Warn("session closed: user certificate no longer trusted", "error", err,
				"client", o.address)
			s.sessions.remove(o.session)
			s.aborted(o.session)
		}
	}
	var failing sync.WaitGroup // concurrently: a client that does not receive must not delay the others
	for _, c := range s.connections() {
		p := c.channel.Peer()
		if p.Chain == nil {
			continue
		}
		if err := s.authorize(context.Background(), p); err != nil {
			failing.Go(func() {
				s.cfg.Log.Warn("channel closed: client certificate no longer trusted", "error", err,
					"client", p.Address)
				c.channel.Fail(ua.StatusBadSecurityChecksFailed, "")
			})
		}
	}
	failing.Wait()
}

// checkUsers closes the sessions of users that were removed.
func (s *Server) checkUsers() {
	if s.cfg.Known == nil {
		return
	}
	for name, list := range s.sessions.sessionsByUser() {
		if s.cfg.Known(name) {
			continue
		}
		for _, removed := range list {
			s.cfg.Log.Warn("session closed: user was removed", "client", removed.address, "user", name)
			s.sessions.remove(removed)
			s.aborted(removed)
		}
	}
}
