package drivertest

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Recorder writes down what passes through a Receiver or a Transmitter: one
// line for each chunk, nanoseconds since the start, a space, the bytes in hex.
type Recorder struct {
	mu    sync.Mutex
	to    io.Writer
	now   func() time.Time
	start time.Time
	err   error
}

// NewRecorder returns a Recorder whose time starts now.
func NewRecorder(to io.Writer, now func() time.Time) *Recorder {
	return &Recorder{to: to, now: now, start: now()}
}

// Err is the first error of the writer; what came after it is not recorded.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *Recorder) write(chunk []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		_, r.err = fmt.Fprintf(r.to, "%d %x\n", r.now().Sub(r.start).Nanoseconds(), chunk)
	}
}

// Receive has the signature of a Receiver's method.
type Receive func(timeout time.Duration, deliver func(chunk []byte)) error

// Receiver records what receive delivers.
func (r *Recorder) Receiver(receive Receive) Receive {
	return func(timeout time.Duration, deliver func([]byte)) error {
		return receive(timeout, func(chunk []byte) {
			r.write(chunk)
			deliver(chunk)
		})
	}
}

// Transmit has the signature of a Transmitter's method.
type Transmit func(frames [][]byte) (sent int, err error)

// Transmitter records the frames that transmit took.
func (r *Recorder) Transmitter(transmit Transmit) Transmit {
	return func(frames [][]byte) (int, error) {
		sent, err := transmit(frames)
		for _, f := range frames[:sent] {
			r.write(f)
		}
		return sent, err
	}
}

// Playback delivers a recording, chunk for chunk.
type Playback struct {
	lines *bufio.Scanner
	row   int
	last  time.Duration
	next  []byte
	due   time.Duration // from the chunk before
	end   error
}

// NewPlayback plays from.
func NewPlayback(from io.Reader) *Playback {
	p := &Playback{lines: bufio.NewScanner(from)}
	p.lines.Buffer(nil, 1<<18)
	p.read()
	return p
}

// Receive waits as long as the recording did before its next chunk, and
// delivers it; or it waits for timeout. After the last it returns io.EOF.
func (p *Playback) Receive(timeout time.Duration, deliver func(chunk []byte)) error {
	if p.end != nil {
		return p.end
	}
	if p.due > timeout {
		p.due -= timeout
		time.Sleep(timeout)
		return nil
	}
	time.Sleep(p.due)
	deliver(p.next)
	p.read()
	return nil
}

func (p *Playback) read() {
	if !p.lines.Scan() {
		if p.end = p.lines.Err(); p.end == nil {
			p.end = io.EOF
		}
		return
	}
	p.row++
	left, right, _ := strings.Cut(p.lines.Text(), " ")
	at, err := strconv.ParseInt(left, 10, 64)
	if err == nil {
		p.next, err = hex.DecodeString(right)
	}
	if err != nil || time.Duration(at) < p.last {
		p.end = fmt.Errorf("drivertest: recording, line %d: want nanoseconds, not before the last, and hex: %v", p.row, err)
		return
	}
	p.due, p.last = time.Duration(at)-p.last, time.Duration(at)
}
