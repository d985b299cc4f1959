package role

import (
	"log/slog"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/identity/selfsigned"
)

// ListenerTLS returns what a TLS listener at an address (host:port) presents: the files
// configured, or else a certificate of its own that is kept in folder as name. One that
// cannot be saved is for this run only, which is logged.
func ListenerTLS(files config.TLS, folder, name, address string, log *slog.Logger) (config.TLS, error) {
	if files.Certificate != "" {
		return files, nil
	}
	certificate, key, err := selfsigned.Ensure(folder, name, address, time.Now())
	if err == nil {
		files.Certificate, files.PrivateKey = certificate, key
		return files, nil
	}
	log.Error("listener's certificate is for this run only", "error", err)
	files.Own, err = selfsigned.InMemory(address, time.Now())
	return files, err
}
