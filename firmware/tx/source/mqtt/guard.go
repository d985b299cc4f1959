package mqtt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
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
}

// A subscriber that never publishes and does not authenticate in steps has no
// use for other packets.
const answers = 1<<typeConnack | 1<<typePublish | 1<<typePubrel | 1<<typeSuback | 1<<typeUnsuback | 1<<typePingresp

// limit5 bounds MQTT 5, whose packets may carry properties.
func limit5() limit { return limit{types: answers | 1<<typeDisconnect, packet: maxPacket} }

// limit3 bounds MQTT 3.1.1.
func limit3() limit { return limit{types: answers, packet: maxPacket} }

// guard bounds what a broker can make a client library do: a packet that is
// too long, or of a type that no broker sends to a subscriber, ends the
// connection before the library sees its length; a silent broker ends it after
// its time, and no write blocks for ever. It sends pings by itself, for the
// libraries do not while they wait for room, and stops reading while much of
// what it read was not handed over.
type guard struct {
	net.Conn
	tcp     *net.TCPConn // below it
	in, out flow
	unread  window
	suback  atomic.Int64 // bytes of a SUBACK after the fixed header, at most; 0: as of any packet
	reading atomic.Bool  // it waits for the broker, not for us
	arrived atomic.Int64 // bytes
	skim    *skimmer     // nil: the library gets everything
	buffer  []byte
	ready   []byte      // of what was read, what the library has not got yet
	dead    func(error) // a library may miss that its connection is lost as it begins
	writing sync.Mutex
	closed  chan struct{}
	close   sync.Once
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
	begun func(head byte, size int64) error // at the end of a header; nil: nothing
	ended func(head byte, size int64)       // at the end of a packet; nil: nothing
	head  [5]byte                           // of the packet: type, then the remaining length
	have  int
	size  int64 // of the packet, once its head is known
	left  int64 // … of which this is not read yet
}

func newGuard(conn net.Conn, tcp *net.TCPConn, l limit, t *traffic, dead func(error)) *guard {
	own := limit{types: math.MaxUint16, packet: math.MaxInt64}
	g := &guard{Conn: conn, tcp: tcp, in: flow{limit: l, seen: &t.in}, out: flow{limit: own, seen: &t.out}, dead: dead, closed: make(chan struct{})}
	g.in.begun, g.in.ended = g.checkSuback, g.unread.read
	return g
}

// checkSuback keeps a library from taking more codes than it asked for.
func (g *guard) checkSuback(head byte, size int64) error {
	if most := g.suback.Load(); head>>4 == typeSuback && most > 0 && size > most {
		return fmt.Errorf("%w: an answer to %d topics that were not asked for", errPacket, size-most)
	}
	return nil
}

// Close ends the connection, and whatever waits in it.
func (g *guard) Close() error {
	g.close.Do(func() { close(g.closed) })
	return g.Conn.Close()
}

// pingreq returns a PINGREQ (MQTT 5.0 §3.12).
func pingreq() []byte { return []byte{0xc0, 0} }

// ping sends pings to w, this guard or what writes to it, until the connection
// ends. To be called once it is established.
func (g *guard) ping(w io.Writer) {
	ticker := time.NewTicker(keepAlive / 2)
	defer ticker.Stop()
	for {
		select {
		case <-g.closed:
			return
		case <-ticker.C:
			safe, ok := w.(sync.Locker)
			if ok { // its user writes packets in parts
				safe.Lock()
			}
			_, err := w.Write(pingreq())
			if ok {
				safe.Unlock()
			}
			if err != nil {
				g.dead(err)
				return
			}
		}
	}
}

// patience returns a context that ends with errAnswer when the broker has not
// answered for d, not counting the time for which nothing was read from it, or
// in which it sent something else, though no more than mostPatience of that.
func (g *guard) patience(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	const steps = 50
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		ticker := time.NewTicker(d / steps)
		defer ticker.Stop()
		before := g.arrived.Load()
		for silent, busy := 0, 0; silent < steps && time.Duration(busy) < mostPatience/(d/steps); {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			switch now := g.arrived.Load(); {
			case now != before:
				before = now
				busy++
			case g.reading.Load():
				silent++
			}
		}
		cancel(errAnswer)
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// mostPatience is how long a broker may send other things than an answer.
const mostPatience = 10 * time.Minute

// Errors that end a connection.
var (
	errPacket = errors.New("the broker sent a packet that is too large; take fewer topics, or make its messages smaller")
	errType   = errors.New("the broker sent a packet that no broker sends to a subscriber")
)

// silence is longer than a living broker can be silent: it answers pings.
const silence = keepAlive + pingPatience + time.Second

func (g *guard) Read(p []byte) (int, error) {
	for len(g.ready) == 0 {
		if err := g.fill(); err != nil {
			g.dead(err)
			return 0, err
		}
	}
	n := copy(p, g.ready)
	g.ready = g.ready[n:]
	if err := g.in.pass(p[:n]); err != nil {
		g.dead(err)
		return 0, err
	}
	return n, nil
}

// bufferSize is what is read at once: libraries read byte by byte.
const bufferSize = 64 << 10

// fill waits until there is room for more, and for the broker.
func (g *guard) fill() error {
	if !g.unread.wait(g.closed) {
		return net.ErrClosed
	}
	g.acknowledgeAtOnce()
	if g.buffer == nil {
		g.buffer = make([]byte, bufferSize)
	}
	if err := g.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return err
	}
	g.reading.Store(true)
	n, err := g.Conn.Read(g.buffer)
	g.reading.Store(false)
	g.arrived.Add(int64(n))
	if g.ready = g.buffer[:n]; g.skim != nil {
		g.ready = g.skim.filter(g.ready)
	}
	switch {
	case n > 0:
		return nil // an error comes again
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errAnswer
	}
	return err
}

// acknowledgeAtOnce keeps the kernel from waiting for something to send with an
// acknowledgement (tcp(7), TCP_QUICKACK), while a broker with Nagle's algorithm
// waits for that acknowledgement with its next small packet.
func (g *guard) acknowledgeAtOnce() {
	if g.tcp == nil {
		return
	}
	if raw, err := g.tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
	}
}

// pass follows the packets in b.
func (f *flow) pass(b []byte) error {
	for len(b) > 0 {
		if f.left > 0 {
			k := min(f.left, int64(len(b)))
			f.left -= k
			b = b[k:]
			if f.left == 0 && f.ended != nil {
				f.ended(f.head[0], f.size)
			}
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
	f.have, f.size = 0, f.left
	if f.left > f.limit.packet {
		return fmt.Errorf("%w: type %d, %d bytes", errPacket, kind, f.left)
	}
	f.seen[kind].Add(1)
	if f.begun != nil {
		return f.begun(f.head[0], f.size)
	}
	return nil
}

// Write counts what was written.
func (g *guard) Write(p []byte) (int, error) {
	g.writing.Lock()
	defer g.writing.Unlock()
	if err := g.SetWriteDeadline(time.Now().Add(dialPatience)); err != nil {
		return 0, err
	}
	n, err := g.Conn.Write(p)
	_ = g.out.pass(p[:n]) // it has no limits
	return n, err
}
