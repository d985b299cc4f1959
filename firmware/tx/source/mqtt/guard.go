package mqtt

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// Types of control packets (MQTT 5.0 §2.1.2).
const (
	typeConnack    = 2
	typePublish    = 3
	typePubrel     = 6
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
	limit limit
	dead  func(error) // a library may miss that its connection is lost as it begins
	head  [5]byte     // of the packet: type, then the remaining length
	have  int
	left  int64 // of the packet, once its head is read
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
	if bad := g.pass(p[:n]); bad != nil {
		n, err = 0, bad
	}
	if err != nil {
		g.dead(err)
	}
	return n, err
}

// pass follows the packets in b.
func (g *guard) pass(b []byte) error {
	for len(b) > 0 {
		if g.left > 0 {
			k := min(g.left, int64(len(b)))
			g.left -= k
			b = b[k:]
			continue
		}
		if err := g.header(b[0]); err != nil {
			return err
		}
		b = b[1:]
	}
	return nil
}

// header takes one byte of a fixed header (MQTT 5.0 §2.1).
func (g *guard) header(b byte) error {
	g.head[g.have] = b
	g.have++
	kind := g.head[0] >> 4
	if g.limit.types>>kind&1 == 0 {
		return fmt.Errorf("%w: type %d", errType, kind)
	}
	if g.have == 1 {
		return nil
	}
	if b&0x80 != 0 {
		if g.have == len(g.head) {
			return fmt.Errorf("%w: its length never ends", errPacket)
		}
		return nil
	}
	for i := g.have - 1; i > 0; i-- {
		g.left = g.left<<7 | int64(g.head[i]&0x7f)
	}
	g.have = 0
	if g.left > g.limit.packet || (kind == typeSuback && g.left > g.limit.suback) {
		return fmt.Errorf("%w: type %d, %d bytes", errPacket, kind, g.left)
	}
	return nil
}

func (g *guard) Write(p []byte) (int, error) {
	if err := g.SetWriteDeadline(time.Now().Add(dialPatience)); err != nil {
		return 0, err
	}
	return g.Conn.Write(p)
}
