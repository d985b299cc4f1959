package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
)

// pipe returns a Conn with small limits and the raw peer of it.
func pipe(memory int64) (*Conn, net.Conn) {
	a, b := net.Pipe()
	c := newConn(a, Timeouts{Chunk: 10 * time.Second, Write: 10 * time.Second}.withDefaults(), &budget{limit: memory})
	c.limits = Negotiated{ReceiveChunk: 65535, SendChunk: 8192}
	return c, b
}

func chunk(size int) []byte {
	return append(Header{ServiceMessage, Final, uint32(size)}.Append(nil), bytes.Repeat([]byte{7}, size-HeaderSize)...)
}

func TestSlowClientLosesItsConnectionAtTheChunkDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pipe(1 << 20)
		go func() { // a byte a second: each is progress, none is enough
			for _, b := range chunk(1000) {
				if _, err := peer.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		start := time.Now()
		_, _, err := c.ReadChunk(time.Time{})
		if !errors.Is(err, ua.StatusBadTimeout) {
			t.Errorf("got %v, want Bad_Timeout", err)
		}
		if got := time.Since(start); got > 11*time.Second {
			t.Errorf("gave up after %v, want about 10 s", got)
		}
		c.Close()
		time.Sleep(2 * time.Second) // of the bubble's time: the peer sees the end
	})
}

func TestIdleClientLosesItsConnectionAtTheDeadlineGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := pipe(1 << 20)
		_, _, err := c.ReadChunk(time.Now().Add(time.Minute))
		if !errors.Is(err, ua.StatusBadTimeout) {
			t.Errorf("got %v, want Bad_Timeout", err)
		}
		c.Close()
	})
}

func TestPeerThatDoesNotReadIsClosedAtTheWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := pipe(1 << 20)
		start := time.Now()
		if err := c.WriteChunk(chunk(100)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want a deadline error", err)
		}
		if got := time.Since(start); got != 10*time.Second {
			t.Errorf("blocked for %v, want 10 s", got)
		}
		if err := c.WriteChunk(chunk(100)); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("after half a chunk: got %v, want a closed connection", err)
		}
	})
}

// Writers that wait for the one that is blocked do not delay the error either.
func TestFailEndsWritesToAPeerThatDoesNotRead(t *testing.T) {
	a, peer := net.Pipe()
	defer peer.Close()
	c := newConn(a, Timeouts{Write: time.Hour}.withDefaults(), &budget{limit: 1 << 20})
	c.limits = Negotiated{ReceiveChunk: 65535, SendChunk: 8192}
	const writers = 3
	written, failed := make(chan error, writers), make(chan struct{})
	for range writers {
		go func() { written <- c.WriteChunk(chunk(100)) }()
	}
	if _, err := peer.Read(make([]byte, 1)); err != nil { // one of them is sending
		t.Fatal(err)
	}
	go func() { defer close(failed); c.Fail(ua.StatusBadSecurityChecksFailed, "") }()
	await.Receive(t, "the connection is closed", failed)
	for range writers {
		if err := await.Receive(t, "a write ends", written); err == nil {
			t.Error("a chunk that was not read was sent")
		}
	}
}

func TestClaimedSizeAllocatesNothing(t *testing.T) {
	c, peer := pipe(1 << 20)
	go func() {
		_, _ = peer.Write(Header{ServiceMessage, Final, 65535}.Append(nil))
		peer.Close()
	}()
	if _, _, err := c.ReadChunk(time.Time{}); err == nil {
		t.Fatal("a chunk of 8 bytes that claims 65535 was taken")
	}
	if got := cap(c.chunk); got > HeaderSize+growStep {
		t.Errorf("holds %d bytes for 8 that arrived", got)
	}
}

func TestChunkAboveTheNegotiatedSizeIsRefused(t *testing.T) {
	c, peer := pipe(1 << 20)
	go func() { _, _ = peer.Write(Header{ServiceMessage, Final, 65536}.Append(nil)) }()
	if _, _, err := c.ReadChunk(time.Time{}); !errors.Is(err, ua.StatusBadTCPMessageTooLarge) {
		t.Errorf("read: got %v, want Bad_TcpMessageTooLarge", err)
	}
	if err := c.WriteChunk(chunk(8193)); !errors.Is(err, ua.StatusBadTCPMessageTooLarge) {
		t.Errorf("write: got %v, want Bad_TcpMessageTooLarge", err)
	}
}

