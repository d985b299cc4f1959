package mqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

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
func dial(ctx context.Context, cfg config.MQTTSource) (net.Conn, error) {
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
	return &guard{Conn: conn}, nil
}

// guard bounds what a broker can make a client library do: a packet that is
// too long ends the connection before its length is believed, a silent broker
// ends it after its time, and no write blocks for ever.
type guard struct {
	net.Conn
	head [5]byte // of the packet: type, then the remaining length
	have int
	left int64 // of the packet, once its head is read
}

var errPacket = errors.New("the broker sent a packet larger than 64 MiB; take fewer topics, or make its messages smaller")

// silence is longer than a living broker can be silent: it answers pings.
const silence = keepAlive + pingPatience + time.Second

func (g *guard) Read(p []byte) (int, error) {
	if err := g.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	n, err := g.Conn.Read(p)
	for b := p[:n]; len(b) > 0; {
		if g.left > 0 {
			k := min(g.left, int64(len(b)))
			g.left -= k
			b = b[k:]
			continue
		}
		if g.header(b[0]); g.left > maxPacket {
			return 0, errPacket
		}
		b = b[1:]
	}
	return n, err
}

// header takes one byte of a fixed header (MQTT 5.0 §2.1).
func (g *guard) header(b byte) {
	g.head[g.have] = b
	g.have++
	if g.have == 1 || (b&0x80 != 0 && g.have < len(g.head)) {
		return
	}
	for i := g.have - 1; i > 0; i-- {
		g.left = g.left<<7 | int64(g.head[i]&0x7f)
	}
	g.have = 0
}

func (g *guard) Write(p []byte) (int, error) {
	if err := g.SetWriteDeadline(time.Now().Add(dialPatience)); err != nil {
		return 0, err
	}
	return g.Conn.Write(p)
}
