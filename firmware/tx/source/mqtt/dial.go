package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"

	"heliograph/firmware/config"
	"heliograph/firmware/mqtt/packet"
	"heliograph/firmware/platform/cause"
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
	c, err := cfg.TLS.Client(u.Hostname())
	if err != nil {
		return nil, fmt.Errorf("mqtt: broker %q: %v", cfg.Broker, err)
	}
	return c, nil
}

// dial opens a connection whose reads and writes have bounds and are counted in t;
// dead is called with the reason when it cannot be read any more.
func dial(
	ctx context.Context, cfg config.MQTTSource, l packet.Limits, t *traffic, dead func(error),
) (*brokerConn, error) {
	u, err := url.Parse(cfg.Broker)
	if err != nil {
		return nil, fmt.Errorf("mqtt: broker %q: %v", cfg.Broker, err)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	tcp, _ := conn.(*net.TCPConn)
	secure, err := tlsConfig(cfg)
	if err == nil && secure != nil {
		t := tls.Client(conn, secure)
		err = cause.Handshake(t.HandshakeContext(ctx))
		conn, secure = t, nil
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return newBrokerConn(conn, tcp, l, t, dead), nil
}
