package probe

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"

	"heliograph/firmware/platform/cause"
)

// Collector connects to a syslog collector over TCP or TLS, with the system's authorities, and
// sends it nothing. One over UDP cannot be asked.
func Collector(ctx context.Context, address string) (asked bool, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "udp" {
		return false, nil
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"tcp": "601", "tls": "6514"}[u.Scheme]
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return true, unreachable(address, "syslog collector", err)
	}
	defer conn.Close()
	if u.Scheme != "tls" {
		return true, nil
	}
	c := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12})
	if err := c.HandshakeContext(ctx); err != nil {
		return true, fmt.Errorf("TLS with %s: %w", address, cause.Handshake(err))
	}
	return true, nil
}
