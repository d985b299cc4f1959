package role

import (
	"crypto/tls"
	"log/slog"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/config/users"
	"heliograph/firmware/platform/identity/selfsigned"
	"heliograph/firmware/platform/status"
)

// StatusServer makes the status server of a configuration that has one. pki is where it
// keeps a certificate that it makes itself. What it shows the caller sets.
func StatusServer(c config.Status, pki string, audit func(kind, text string), log *slog.Logger) (*status.Server,
	error) {
	s := &status.Server{Listen: c.Listen, UpdateListen: c.UpdateListen, Hosts: c.Hosts, Audit: audit, Log: log}
	if c.Secure || c.UpdateSecure {
		files := c.TLS
		if files.Certificate == "" {
			address := c.Listen
			if !c.Secure {
				address = c.UpdateListen
			}
			var err error
			if files.Certificate, files.PrivateKey,
				err = selfsigned.Ensure(pki, "status", address, time.Now()); err != nil {
				return nil, err
			}
		}
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
