// Package probe sends from the receiver's end of a link towards the transmitter: by each
// means that the medium has, whether or not a one-way link lets any of it through. What
// arrives there is for the transmitter to count.
//
// Who sends is root of RX's machine: heliograph accept on a Linux host; PID 1 of a board
// when a person at its console asks. The role itself is not linked with this package.
//
// It refuses to send anything but probes, and to read what the receiver reads: on a serial
// line it only writes, on a network it looks at one frame, for TX's addresses.
package probe

import (
	"errors"
	"time"
)

// Size is how many bytes each probe on a serial line has.
const Size = 16

// Our own choices.
const (
	pause   = time.Millisecond // between two probes
	settled = 200 * time.Millisecond
	noFrame = 10 * time.Second // without a frame of TX, its addresses are not known
)

var (
	errNoFrame = errors.New("no frame of TX arrived, so that its address is not known")
	// ErrInterrupted is the reason of a result that is not complete.
	ErrInterrupted = errors.New("interrupted")
)

// Plan is what to send. Its methods send it, each over one medium.
type Plan struct {
	Count    int         // by each means
	Progress func(Means) // called when all by one means were sent; nil: not wanted
}

// Means is one kind of probe.
type Means struct {
	Name  string
	Count int    // that left
	Error string // of the first one that did not
}

// Result is what was sent.
type Result struct {
	Sent   []Means
	Reason string  // why nothing was sent, or not all
	Cure   string  // of the reason, where it is known
	Left   *uint64 // packets that the kernel counts as sent by the interface meanwhile; nil: not known
	// OneMachine is that the link goes over the loopback, where nothing is one-way.
	OneMachine bool
}

// sent notes what was sent by one means.
func (p Plan) sent(r *Result, m Means) {
	r.Sent = append(r.Sent, m)
	if p.Progress != nil {
		p.Progress(m)
	}
}
