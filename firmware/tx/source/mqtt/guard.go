package mqtt

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Types of control packets (MQTT 5.0 §2.1.2).
const (
	typeConnack    = 2
	typePublish    = 3
	typePuback     = 4
	typePubrec     = 5
	typePubrel     = 6
	typePubcomp    = 7
	typeSuback     = 9
	typeUnsuback   = 11
	typePingresp   = 13
	typeDisconnect = 14
)

// limit is what a broker may send. The libraries index, allocate and call by
// what it says, and would take the whole role down with them.
type limit struct {
	types  uint16 // bit n: packets of type n
	packet int64  // bytes after the fixed header
	suback int64  // the same, of a SUBACK
}

// A subscriber that never publishes and does not authenticate in steps has no
// use for other packets.
const answers = 1<<typeConnack | 1<<typePublish | 1<<typePubrel | 1<<typeSuback | 1<<typeUnsuback | 1<<typePingresp

// limit5 bounds MQTT 5, whose packets may carry properties.
func limit5() limit {
	return limit{types: answers | 1<<typeDisconnect, packet: maxMessage, suback: maxMessage}
}

// limit3 bounds MQTT 3.1.1, in which a SUBACK has one byte for each filter.
func limit3(filters int) limit {
	return limit{types: answers, packet: maxPacket, suback: 2 + int64(filters)}
}

// guard bounds what a broker can make a client library do: a packet that is
// too long, or of a type that no broker sends to a subscriber, ends the
// connection before the library sees its length; a silent broker ends it after
// its time, and no write blocks for ever.
type guard struct {
	net.Conn
	in, out flow
	dead    func(error) // a library may miss that its connection is lost as it begins
	writing sync.Mutex
}

// traffic counts the packets that crossed a connection, by type, whatever the
// library has done with them. Safe for concurrent use.
type traffic struct {
	in, out [16]atomic.Uint64
}

// asked returns how many packets the broker sent that want an answer.
func (t *traffic) asked() uint64 { return t.in[typePublish].Load() + t.in[typePubrel].Load() }

// flow follows the packets of one direction.
type flow struct {
	limit limit
	seen  *[16]atomic.Uint64
	head  [5]byte // of the packet: type, then the remaining length
	have  int
	left  int64 // of the packet, once its head is known
}

func newGuard(conn net.Conn, l limit, t *traffic, dead func(error)) *guard {
	own := limit{types: math.MaxUint16, packet: math.MaxInt64, suback: math.MaxInt64}
	return &guard{Conn: conn, in: flow{limit: l, seen: &t.in}, out: flow{limit: own, seen: &t.out}, dead: dead}
}

// Errors that end a connection.
var (
	errPacket = errors.New("the broker sent a packet that is too large; take fewer topics, or make its messages smaller")
	errType   = errors.New("the broker sent a packet that no broker sends to a subscriber")
)

// silence is longer than a living broker can be silent: it answers pings.
const silence = keepAlive + pingPatience + time.Second

func (g *guard) Read(p []byte) (int, error) {
	if err := g.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	n, err := g.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errAnswer
	}
	if bad := g.in.pass(p[:n]); bad != nil {
		n, err = 0, bad
	}
	if err != nil {
		g.dead(err)
	}
	return n, err
}

// pass follows the packets in b.
func (f *flow) pass(b []byte) error {
	for len(b) > 0 {
		if f.left > 0 {
			k := min(f.left, int64(len(b)))
			f.left -= k
			b = b[k:]
			continue
		}
		if err := f.header(b[0]); err != nil {
			return err
		}
		b = b[1:]
	}
	return nil
}

// header takes one byte of a fixed header (MQTT 5.0 §2.1).
func (f *flow) header(b byte) error {
	f.head[f.have] = b
	f.have++
	kind := f.head[0] >> 4
	if f.limit.types>>kind&1 == 0 {
		return fmt.Errorf("%w: type %d", errType, kind)
	}
	if f.have == 1 {
		return nil
	}
	if b&0x80 != 0 {
		if f.have == len(f.head) {
			return fmt.Errorf("%w: its length never ends", errPacket)
		}
		return nil
	}
	for i := f.have - 1; i > 0; i-- {
		f.left = f.left<<7 | int64(f.head[i]&0x7f)
	}
	f.have = 0
	if f.left > f.limit.packet || (kind == typeSuback && f.left > f.limit.suback) {
		return fmt.Errorf("%w: type %d, %d bytes", errPacket, kind, f.left)
	}
	f.seen[kind].Add(1)
	return nil
}

// Write counts what was written: libraries write whole packets, one at a time.
func (g *guard) Write(p []byte) (int, error) {
	if err := g.SetWriteDeadline(time.Now().Add(dialPatience)); err != nil {
		return 0, err
	}
	n, err := g.Conn.Write(p)
	g.writing.Lock()
	defer g.writing.Unlock()
	_ = g.out.pass(p[:n]) // it has no limits
	return n, err
}
