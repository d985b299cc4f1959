package mqtt

import (
	"context"
	"encoding/binary"
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

	"heliograph/firmware/mqtt/packet"
)

// The client libraries index, allocate and call by what a broker sends, and would
// end the whole role with their own panic. A subscriber that never publishes and does
// not authenticate in steps has no use for other packets than these.
const answers = 1<<packet.Connack | 1<<packet.Publish | 1<<packet.Pubrel | 1<<packet.Suback |
	1<<packet.Unsuback | 1<<packet.Pingresp

// limits5 bounds MQTT 5, whose packets may carry properties.
func limits5() packet.Limits {
	return packet.Limits{Types: answers | 1<<packet.Disconnect, Size: maxPacket}
}

// limits311 bounds MQTT 3.1.1.
func limits311() packet.Limits { return packet.Limits{Types: answers, Size: maxPacket} }

// brokerConn bounds what a broker can make a client library do: a packet that is
// too long, or of a type that no broker sends to a subscriber, ends the
// connection before the library sees its length; a silent broker ends it after
// its time, and no write blocks for ever. It sends pings by itself, for the
// libraries do not while they wait for room, and stops reading while much of
// what it read was not handed over.
type brokerConn struct {
	net.Conn
	tcp     *net.TCPConn // below it
	in, out packet.Follower
	unread  unread
	suback  atomic.Int64 // bytes of a SUBACK after the fixed header, at most; 0: as of any packet
	reading atomic.Bool  // it waits for the broker, not for us
	arrived atomic.Int64 // bytes
	skim    *skimmer     // nil: the library gets everything

	released func(id uint16) // PUBREL came for that packet identifier; nil: nothing
	release  []byte          // of a PUBREL's packet identifier, what came
	buffer   []byte
	ready    []byte      // of what was read, what the library has not got yet
	dead     func(error) // a library may miss that its connection is lost as it begins
	writing  sync.Mutex
	closed   chan struct{}
	close    sync.Once

	lastArrival *lastArrival // on any connection to the broker
}

// traffic counts the packets that crossed a connection, by type, handled by the
// library or not. Safe for concurrent use.
type traffic struct {
	in, out [16]atomic.Uint64
}

// asked returns how many packets the broker sent that need an answer.
func (t *traffic) asked() uint64 { return t.in[packet.Publish].Load() + t.in[packet.Pubrel].Load() }

// lastArrival is when a broker last sent something on any of its connections. Brokers with one
// thread answer no ping on one connection while they send what they retain on another.
// Safe for concurrent use.
type lastArrival struct{ after atomic.Int64 } // nanoseconds after started

var started = time.Now()

func (a *lastArrival) note() { a.after.Store(int64(time.Since(started))) }

// ago returns for how long nothing has arrived.
func (a *lastArrival) ago() time.Duration { return time.Since(started) - time.Duration(a.after.Load()) }

// newBrokerConn returns conn, whose bytes are those of tcp or of TLS over it.
func newBrokerConn(
	conn net.Conn, tcp *net.TCPConn, l packet.Limits, t *traffic, last *lastArrival, dead func(error),
) *brokerConn {
	c := &brokerConn{Conn: conn, tcp: tcp, lastArrival: last, dead: dead, closed: make(chan struct{})}
	c.in = packet.Follower{
		Limits: l,
		Began: func(h *packet.Header) error {
			t.in[h.Type()].Add(1)
			c.release = c.release[:0]
			return c.checkSuback(h)
		},
		Body:  c.followRelease,
		Ended: func(h *packet.Header) { c.unread.read(h) },
	}
	c.out = packet.Follower{
		Limits: packet.Limits{Types: math.MaxUint16, Size: math.MaxInt64},
		Began:  func(h *packet.Header) error { t.out[h.Type()].Add(1); return nil },
	}
	return c
}

// followRelease notes which QoS 2 exchange a PUBREL ends (MQTT 5.0 §3.6.2): after it the
// broker may use the packet identifier for another message.
func (c *brokerConn) followRelease(h *packet.Header, part []byte) {
	const size = 2
	if h.Type() != packet.Pubrel || len(c.release) == size || c.released == nil {
		return
	}
	c.release = append(c.release, part[:min(len(part), size-len(c.release))]...)
	if len(c.release) == size {
		c.released(binary.BigEndian.Uint16(c.release))
	}
}

