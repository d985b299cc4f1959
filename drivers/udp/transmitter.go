package udp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"heliograph/drivers/udp/mmsg"

	"golang.org/x/sys/unix"
)

// Limits of the kernel (udp(7), linux/udp.h).
const (
	maxSegments   = 64     // UDP_MAX_SEGMENTS before Linux 6.10
	maxRun        = 65_000 // below 65507, what one datagram holds before it is segmented
	segmentOption = unix.UDP_SEGMENT
)

// Our own choices.
const (
	maxWait     = 4 * time.Millisecond // of one Transmit while the kernel has no room
	sendBuffer  = 1 << 20
	maxMessages = 64  // per system call
	maxFrames   = 256 // per system call
)

// Transmitter sends frames to one address. It is not safe for concurrent use,
// but for Close and Segmented.
type Transmitter struct {
	to     *endpoint
	socket *mmsg.Sender
	single atomic.Bool // segmentation was refused: each frame leaves on its own

	messages [maxMessages]mmsg.Message
	frames   [maxMessages]int // in each message
	vectors  [maxFrames]unix.Iovec
	controls [maxMessages]control
}

// control is a struct cmsghdr with a uint16 in it (CMSG_SPACE).
type control struct {
	header  unix.Cmsghdr
	segment [8]byte
}

// Dial returns a transmitter to address (host:port). Nothing leaves until
// Transmit is called, and no receiver has to listen.
func Dial(address string) (*Transmitter, error) {
	to, err := resolveHost(address)
	if err != nil {
		return nil, err
	}
	fd, err := to.transmitting()
	if err != nil {
		return nil, err
	}
	return newTransmitter(fd, to)
}

func resolveHost(address string) (*endpoint, error) {
	to, err := resolve(address)
	if err != nil {
		return nil, err
	}
	if a := to.v4.Addr; to.domain == unix.AF_INET && a == [4]byte{} || to.domain == unix.AF_INET6 &&
		to.v6.Addr == [16]byte{} {
		return nil, fmt.Errorf("udp: %s names no host to send to; use host:port, such as 10.0.0.2:17000", address)
	}
	return to, nil
}

// transmitting opens a socket that never receives.
func (e *endpoint) transmitting() (int, error) {
	return e.socket(func(fd int) error {
		if err := mmsg.DropAll(fd); err != nil {
			return err
		}
		if _, err := mmsg.SendBuffer(fd, sendBuffer); err != nil {
			return err
		}
		return neverFragment(fd, e.domain)
	})
}

func newTransmitter(fd int, to *endpoint) (*Transmitter, error) {
	socket, err := mmsg.NewSender(fd, "udp:"+to.name)
	if err != nil {
		return nil, err
	}
	t := &Transmitter{to: to, socket: socket}
	for i := range t.controls {
		c := &t.controls[i]
		c.header.Level, c.header.Type = unix.SOL_UDP, segmentOption
		c.header.SetLen(unix.CmsgLen(2))
	}
	return t, nil
}

func neverFragment(fd, domain int) error {
	level, option, probe := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE
	if domain == unix.AF_INET6 {
		level, option, probe = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE
	}
	if err := unix.SetsockoptInt(fd, level, option, probe); err != nil {
		return fmt.Errorf("forbidding fragmentation: %w", err)
	}
	return nil
}

// Transmit sends frames in order, one datagram each, and returns how many have
// left. When the kernel has no room for some milliseconds the rest is unsent,
// without an error. Frames are not kept.
func (t *Transmitter) Transmit(frames [][]byte) (sent int, err error) {
	left := maxWait
	for sent < len(frames) {
		messages, vectors := t.plan(frames[sent:])
		if messages == 0 {
			return sent, fmt.Errorf("udp: a frame of %d bytes is longer than the %d that a datagram holds",
				len(frames[sent]), t.to.maxFrame())
		}
		n, err := t.socket.Send(t.messages[:messages], &left)
		clear(t.vectors[:vectors])
		for _, count := range t.frames[:n] {
			sent += count
		}
		switch {
		case err == nil && n < messages:
			return sent, nil
		case err == nil:
		case t.frames[n] > 1 && refusesSegments(err):
			t.single.Store(true)
		default:
			return sent, t.explain(err, len(frames[sent]))
		}
	}
	return sent, nil
}

