package mqtt

import (
	"context"
	"errors"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/cause"
)

// mode is how a source is connected to its broker.
type mode struct {
	version     string
	why         string // not a newer one
	bridge      bool   // on 3.1.1, as a bridge
	hidesRetain bool   // on 3.1.1, not as a bridge: the broker clears the retain flag of live messages
}

// version5 and version311 are the versions as mode has them.
const (
	version5   = "5"
	version311 = "3.1.1"
)

// String describes the mode for the channel's reason.
func (m mode) String() string {
	s := "MQTT " + m.version
	if m.why != "" {
		s += ": " + m.why
	}
	if m.hidesRetain {
		s += "; the broker hides the retain flag of live messages, so retained state is asked for each minute"
	}
	return s
}

// errVersion is a broker's refusal of the version of the protocol.
var errVersion = cause.New(cause.MQTTVersion, errors.New("the broker refuses this version of MQTT"))

// connect connects for what is followed.
func (s *Source) connect(ctx context.Context, f *feed) (connection, mode, error) {
	return s.newest(ctx, role{id: s.cfg.ClientID, window: receiveMaximum, message: f.message, traffic: &f.traffic,
		released: s.deliveries.released})
}

// newest tries the versions that are configured, newest first.
func (s *Source) newest(ctx context.Context, r role) (connection, mode, error) {
	why := ""
	if s.cfg.Version != config.MQTT311 {
		c, err := s.connect5(ctx, r)
		if err == nil || s.cfg.Version == config.MQTT5 || !errors.Is(err, errVersion) {
			return c, mode{version: version5}, err
		}
		why = "the broker refused 5"
		s.log.Debug("broker refuses MQTT 5; trying 3.1.1", "error", err)
	}
	if !s.bridgeFailed {
		c, err := s.connect311(ctx, r, bridgeLevel)
		if err == nil || !errors.Is(err, errVersion) {
			return c, mode{version: version311, why: why, bridge: true}, err
		}
	}
	c, err := s.connect311(ctx, r, plainLevel)
	return c, mode{version: version311, why: why, hidesRetain: true}, err
}

// connectAs connects in the version that the broker is known to have.
func (s *Source) connectAs(ctx context.Context, m mode, r role) (connection, error) {
	if m.version == version5 {
		return s.connect5(ctx, r)
	}
	return s.connect311(ctx, r, plainLevel)
}