// checkSuback keeps a library from reading more codes than it asked for.
func (c *brokerConn) checkSuback(h *packet.Header) error {
	if most := c.suback.Load(); h.Type() == packet.Suback && most > 0 && h.Size() > most {
		return fmt.Errorf("%w: an answer to %d topics that were not asked for", packet.ErrSize, h.Size()-most)
	}
	return nil
}

// Close ends the connection, and everything that waits in it.
func (c *brokerConn) Close() error {
	c.close.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// pingreq returns a PINGREQ (MQTT 5.0 §3.12).
func pingreq() []byte { return []byte{packet.Pingreq << 4, 0} }

// ping sends pings to w, this connection or what writes to it, until the connection
// ends. To be called once it is established.
func (c *brokerConn) ping(w io.Writer) {
	ticker := time.NewTicker(keepAlive / 2)
	defer ticker.Stop()
	for {
		select {
		case <-c.closed:
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
				c.dead(err)
				return
			}
		}
	}
}

// maxAnswerWait is how long a broker may send other things than an answer.
const maxAnswerWait = 10 * time.Minute

// withAnswerTimeout returns a context that ends with errAnswer when the broker has
// not answered for d, not counting the time for which nothing was read from it, or
// in which it sent something else, though no more than maxAnswerWait of that.
func (c *brokerConn) withAnswerTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	const steps = 50
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		ticker := time.NewTicker(d / steps)
		defer ticker.Stop()
		before := c.arrived.Load()
		for silent, busy := 0, 0; silent < steps && time.Duration(busy) < maxAnswerWait/(d/steps); {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			switch now := c.arrived.Load(); {
			case now != before:
				before = now
				busy++
			case c.reading.Load():
				silent++
			}
		}
		cancel(errAnswer)
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// silence is longer than a living broker can be silent on all its connections: it answers pings.
const silence = keepAlive + pingTimeout + time.Second

// Read implements net.Conn.
func (c *brokerConn) Read(p []byte) (int, error) {
	for len(c.ready) == 0 {
		if err := c.fill(); err != nil {
			c.dead(err)
			return 0, err
		}
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	if err := c.in.Follow(p[:n]); err != nil {
		err = inWords(err)
		c.dead(err)
		return 0, err
	}
	return n, nil
}

// inWords adds to an error about a packet what can be done about it.
func inWords(err error) error {
	if errors.Is(err, packet.ErrType) {
		return fmt.Errorf("the broker sent a packet that no broker sends to a subscriber: %w", err)
	}
	return fmt.Errorf("the broker sent a packet that is too large; "+
		"take fewer topics, or make its messages smaller: %w", err)
}

// bufferSize is what is read at once: libraries read byte by byte.
const bufferSize = 64 << 10

// fill waits until there is room for more, and for the broker.
func (c *brokerConn) fill() error {
	if !c.unread.awaitRoom(c.closed) {
		return net.ErrClosed
	}
	c.acknowledgeAtOnce()
	if c.buffer == nil {
		c.buffer = make([]byte, bufferSize)
	}
	for wait := silence; wait > 0; wait = silence - c.lastArrival.ago() {
		if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return err
		}
		c.reading.Store(true)
		n, err := c.Conn.Read(c.buffer)
		c.reading.Store(false)
		if c.ready = c.buffer[:n]; c.skim != nil {
			c.ready = c.skim.filter(c.ready)
		}
		if n > 0 {
			c.arrived.Add(int64(n))
			c.lastArrival.note()
			return nil // an error comes again
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	return errAnswer
}

// acknowledgeAtOnce keeps the kernel from waiting for something to send with an
// acknowledgement (tcp(7), TCP_QUICKACK), while a broker with Nagle's algorithm
// waits for that acknowledgement with its next small packet.
func (c *brokerConn) acknowledgeAtOnce() {
	if c.tcp == nil {
		return
	}
	if raw, err := c.tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
	}
}

// Write counts the packets that were written.
func (c *brokerConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.SetWriteDeadline(time.Now().Add(dialTimeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	_ = c.out.Follow(p[:n]) // it has no limits
	return n, err
}
