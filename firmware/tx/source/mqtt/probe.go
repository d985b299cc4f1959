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
	c, m, err := s.newest(ctx, role{id: cfg.ClientID + probeSuffix, clean: true, probe: true, window: 1,
		message: func(*payload.Message, origin) {}, traffic: &traffic{}})
	if err != nil {
		return "", err
	}
	defer c.close()
	ctx, unbind := bind(ctx, c)
	defer unbind()
	if len(cfg.Topics) > 0 {
		err = c.subscribe(ctx, cfg.Topics, 0)
	}
	if err != nil {
		return "", causeOfLoss(c, err)
	}
	return m.String(), nil
}
