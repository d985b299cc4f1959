package server

import (
	"context"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/pki"
)

// CheckTrust closes the channels of clients, and the sessions of users, whose
// certificates are no longer trusted.
func (s *Server) CheckTrust() {
	for _, o := range s.sessions.certificateUsers() {
		if err := s.cfg.Store.Check(o.userChain, pki.Purpose{User: true}, o.address.String()); err != nil {
			s.cfg.Log.Warn("opcua server closed a session: user certificate no longer trusted", "client", o.address,
				"error", err)
			s.totals.aborts.Add(1)
			s.sessions.remove(o.session)
			s.engine.SessionClosed(o.number, true)
		}
	}
	for _, c := range s.connections() {
		p := c.channel.Peer()
		if p.Chain == nil {
			continue
		}
		if err := s.authorize(context.Background(), p); err != nil {
			s.cfg.Log.Warn("opcua server closed a channel: client certificate no longer trusted", "client", p.Address,
				"error", err)
			c.channel.Fail(ua.StatusBadSecurityChecksFailed, "")
		}
	}
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
		for _, gone := range list {
			s.cfg.Log.Warn("opcua server closed a session: user was removed", "client", gone.address, "user", name)
			s.totals.aborts.Add(1)
			s.sessions.remove(gone)
			s.engine.SessionClosed(gone.number, true)
		}
	}
}
