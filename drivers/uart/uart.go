// Package uart drives one direction of a serial line: 8N1, raw, no flow control.
//
// A Receiver counts what the UART reports: bytes that its FIFO lost because the
// machine came too late, bytes that arrived damaged. A transmitter's UART has no
// such errors: it waits for the machine.
//
// A Transmitter has no Read and opens its device write-only, a Receiver has no
// Write and opens its device read-only. Settings are read back: what did not
// take is an error, except CREAD and the baud rate on a pty, which are warnings.
// The package refuses to block: every transfer has a deadline.
//
// A receiver's port sends nothing: its output is stopped, and it is opened so that the
// kernel has no time to echo what arrives before the settings are made (see start). PID
// 1 of a board opens it as OpenReceiverFile does, where no byte comes back; OpenReceiver,
// for a program without root's rights, leaves the microseconds between two system calls.
// Package probe alone lets it send, for its probes.
//
// What two boards show one another: drivers/smoke.
package uart

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	writeDeadline = 100 * time.Millisecond
	maxQueued     = 2   // codewords in the kernel's queue
	longestWord   = 259 // bytes of a codeword with its marker: shorter ones do not make the queue shorter
	maxBaud       = 4_000_000
	// gather is how long after a read the next one begins. A UART hands over a few bytes at a time, and QEMU's
	// one: without a pause each is a wake-up of the process. At 4 Mbaud it is 800 bytes, of 4,095 that the
	// kernel holds.
	gather = 2 * time.Millisecond
)

// Transmitter writes codewords. Not safe for concurrent use, but for Close and Arrived.
type Transmitter struct {
	port *port
	rest []byte // of a word cut short: finished first next time
}

// OpenTransmitter opens and sets device, and opens it again after an error.
func OpenTransmitter(device string, baud int) (*Transmitter, []string, error) {
	p, warnings, err := openPort(device, baud, unix.O_WRONLY)
	if err != nil {
		return nil, nil, err
	}
	return &Transmitter{port: p}, warnings, nil
}

// TransmitterFromFile adopts a descriptor that is already set and non-blocking.
func TransmitterFromFile(f *os.File) *Transmitter { return &Transmitter{port: &port{file: f}} }

// Transmit writes each word and returns how many were taken. It stops early,
// without an error, while the queue is full. A word cut short counts as taken;
// its rest leaves first next time, unless the port was opened again. While the
// port is away it returns an error at once.
func (t *Transmitter) Transmit(frames [][]byte) (sent int, err error) {
	now := time.Now()
	f, again, err := t.port.current(now)
	if err != nil {
		return 0, err
	}
	if again {
		t.rest = t.rest[:0]
	}
	if err := f.SetWriteDeadline(now.Add(writeDeadline)); err != nil {
		return 0, t.port.lose(f, fmt.Errorf("setting the write deadline: %w", err))
	}
	if len(t.rest) > 0 {
		n, err := t.write(f, t.rest)
		t.rest = t.rest[:copy(t.rest, t.rest[n:])]
		if err != nil || len(t.rest) > 0 {
			return 0, err
		}
	}
	for _, word := range frames {
		if full(queued(f)) {
			return sent, nil
		}
		n, err := t.write(f, word)
		if err != nil {
			return sent, err
		}
		if n == 0 {
			return sent, nil
		}
		sent++
		if n < len(word) {
			t.rest = append(t.rest[:0], word[n:]...)
			return sent, nil
		}
	}
	return sent, nil
}

func (t *Transmitter) write(f *os.File, b []byte) (int, error) {
	n, err := f.Write(b)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, t.port.lose(f, fmt.Errorf("writing: %w", err))
	}
	return n, nil
}

// full reports whether a queue of so many bytes takes no other word now.
func full(queued int) bool { return queued > (maxQueued-1)*longestWord }

// queued is 0 where the kernel does not say (a pty).
func queued(f *os.File) (n int) {
	control(f, func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.TIOCOUTQ) })
	return n
}

// Close releases the port.
func (t *Transmitter) Close() error { return t.port.close() }

// Receiver reads chunks. Not safe for concurrent use, but for Close and Counts.
type Receiver struct {
	port   *port
	errors errorCounter
	next   time.Time // read, at the earliest
	buffer [4096]byte
}

// OpenReceiver opens and sets device, and opens it again after an error.
func OpenReceiver(device string, baud int) (*Receiver, []string, error) {
	p, warnings, err := openPort(device, baud, unix.O_RDONLY)
	if err != nil {
		return nil, nil, err
	}
	return newReceiver(p), warnings, nil
}

// ReceiverFromFile adopts a descriptor that is already set and non-blocking.
func ReceiverFromFile(f *os.File) *Receiver { return newReceiver(&port{file: f}) }

func newReceiver(p *port) *Receiver {
	r := &Receiver{port: p}
	r.errors.begin(p)
	return r
}

// Receive delivers what arrives within timeout, at most one chunk, valid only
// during the call. It may take gather longer than that, after a chunk that did not fill
// half of the buffer. Silence is not an error. While the port is away it returns one at once.
func (r *Receiver) Receive(timeout time.Duration, deliver func(chunk []byte)) error {
	time.Sleep(time.Until(r.next))
	now := time.Now()
	f, again, err := r.port.current(now)
	if err != nil {
		return err
	}
	if again {
		r.errors.begin(r.port)
	}
	if err := f.SetReadDeadline(now.Add(timeout)); err != nil {
		return r.lose(f, fmt.Errorf("setting the read deadline: %w", err))
	}
	n, err := f.Read(r.buffer[:])
	if n < len(r.buffer)/2 {
		r.next = time.Now().Add(gather)
	}
	if n > 0 {
		deliver(r.buffer[:n])
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return r.lose(f, fmt.Errorf("reading: %w", err))
	}
	return nil
}

// lose closes a file after an error.
func (r *Receiver) lose(f *os.File, cause error) error {
	if !r.port.handed() {
		r.errors.end(r.port)
	}
	return r.port.lose(f, cause)
}

// Close releases the port.
func (r *Receiver) Close() error { return r.port.close() }
