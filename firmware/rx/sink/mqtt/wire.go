package mqtt

import (
	"fmt"
	"net"
	"sync"
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
// A packet is written under its lock.
type wire struct {
	net.Conn
	sync.Mutex
	follower packet.Follower
	bad      error  // what the broker sent that no broker sends
	connack  []byte // the first bytes; of the reader, to be read once that ended
}

func newWire(conn net.Conn) *wire {
	return &wire{Conn: conn, follower: packet.Follower{Limits: packet.Limits{Types: answers, Size: maxAnswer}}}
}

// Write implements net.Conn.
func (w *wire) Write(b []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	return w.Conn.Write(b)
}

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
