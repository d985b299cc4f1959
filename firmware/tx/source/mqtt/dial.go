package mqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"

	"heliograph/firmware/config"
)

// tlsConfig returns what an mqtts:// broker needs, or nil for mqtt://.
func tlsConfig(cfg config.MQTTSource) (*tls.Config, error) {
	u, err := url.Parse(cfg.Broker)
	if err != nil {
		return nil, fmt.Errorf("mqtt: broker %q: %v", cfg.Broker, err)
	}
	if u.Scheme != "mqtts" {
		return nil, nil
	}
	c := &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	if cfg.TLS.CAFile != "" {
		pem, err := os.ReadFile(cfg.TLS.CAFile)
		if err != nil {
			return nil, fmt.Errorf("mqtt: ca_file: %v", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("mqtt: ca_file: %s holds no PEM certificate", cfg.TLS.CAFile)
		}
	}
	if cfg.TLS.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(cfg.TLS.Certificate, cfg.TLS.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("mqtt: certificate and private_key: %v", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// dial opens a connection whose reads and writes have bounds.
func dial(ctx context.Context, cfg config.MQTTSource, l limit) (net.Conn, error) {
	u, err := url.Parse(cfg.Broker)
	if err != nil {
		return nil, fmt.Errorf("mqtt: broker %q: %v", cfg.Broker, err)
	}
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	secure, err := tlsConfig(cfg)
	if err == nil && secure != nil {
		t := tls.Client(conn, secure)
		err = t.HandshakeContext(ctx)
		conn, secure = t, nil
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &guard{Conn: conn, limit: l}, nil
}
