package mqtt

import (
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
)

// listener lets a bounded number of clients in, once the broker is filled.
type listener struct {
	e     *embedded
	ln    net.Listener
	tls   *tls.Config
	start chan struct{}
	lost  chan struct{} // closed when it ended unasked
	cause error
	open  atomic.Int64
	ended sync.Once
	done  atomic.Bool
}

// Init implements listeners.Listener.
func (l *listener) Init(*slog.Logger) error { return nil }

// ID implements listeners.Listener.
func (l *listener) ID() string { return "mqtt" }

// Address implements listeners.Listener.
func (l *listener) Address() string { return l.ln.Addr().String() }

// Protocol implements listeners.Listener.
func (l *listener) Protocol() string { return "tcp" }

// Serve implements listeners.Listener.
func (l *listener) Serve(establish listeners.EstablishFn) {
	<-l.start
	for {
		conn, err := l.ln.Accept()
		if err != nil {
			if !l.done.Load() {
				l.cause = err
				close(l.lost)
			}
			return
		}
		if l.open.Add(1) > maxConnections {
			l.open.Add(-1)
			l.e.connectionsRefused.Add(1)
			conn.Close()
			continue
		}
		_ = conn.(*net.TCPConn).SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: keepAlive, Interval: 5 * time.Second, Count: 3})
		if l.tls != nil {
			conn = tls.Server(conn, l.tls)
		}
		o := newOutlet(conn, func(o *outlet) { l.open.Add(-1); l.e.leave(o) })
		l.e.enter(o)
		go o.run()
		go l.client(o, establish)
	}
}

// client serves one connection. Whatever its bytes do to the server, they end
// no more than it.
func (l *listener) client(o *outlet, establish listeners.EstablishFn) {
	defer func() {
		if cause := recover(); cause != nil {
			l.e.sink.log.Error("the embedded broker gave a client up", "remote", o.RemoteAddr().String(), "cause", cause)
		}
		o.Close()
	}()
	_ = establish(l.ID(), o)
}

// Close implements listeners.Listener.
func (l *listener) Close(closeClients listeners.CloseFn) {
	l.ended.Do(func() {
		l.done.Store(true)
		l.ln.Close()
		select {
		case <-l.start:
		default:
			close(l.start)
		}
		closeClients(l.ID())
	})
}
