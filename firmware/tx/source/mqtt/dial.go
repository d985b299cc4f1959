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

// dial opens a connection for a role whose reads and writes have bounds;
// dead is called with the reason when it cannot be read any more.
func (s *Source) dial(ctx context.Context, l packet.Limits, r role, dead func(error)) (*brokerConn, error) {
	u, err := url.Parse(s.cfg.Broker)
	if err != nil {
		return nil, fmt.Errorf("mqtt: broker %q: %v", s.cfg.Broker, err)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	tcp, _ := conn.(*net.TCPConn)
	secure, err := tlsConfig(s.cfg)
	if err == nil && secure != nil {
		t := tls.Client(conn, secure)
		err = cause.Handshake(t.HandshakeContext(ctx))
		conn, secure = t, nil
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	c := newBrokerConn(conn, tcp, l, r.traffic, &s.lastArrival, dead)
	c.skim, c.released = r.skim, r.released
	return c, nil
}
