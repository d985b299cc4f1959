package role

import (
	"crypto/tls"
	"log/slog"

	"heliograph/firmware/config"
	"heliograph/firmware/config/users"
	"heliograph/firmware/platform/status"
)

// StatusServer makes the status server of a configuration that has one. pki is where it
// keeps a certificate that it makes itself; certificates gets the file of the one in use, as
// "status". What it shows the caller sets.
func StatusServer(c config.Status, pki string, certificates map[string]string, audit func(kind, text string),
	log *slog.Logger) (*status.Server, error) {
	s := &status.Server{Listen: c.Listen, UpdateListen: c.UpdateListen, Hosts: c.Hosts, Audit: audit, Log: log}
	if c.Secure || c.UpdateSecure {
		address := c.Listen
		if !c.Secure {
			address = c.UpdateListen
		}
		files, err := ListenerTLS(c.TLS, pki, "status", address, log.With("component", "status server"))
		if err != nil {
			return nil, err
		}
		certificates["status"] = files.Certificate
		own, err := files.Server()
		if err != nil {
			return nil, err
		}
		s.TLS, s.UpdateTLS = used(own, c.Secure), used(own, c.UpdateSecure)
	}
	if c.UsersFile != "" {
		known, err := users.Open(c.UsersFile, log)
		if err != nil {
			return nil, err
		}
		known.Audit = func(kind, text string) { audit(kind, text+" at the status port") }
		s.Verify = known.Verify
	}
	return s, nil
}

func used(c *tls.Config, secure bool) *tls.Config {
	if !secure {
		return nil
	}
	return c
}
