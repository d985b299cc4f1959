package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/cause"
)

// Why a broker does not accept a CONNECT that another one may be tried after.
var (
	errVersion = cause.New(cause.MQTTVersion, errors.New("the broker refuses MQTT 5"))
	errHungUp  = cause.New(cause.MQTTVersion,
		errors.New("the broker closes the connection without an answer to CONNECT"))
	errRetain = errors.New("the broker has no retained messages")
	errQoS    = errors.New("the broker has less than QoS 1")
)

// hungUp reports whether a connection ended before the broker sent anything.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// errDisconnected is why a connection ended that the broker ended with a packet.
var errDisconnected = errors.New("the broker disconnected")

// endedByBroker reports whether the broker ended the connection, as it does over a message that it does
// not take. One that stalls, or cannot be reached any more, does not.
func endedByBroker(err error) bool {
	return hungUp(err) || errors.Is(err, syscall.EPIPE) || errors.Is(err, errDisconnected)
}

// will is how a CONNECT states the will, and what is known about the broker.
type will struct {
	qos    byte
	retain bool
	old    bool // on 3.1.1
	fell   bool // because the broker does not support 5
}

// describe returns how the broker was reached, "" when it takes everything.
func (w will) describe(l limits) string {
	var notes []string
	if w.old {
		note := "on 3.1.1"
		if w.fell {
			note += ", because the broker refuses 5"
		}
		notes = append(notes, note, "its access control refuses messages without notice on 3.1.1")
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

	reached step // when it was connected last
}

// step is how far below what is wished a broker was reached that closed connections without an answer.
type step struct {
	hungUp bool // at a better one
	retain bool
}

// connect connects as well as the broker can be reached. One that has no room for another
// connection, or starts, closes it as one does that does not support something: what is
// concluded from that has to hold twice in a row.
func (d *dialer) connect(ctx context.Context) (connection, error) {
	for {
		conn, reached, err := d.descend(ctx)
		if err != nil {
			return conn, err
		}
		again := reached.hungUp && reached != d.reached
		d.reached = reached // a better one, too: what was concluded before it does not count any more
		if !again {
			return conn, nil
		}
		conn.close(false)
	}
}

// descend connects in the version that is configured; with auto in 5, and in 3.1.1
// when the broker refuses 5, or closes the connection. A broker that refuses the
// retained will, because it has no retained messages, is reached without.
func (d *dialer) descend(ctx context.Context) (connection, step, error) {
	version := d.sink.cfg.Version
	reached := step{retain: true}
	if version != config.MQTT311 {
		conn, err := d.lowering(ctx, will{qos: 1, retain: true}, d.connect5)
		reached.hungUp = errors.Is(err, errHungUp)
		if version == config.MQTT5 || !errors.Is(err, errVersion) && !reached.hungUp {
			return conn, step{}, err
		}
	}
	w := will{qos: 1, retain: true, old: true, fell: version != config.MQTT311}
	conn, err := d.lowering(ctx, w, d.connect311)
	if !errors.Is(err, errHungUp) {
		return conn, reached, err
	}
	w.retain = false // 3.1.1 has no code for it
	conn, err = d.connect311(ctx, w)
	return conn, step{hungUp: true}, err
}

// lowering tries again with the will that the broker takes by its answer.
func (d *dialer) lowering(
	ctx context.Context, w will, try func(context.Context, will) (connection, error),
) (connection, error) {
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

// dial opens a connection, with TLS if the broker has it.
func (d *dialer) dial(outer context.Context) (*wire, error) {
	ctx, cancel := context.WithTimeout(outer, dialTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	boundUnsent(conn)
	if d.tls != nil {
		secure := tls.Client(conn, d.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, cause.Handshake(err)
		}
		conn = secure
	}
	return newWire(outer, conn), nil
}

// boundUnsent bounds what the kernel accepts and has not sent yet (tcp(7)), so that a write waits
// for the line, and what an acknowledgement waits for is known.
func boundUnsent(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, partBytes)
	})
}
