package udp

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"heliograph/drivers/udp/mmsg"

	"golang.org/x/sys/unix"
)

// Our own choices.
const (
	// WantedBuffer is the receive buffer a receiver asks for: a quarter of a
	// second of a full 1 GbE line.
	WantedBuffer = 32 << 20

	batch       = 32      // messages per system call
	messageRoom = 1 << 16 // bytes in one, segments together
)

// Receiver receives frames at one address. It is not safe for concurrent use,
// but for Close and the counters.
type Receiver struct {
	at       *endpoint
	socket   *mmsg.Receiver
	buffer   int // bytes
	oversize atomic.Uint64

	mu    sync.Mutex
	drops mmsg.Drops
	total uint64 // of drops

	messages [batch]mmsg.Message
	vectors  [batch]unix.Iovec
	controls [batch][64]byte
	room     []byte // batch × messageRoom
}

// Listen returns a receiver at address (host:port). Without a host it receives
// on every IPv4 address of this machine.
func Listen(address string) (*Receiver, error) {
	at, err := resolve(address)
	if err != nil {
		return nil, err
	}
	fd, buffer, err := at.receiving()
	if err != nil {
		return nil, err
	}
	return newReceiver(fd, at, buffer)
}

// receiving opens a socket that never sends.
func (e *endpoint) receiving() (fd, buffer int, err error) {
	fd, err = e.socket(func(fd int) (err error) {
		if buffer, err = mmsg.ReceiveBuffer(fd, WantedBuffer); err != nil {
			return err
		}
		// A kernel without it delivers each datagram on its own.
		_ = unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1)
		// ENOTCONN is what a socket without a peer answers, and it obeys nevertheless.
		if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil && err != unix.ENOTCONN {
			return fmt.Errorf("shutting down the sending side: %w", err)
		}
		return unix.Bind(fd, e.address)
	})
	return fd, buffer, err
}

func newReceiver(fd int, at *endpoint, buffer int) (*Receiver, error) {
	socket, err := mmsg.NewReceiver(fd, "udp:"+at.name)
	if err != nil {
		return nil, err
	}
	r := &Receiver{at: at, socket: socket, buffer: buffer, room: make([]byte, batch*messageRoom)}
	for i := range r.messages {
		r.vectors[i].Base = &r.room[i*messageRoom]
		r.vectors[i].SetLen(messageRoom)
	}
	return r, nil
}

// Receive waits at most timeout and calls deliver with each frame of one batch.
// A frame is valid during the call only. Silence is not an error.
func (r *Receiver) Receive(timeout time.Duration, deliver func(frame []byte)) error {
	for i := range r.messages {
		h := &r.messages[i].Header
		h.Iov = &r.vectors[i]
		h.SetIovlen(1)
		h.Control = &r.controls[i][0]
		h.SetControllen(len(r.controls[i]))
		h.Flags = 0
	}
	n, err := r.socket.Receive(r.messages[:], timeout)
	if err != nil {
		return fmt.Errorf("udp: receiving at %s: %w", r.at.name, err)
	}
	for i := range n {
		m := &r.messages[i]
		data := r.room[i*messageRoom:][:m.Length]
		if m.Header.Flags&unix.MSG_TRUNC != 0 {
			r.oversize.Add(1)
			continue
		}
		r.split(data, segment(r.controls[i][:m.Header.Controllen]), deliver)
	}
	return nil
}

// split delivers the segments of a message; size 0 means it is one.
func (r *Receiver) split(data []byte, size int, deliver func(frame []byte)) {
	if size <= 0 || size > len(data) {
		size = len(data)
	}
	for first := true; first || len(data) > 0; first = false {
		n := min(size, len(data))
		if n > MaxFrame {
			r.oversize.Add(1)
		} else {
			deliver(data[:n:n])
		}
		data = data[n:]
	}
}

// segment finds the length of segments in a message's control data, or 0.
func segment(control []byte) int {
	const word = unix.SizeofCmsghdr
	for len(control) >= word {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		length := int(h.Len)
		if length < word || length > len(control) {
			return 0
		}
		if h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && length >= word+4 {
			return int(int32(binary.NativeEndian.Uint32(control[word:])))
		}
		control = control[min(unix.CmsgSpace(length-word), len(control)):]
	}
	return 0
}

// Dropped counts the datagrams for which the kernel had no room. A run of frames that
// arrives as one (UDP_GRO) counts once: the frames lost are up to 64 times as many.
func (r *Receiver) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.socket.Control(func(fd int) { // after Close the last total stands
		if m, err := mmsg.ReadMemInfo(fd); err == nil {
			r.total = r.drops.Add(m.Drops)
		}
	})
	return r.total
}

// Oversize counts datagrams that were longer than any frame.
func (r *Receiver) Oversize() uint64 { return r.oversize.Load() }

// Counts are the receiver's counters that are no frames of the link; the tags are
// those of firmware/platform/counter.
type Counts struct {
	Oversize uint64 `count:"oversize_datagrams" help:"UDP datagrams longer than any frame."`
}

// Counts returns the counters.
func (r *Receiver) Counts() any { return Counts{r.Oversize()} }

// Buffer is the size of the receive buffer in bytes. Below WantedBuffer the
// machine's limit, net.core.rmem_max, costs frames in bursts.
func (r *Receiver) Buffer() int { return r.buffer }

// Overhead is what each frame costs on the wire beyond its own bytes.
func (r *Receiver) Overhead() int { return r.at.overhead() }

// Close ends a Receive that waits, and releases the socket.
func (r *Receiver) Close() error { return r.socket.Close() }
