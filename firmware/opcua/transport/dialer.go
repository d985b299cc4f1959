package transport

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/gopcua/opcua/ua"
)

// Dialer connects to servers. The zero value works.
type Dialer struct {
	Limits    Limits
	Timeouts  Timeouts
	MaxMemory int64 // for chunks and messages under assembly, per connection, 32 MiB
	// DialContext makes the connection; nil uses TCP.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// Dial connects to an endpoint URL, opc.tcp://host[:port][/path], and does the
// hello exchange within the handshake timeout.
func (d *Dialer) Dial(ctx context.Context, endpoint string) (*Conn, error) {
	address, err := HostPort(endpoint)
	if err != nil {
		return nil, err
	}
	timeouts := d.Timeouts.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, timeouts.Handshake)
	defer cancel()
	dial := d.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	nc, err := dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c, err := d.Client(ctx, nc, endpoint)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// Client does the hello exchange of a client over nc, which the Conn then owns if it
// succeeds.
func (d *Dialer) Client(ctx context.Context, nc net.Conn, endpoint string) (*Conn, error) {
	limits, err := d.Limits.withDefaults()
	if err != nil {
		return nil, err
	}
	if len(endpoint) >= maxString {
		return nil, fault(ua.StatusBadTCPEndpointURLInvalid, "endpoint URL is too long")
	}
	memory := d.MaxMemory
	if memory <= 0 {
		memory = defaultMemory
	}
	c := newConn(nc, d.Timeouts.withDefaults(), &budget{limit: memory})
	c.endpoint = endpoint
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	c.limits, err = c.clientHandshake(limits)
	if !stop() && ctx.Err() != nil { // the deadline is set, or about to be
		return nil, ctx.Err()
	}
	return c, err
}

func (c *Conn) clientHandshake(limits Limits) (Negotiated, error) {
	deadline := time.Now().Add(c.timeouts.Handshake)
	if err := c.nc.SetReadDeadline(deadline); err != nil {
		return Negotiated{}, err
	}
	if err := c.write(limits.hello(c.endpoint).AppendHello(nil), time.Until(deadline), false); err != nil {
		return Negotiated{}, err
	}
	h, chunk, err := c.readRest(HeaderSize + 4 + 4 + maxString)
	if err != nil {
		return Negotiated{}, err
	}
	switch h.Type {
	case Acknowledge:
		ack, err := ParseAcknowledge(chunk[HeaderSize:])
		if err != nil {
			return Negotiated{}, err
		}
		return limits.accept(ack)
	case Err:
		return Negotiated{}, ParseError(chunk[HeaderSize:])
	default:
		return Negotiated{}, fault(ua.StatusBadTCPMessageTypeInvalid,
			"the server's first message must be an acknowledge")
	}
}

// HostPort returns the address in an endpoint URL.
func HostPort(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "opc.tcp" || u.Hostname() == "" {
		return "", fmt.Errorf("opcua transport: endpoint %q: write opc.tcp://host:port/path", endpoint)
	}
	port := u.Port()
	if port == "" {
		port = DefaultPort
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}
