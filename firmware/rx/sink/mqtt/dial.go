package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"heliograph/firmware/config"
)

// errVersion is returned by a connect on 5 that the broker refused for its version.
var errVersion = errors.New("the broker refuses MQTT 5")

// dialer reaches the broker.
type dialer struct {
	sink    *Sink
	address string
	tls     *tls.Config
}

// connect speaks the version that is configured; with auto 5, and 3.1.1 when
// the broker refuses 5 in so many words.
func (d *dialer) connect(ctx context.Context) (connection, error) {
	if d.sink.cfg.Version == config.MQTT311 {
		return d.connect311(ctx, "")
	}
	conn, err := d.connect5(ctx)
	if !errors.Is(err, errVersion) || d.sink.cfg.Version == config.MQTT5 {
		return conn, err
	}
	d.sink.once("the broker refuses MQTT 5; it gets 3.1.1, which carries no properties", "broker", d.address)
	return d.connect311(ctx, "MQTT 3.1.1, because the broker refuses 5")
}

func (d *dialer) open(ctx context.Context) (*wire, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	if d.tls != nil {
		secure := tls.Client(conn, d.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = secure
	}
	return &wire{Conn: conn}, nil
}

// wire is a connection that no write blocks for ever, that passes only what a
// broker has to say to a publisher, and that remembers how
// the broker's answer begins. A packet is written under its lock.
type wire struct {
	net.Conn
	sync.Mutex
	follower
	bad   error  // what it sent that no broker sends
	heard []byte // by the one reader; read after it ended
}

func (w *wire) Write(b []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	return w.Conn.Write(b)
}

func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if room := connackStart - len(w.heard); room > 0 {
		w.heard = append(w.heard, b[:min(n, room)]...)
	}
	if w.bad == nil {
		w.bad = w.follow(b[:n])
	}
	if w.bad != nil {
		_ = w.Close() // whoever reads on is to find it gone
		return 0, w.bad
	}
	return n, err
}

// connackStart is the fixed header, the flags and the code of a CONNACK, in
// either version (MQTT 3.1.1 and 5.0 section 3.2).
const connackStart = 4

// refusesVersion tells whether the broker answered that it does not speak 5:
// with its own code, or as a broker of 3.1.1 must (3.1.1 section 3.1.2.2).
func (w *wire) refusesVersion() bool {
	h := w.heard
	return len(h) == connackStart && h[0] == 0x20 && (h[3] == 0x84 || h[1] == 2 && h[3] == 1)
}
