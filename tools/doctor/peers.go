package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/diagnosis"
	"heliograph/firmware/tx/source/mqtt"
	"heliograph/firmware/tx/source/opcua"
)

// Our own bounds.
const (
	peerTimeout = 20 * time.Second
	together    = 8           // peers that are asked at a time
	clockError  = time.Minute // a server's time may be off by
)

// peer is one that is asked.
type peer struct {
	diagnosis.Peer
	ask func(context.Context) (note string, err error)
}

// peers asks each peer as the role would, unless the role has said itself how they are.
func (x *examination) peers(ctx context.Context) {
	if x.reported {
		return
	}
	var all sync.WaitGroup
	room := make(chan struct{}, together)
	for _, p := range x.list() {
		all.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			x.try(ctx, p)
		})
		x.doing("peers: " + p.Address)
	}
	all.Wait()
}

func (x *examination) try(ctx context.Context, p peer) {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	note, err := p.ask(ctx)
	if err == nil {
		x.fine(fmt.Sprintf("channel %s: %s %s", p.Channel, p.Address, note))
		return
	}
	p.Reason, p.Cause = err.Error(), cause.Of(err)
	f := x.site.Peer(p.Peer)
	if f.Code == "server-untrusted" && !x.kept(p.Cause.Thumbprint) {
		f.Cure = "start heliotx once, which keeps the certificate; " + f.Cure
	}
	x.found(f)
}

// kept reports whether a certificate is in rejected/, from where "trust add" takes it.
func (x *examination) kept(thumbprint string) bool {
	if x.store == nil {
		return false
	}
	for _, e := range x.store.List(pki.KindRejected) {
		if e.Thumbprint == thumbprint {
			return true
		}
	}
	return false
}

// list returns all peers of the configuration.
func (x *examination) list() (list []peer) {
	for _, c := range x.TX.OPCUA {
		list = append(list, peer{diagnosis.Peer{Channel: c.Channel, Protocol: "opcua", Address: c.Endpoint},
			func(ctx context.Context) (string, error) { return x.opcua(ctx, c) }})
	}
	for _, c := range x.TX.MQTT {
		list = append(list, broker(c))
	}
	for _, c := range x.RX.MQTT {
		if c.Broker != "" {
			list = append(list, broker(config.MQTTSource{Channel: c.Channel, Broker: c.Broker, Version: c.Version,
				Username: c.Username, Password: c.Password, ClientID: c.ClientID, TLS: c.TLS}))
			x.unchecked("channel " + c.Channel + ": whether the broker lets the user publish shows with the first " +
				"message")
		}
	}
	forwards := x.RX.Syslog
	if x.RX.Audit.Forward != "" {
		forwards = append(forwards, x.RX.Audit)
	}
	for _, c := range forwards {
		list = append(list, peer{diagnosis.Peer{Channel: c.Channel, Protocol: "syslog", Address: c.Forward},
			func(ctx context.Context) (string, error) { return collector(ctx, c) }})
	}
	return list
}

// opcua opens a session, and compares the clocks.
func (x *examination) opcua(ctx context.Context, c config.OPCUASource) (string, error) {
	if x.store == nil && c.SecurityPolicy != "None" {
		return "is not asked: there are no certificates to do it with", nil
	}
	at, err := opcua.Probe(ctx, c, x.store)
	if err != nil {
		return "", err
	}
	if off := at.Sub(x.now()).Round(time.Second); !at.IsZero() && off.Abs() > clockError {
		x.add("clock", "channel "+c.Channel, fmt.Sprintf("the server's time differs by %s from this machine's", off),
			"set the wrong clock: `date` here, or the server's; source timestamps are those of the server")
	}
	if c.SecurityPolicy != "None" && x.store.Own() == nil {
		return "has an endpoint and a certificate that fit; whether it trusts heliotx shows once that has one", nil
	}
	return "lets heliotx in", nil
}

func broker(c config.MQTTSource) peer {
	return peer{diagnosis.Peer{Channel: c.Channel, Protocol: "mqtt", Address: c.Broker},
		func(ctx context.Context) (string, error) { return mqtt.Probe(ctx, c) }}
}

// collector reaches a syslog collector, and sends it nothing.
func collector(ctx context.Context, c config.SyslogSink) (string, error) {
	u, err := url.Parse(c.Forward)
	if err != nil {
		return "", err
	}
	network := "tcp"
	if u.Scheme == "udp" {
		network = "udp"
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, u.Host)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	switch u.Scheme {
	case "udp":
		return "has a route; whether lines arrive shows at the collector alone", nil
	case "tls":
		files, err := c.TLS.Client(u.Hostname())
		if err == nil {
			err = cause.Handshake(tls.Client(conn, files).HandshakeContext(ctx))
		}
		return "takes connections", err
	}
	return "takes connections", nil
}
