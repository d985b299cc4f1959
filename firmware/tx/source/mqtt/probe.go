package mqtt

import (
	"context"
	"log/slog"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
)

// probeSuffix makes a client identifier of its own: one that is in use would end the
// connection of the role, and one of the role's would take its session.
const probeSuffix = "-doctor"

// Probe connects to a broker as a Source does, subscribes, and disconnects. It says how it
// was connected. The broker keeps no session, and its messages are ignored.
func Probe(ctx context.Context, cfg config.MQTTSource) (string, error) {
	if _, err := tlsConfig(cfg); err != nil {
		return "", err
	}
	s := &Source{cfg: cfg, log: slog.New(slog.DiscardHandler), session: newSession5()}
	defer s.session.close()
	m, err := s.probe(ctx)
	if err != nil && m.bridge { // the broker fails on a bridge; the next connection is not one
		s.bridgeFailed = true
		m, err = s.probe(ctx)
	}
	if err != nil {
		return "", err
	}
	return m.String(), nil
}

// probe connects once.
func (s *Source) probe(ctx context.Context) (mode, error) {
	c, m, err := s.newest(ctx, role{id: s.cfg.ClientID + probeSuffix, clean: true, probe: true, window: 1,
		message: func(*payload.Message, origin) {}, traffic: &traffic{}})
	if err != nil {
		return mode{}, err
	}
	defer c.close()
	ctx, unbind := bind(ctx, c)
	defer unbind()
	if len(s.cfg.Topics) == 0 {
		return m, nil
	}
	if err := c.subscribe(ctx, s.cfg.Topics, 0); err != nil {
		return m, causeOfLoss(c, err)
	}
	return m, nil
}