// plan fills messages with as many frames as one system call takes, and returns
// how many messages and vectors it used. It stops before a frame that is too long.
func (t *Transmitter) plan(frames [][]byte) (messages, vectors int) {
	segment := !t.single.Load()
	for messages < maxMessages && vectors < maxFrames && len(frames) > 0 {
		n := 1
		if len(frames[0]) > t.to.maxFrame() {
			break
		}
		if segment {
			n = run(frames, maxFrames-vectors)
		}
		t.fill(messages, t.vectors[vectors:vectors+n], frames[:n])
		messages, vectors, frames = messages+1, vectors+n, frames[n:]
	}
	return messages, vectors
}

// run returns how many of the first frames, at least one, may leave as the
// segments of one datagram: all of one length, but for a shorter last.
func run(frames [][]byte, room int) int {
	size := len(frames[0])
	if size == 0 {
		return 1
	}
	n := 1
	for limit := min(len(frames), room, maxSegments, maxRun/size); n < limit; n++ {
		if length := len(frames[n]); length == 0 || length > size {
			break
		} else if length < size {
			return n + 1
		}
	}
	return n
}

func (t *Transmitter) fill(i int, vectors []unix.Iovec, frames [][]byte) {
	for j, f := range frames {
		vectors[j] = unix.Iovec{}
		if len(f) > 0 {
			vectors[j].Base = &f[0]
		}
		vectors[j].SetLen(len(f))
	}
	t.frames[i] = len(frames)
	h := &t.messages[i].Header
	h.Name, h.Namelen = t.to.raw()
	h.Iov = &vectors[0]
	h.SetIovlen(len(vectors))
	h.Control = nil
	h.SetControllen(0)
	if len(frames) > 1 {
		c := &t.controls[i]
		binary.NativeEndian.PutUint16(c.segment[:], uint16(len(frames[0])))
		h.Control = (*byte)(unsafe.Pointer(c))
		h.SetControllen(unix.CmsgSpace(2))
	}
}

// refusesSegments says whether an error can come from segmentation alone: a
// card that cannot checksum (EIO), a kernel that does not know the option
// (EINVAL), or one that judges the run, not the frame (EMSGSIZE). What fails
// for another reason fails again when sent on its own, and is reported then.
func refusesSegments(err error) bool {
	return errors.Is(err, unix.EIO) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EMSGSIZE) ||
		errors.Is(err, unix.EOPNOTSUPP)
}

func (t *Transmitter) explain(err error, size int) error {
	hint := ""
	switch {
	case errors.Is(err, unix.EMSGSIZE):
		hint = fmt.Sprintf(" (a frame of %d bytes does not fit the interface's MTU and is never fragmented; set "+
			"the MTU to 1500)", size)
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETDOWN):
		hint = " (no way there; bring the interface up and give it an address and a route)"
	case errors.Is(err, unix.EPERM):
		hint = " (this machine's firewall forbids it)"
	}
	return fmt.Errorf("udp: sending to %s: %w%s", t.to.name, err, hint)
}

// MaxFrame is the length of the longest frame.
func (t *Transmitter) MaxFrame() int { return t.to.maxFrame() }

// Overhead is what each frame costs on the wire beyond its own bytes.
func (t *Transmitter) Overhead() int { return t.to.overhead() }

// Segmented says whether the kernel still splits runs of frames for us.
func (t *Transmitter) Segmented() bool { return !t.single.Load() }

// Close releases the socket.
func (t *Transmitter) Close() error { return t.socket.Close() }
