package role

import (
	"log/slog"
	"net/url"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/telemetry"
)

// Telemetry makes the export of a configuration that has one: of what the status server
// shows, whether it listens or not. instance, "PAIR-ROLE", tells the role from others.
func Telemetry(c config.Telemetry, instance, version string, shown *status.Server,
	log *slog.Logger) (*telemetry.Exporter, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, err
	}
	secure, err := config.TLS{CAFile: c.CAFile}.Client(u.Hostname())
	if err != nil {
		return nil, err
	}
	return &telemetry.Exporter{
		Endpoint: c.Endpoint, Headers: c.Headers, TLS: secure, Interval: c.Interval, Metrics: shown.Metrics(),
		Resource: telemetry.Resource{Service: "heliograph", Instance: instance, Version: version}, Log: log,
	}, nil
}
