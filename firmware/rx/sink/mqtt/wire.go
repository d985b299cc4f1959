package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"heliograph/firmware/mqtt/packet"
)

// answers are the packets that a broker sends to a client which only publishes
// (MQTT 5.0 §2.1.2). The client libraries index and allocate by the content of others.
const answers = 1<<packet.Connack | 1<<packet.Puback | 1<<packet.Pubrec | 1<<packet.Pubcomp |
	1<<packet.Pingresp | 1<<packet.Disconnect

// maxAnswer bounds one of them in bytes; properties make it long.
const maxAnswer = 64 << 10

// wire is a connection to a broker. No write blocks for ever, and only what a broker
// may send to a publisher passes. It keeps how the broker's answer to CONNECT begins.
// A packet that is written in parts is written under its lock.
type wire struct {
	net.Conn
	sync.Mutex
	follower packet.Follower
	bad      error  // what the broker sent that no broker sends
	connack  []byte // the first bytes; of the reader, to be read once that ended

	writing    sync.Mutex    // one write after the other, in all their parts
	progressed func()        // a part of a write went out, and not the last one; nil: nothing
	published  atomic.Uint64 // writes that began with a PUBLISH and have ended
	wrote      chan struct{} // there was one

	mu   sync.Mutex  // over deadlines
	end  time.Time   // of all writing; zero: it goes on
	stop func() bool // ends the wait for that
}

// newWire returns a wire on which everything that is written once ctx ends has endTime altogether.
func newWire(ctx context.Context, conn net.Conn) *wire {
	w := &wire{Conn: conn, wrote: make(chan struct{}, 1),
		follower: packet.Follower{Limits: packet.Limits{Types: answers, Size: maxAnswer}}}
	w.stop = context.AfterFunc(ctx, w.endWrites)
	return w
}

// Close implements net.Conn.
func (w *wire) Close() error {
	w.stop()
	w.mu.Lock()
	over := !w.end.IsZero() && !time.Now().Before(w.end)
	w.mu.Unlock()
	if secure, ok := w.Conn.(*tls.Conn); ok && over {
		return secure.NetConn().Close() // without close_notify, which would have five seconds more
	}
	return w.Conn.Close()
}

// Write implements net.Conn. As long as parts of what is written go out, it goes on.
func (w *wire) Write(b []byte) (n int, err error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	for first := true; first || len(b) > n; first = false {
		if err := w.extend(); err != nil {
			return n, err
		}
		part := b[n:min(n+partBytes, len(b))]
		done, err := w.Conn.Write(part)
		if n += done; err != nil {
			return n, err
		}
		if n < len(b) && w.progressed != nil {
			w.progressed()
		}
	}
	if len(b) > 0 && b[0]>>4 == packet.Publish {
		w.published.Add(1)
		signal(w.wrote)
	}
	return n, nil
}

// extend gives the next part of a write its time.
func (w *wire) extend() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.end
	if at.IsZero() {
		at = time.Now().Add(writeTime)
	}
	return w.Conn.SetWriteDeadline(at)
}

// endWrites ends all writing within endTime.
func (w *wire) endWrites() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end = time.Now().Add(endTime)
	_ = w.Conn.SetWriteDeadline(w.end)
}

// SetWriteDeadline implements net.Conn. It does nothing: each write has a deadline of its own.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// Read implements net.Conn.
func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if room := connackStart - len(w.connack); room > 0 {
		w.connack = append(w.connack, b[:min(n, room)]...)
	}
	if w.bad == nil {
		if fault := w.follower.Follow(b[:n]); fault != nil {
			w.bad = fmt.Errorf("the broker sent a packet that no broker sends to a publisher: %w", fault)
		}
	}
	if w.bad != nil {
		_ = w.Close() // another read finds it closed
		return 0, w.bad
	}
	return n, err
}

// connackStart is the fixed header, the flags and the code of a CONNACK, in
// either version (MQTT 3.1.1 and 5.0 §3.2).
const connackStart = 4

// refusesVersion reports whether the broker answered that it does not support 5:
// with the code of MQTT 5, or as a broker of 3.1.1 must (3.1.1 §3.1.2.2).
func (w *wire) refusesVersion() bool {
	const length311, badVersion, badVersion311 = 2, 0x84, 1
	c := w.connack
	return len(c) == connackStart && c[0] == packet.Connack<<4 &&
		(c[3] == badVersion || c[1] == length311 && c[3] == badVersion311)
}
