package server

import (
	"heliograph/firmware/opcua/subscription"
	"heliograph/firmware/opcua/transport"
	"heliograph/firmware/platform/counter"
)

// Stats are the counters that status and metrics show.
type Stats struct {
	Channels      int    `gauge:"secure_channels" help:"Secure channels now."`
	Sessions      int    `gauge:"sessions" help:"Sessions now."`
	Evicted       uint64 `count:"evicted_sessions" help:"Unused sessions closed to make room for others."`
	Requests      uint64 `count:"requests" help:"Requests of clients."`
	Refused       uint64 `count:"refused_requests" help:"Requests, and secure channels, refused as a whole."`
	Faults        uint64 `count:"malformed_requests" help:"Requests that could not be decoded or answered."`
	Listener      transport.Stats
	Subscriptions subscription.Stats
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	n, l := len(s.conns), s.listener
	s.mu.Unlock()
	st := Stats{
		Channels: n, Sessions: s.sessions.count(), Evicted: s.evicted.Load(), Requests: s.requests.Load(),
		Refused: s.refused.Load() + s.channels.Refused(),
		Faults:  s.faults.Load(), Subscriptions: s.engine.Stats(),
	}
	if l != nil {
		st.Listener = l.Stats()
	}
	return st
}

// Counters implements counter.Source.
func (s *Server) Counters() []counter.Set {
	st := s.Stats()
	return []counter.Set{counter.Of("opcua_server", s.cfg.Channel, &st)}
}