func TestMemoryIsAccountedAndGivenBack(t *testing.T) {
	c, _ := pipe(40_000)
	other := account{from: c.account.from}
	if err := c.Reserve(guarantee + 40_000); err != nil {
		t.Fatal(err)
	}
	if err := c.Reserve(1); !errors.Is(err, ua.StatusBadTCPNotEnoughResources) {
		t.Errorf("got %v, want Bad_TcpNotEnoughResources", err)
	}
	if !other.reserve(guarantee) || other.reserve(1) {
		t.Error("another connection must get what it is guaranteed, and no more")
	}
	other.close()
	c.Release(40_000)
	if err := c.Reserve(40_000); err != nil {
		t.Errorf("after a release: %v", err)
	}
	c.Close()
	c.Release(1000) // late, as a message handed over may be
	if b := c.account.from; b.held.Load() != 0 || b.shared.Load() != 0 {
		t.Errorf("after close %d and %d bytes are held, want 0", b.held.Load(), b.shared.Load())
	}
	if err := c.Reserve(1); err == nil {
		t.Error("a closed connection reserved memory")
	}
}

func TestChunkNeedsMemory(t *testing.T) {
	c, peer := pipe(0)
	if err := c.Reserve(guarantee - 1000); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = peer.Write(chunk(60000)) }()
	if _, _, err := c.ReadChunk(time.Time{}); !errors.Is(err, ua.StatusBadTCPNotEnoughResources) {
		t.Errorf("got %v, want Bad_TcpNotEnoughResources", err)
	}
	c.Close()
}

func TestReadingAllocatesNothing(t *testing.T) {
	c, peer := pipe(1 << 20)
	defer c.Close()
	one := chunk(4000)
	go func() {
		for {
			if _, err := peer.Write(one); err != nil {
				return
			}
		}
	}()
	got := testing.AllocsPerRun(200, func() {
		if _, _, err := c.readRest(65535); err != nil {
			t.Fatal(err)
		}
	})
	if got > 0 {
		t.Errorf("reading a chunk allocates %v times, want 0", got)
	}
}

func TestClientRefusesWhatIsNoAcknowledge(t *testing.T) {
	for name, c := range map[string]struct {
		answer []byte
		want   error
	}{
		"error":      {(&Error{Code: ua.StatusBadTCPServerTooBusy}).Append(nil), ua.StatusBadTCPServerTooBusy},
		"good error": {(&Error{Code: ua.StatusOK}).Append(nil), ua.StatusBadTCPInternalError},
		"hello":      {HelloBody{EndpointURL: "x"}.AppendHello(nil), ua.StatusBadTCPMessageTypeInvalid},
		"tiny buffers": {HelloBody{ReceiveBuffer: 8, SendBuffer: 8}.AppendAcknowledge(nil),
			ua.StatusBadConnectionRejected},
		"endless claim": {Header{Acknowledge, Final, 1 << 31}.Append(nil), ua.StatusBadTCPMessageTooLarge},
		"cut off":       {Header{Acknowledge, Final, 10}.Append(nil), io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := net.Pipe()
			go func() {
				_, _ = io.ReadFull(b, make([]byte, HeaderSize+20+4+len("opc.tcp://x")))
				_, _ = b.Write(c.answer)
				b.Close()
			}()
			if _, err := new(Dialer).Client(t.Context(), a, "opc.tcp://x"); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestSilentServerDoesNotHoldTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, b) }()
		if _, err := new(Dialer).Client(t.Context(), a, "opc.tcp://x"); !errors.Is(err, ua.StatusBadTimeout) {
			t.Errorf("got %v, want Bad_Timeout", err)
		}
		a.Close()
		a, b2 := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, b2) }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := new(Dialer).Client(ctx, a, "opc.tcp://x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		a.Close()
	})
}

// slowEnd is a socket whose peer goes on sending for as long as a test wants.
type slowEnd struct {
	net.Conn
	reading chan struct{} // closed by the first Read
	peer    chan struct{} // closed: the peer ends
	closed  chan struct{}
	once    sync.Once
}

func (s *slowEnd) Read([]byte) (int, error) {
	s.once.Do(func() { close(s.reading) })
	<-s.peer
	return 0, io.EOF
}
func (s *slowEnd) Write(b []byte) (int, error)      { return len(b), nil }
func (s *slowEnd) CloseWrite() error                { return nil }
func (s *slowEnd) SetReadDeadline(time.Time) error  { return nil }
func (s *slowEnd) SetWriteDeadline(time.Time) error { return nil }
func (s *slowEnd) Close() error                     { close(s.closed); return nil }

// Another goroutine that closes the connection meanwhile, such as its reader, does not reset it
// under the error message.
func TestAConnectionStaysOpenWhileItsErrorIsSent(t *testing.T) {
	end := &slowEnd{reading: make(chan struct{}), peer: make(chan struct{}), closed: make(chan struct{})}
	c := newConn(end, Timeouts{}.withDefaults(), &budget{limit: 1 << 20})
	failed := make(chan struct{})
	go func() { defer close(failed); c.Fail(ua.StatusBadTCPNotEnoughResources, "full") }()
	<-end.reading
	c.Close()
	select {
	case <-end.closed:
		t.Error("closed before the peer has ended")
	default:
	}
	close(end.peer)
	<-failed
	<-end.closed
	c.Close()
}
