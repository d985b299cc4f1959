package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"heliograph/firmware/config"
)

// Why a broker does not accept a CONNECT that another one may be tried after.
var (
	errVersion = errors.New("the broker refuses MQTT 5")
	errHungUp  = errors.New("the broker hangs up without an answer to CONNECT")
	errRetain  = errors.New("the broker has no retained messages")
	errQoS     = errors.New("the broker has less than QoS 1")
)

// hungUp tells whether a connection ended before the broker said anything.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// will is how a CONNECT states the will, and what is known about the broker.
type will struct {
	qos    byte
	retain bool
	old    bool // on 3.1.1
	fell   bool // because the broker does not take 5
}

// words says how the broker was reached, "" when it takes everything.
func (w will) words(l limits) string {
	var notes []string
	if w.old {
		note := "on 3.1.1"
		if w.fell {
			note += ", because the broker refuses 5"
		}
		notes = append(notes, note, "what its access control refuses stays unsaid on 3.1.1")
	}
	if !l.retain {
		notes = append(notes, "without retain, which the broker does not offer")
	}
	if l.qos < 2 {
		notes = append(notes, fmt.Sprintf("with QoS up to %d, as the broker offers", l.qos))
	}
	return strings.Join(notes, "; ")
}

// dialer reaches the broker.
type dialer struct {
	sink    *Sink
	address string
	tls     *tls.Config
}

// connect speaks the version that is configured; with auto 5, and 3.1.1 when
// the broker refuses 5, or hangs up on it. A broker that refuses the retained
// will, because it has no retained messages, is reached without.
func (d *dialer) connect(ctx context.Context) (connection, error) {
	version := d.sink.cfg.Version
	if version != config.MQTT311 {
		conn, err := d.lowering(ctx, will{qos: 1, retain: true}, d.connect5)
		if version == config.MQTT5 || !errors.Is(err, errVersion) && !errors.Is(err, errHungUp) {
			return conn, err
		}
	}
	w := will{qos: 1, retain: true, old: true, fell: version != config.MQTT311}
	conn, err := d.lowering(ctx, w, d.connect311)
	if !errors.Is(err, errHungUp) {
		return conn, err
	}
	w.retain = false // 3.1.1 has no word for it
	return d.connect311(ctx, w)
}

// lowering tries again with the will that the broker says it takes.
func (d *dialer) lowering(ctx context.Context, w will, try func(context.Context, will) (connection, error)) (connection, error) {
	for {
		conn, err := try(ctx, w)
		switch {
		case errors.Is(err, errRetain) && w.retain:
			w.retain = false
		case errors.Is(err, errQoS) && w.qos > 0:
			w.qos = 0
		default:
			return conn, err
		}
	}
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
