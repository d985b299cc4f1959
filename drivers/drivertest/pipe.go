package drivertest

import (
	"bytes"
	"time"
)

// Pipe is a one-way datagram link in memory with the signatures of a
// Transmitter and a Receiver. When it is full, Transmit takes no more.
type Pipe struct{ queue chan []byte }

// NewPipe returns a Pipe that holds up to size datagrams.
func NewPipe(size int) *Pipe { return &Pipe{queue: make(chan []byte, size)} }

// Transmit queues copies of frames and returns how many there was room for.
func (p *Pipe) Transmit(frames [][]byte) (sent int, err error) {
	for _, f := range frames {
		select {
		case p.queue <- bytes.Clone(f):
			sent++
		default:
			return sent, nil
		}
	}
	return sent, nil
}

// Receive delivers one datagram, or returns after timeout.
func (p *Pipe) Receive(timeout time.Duration, deliver func(chunk []byte)) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case f := <-p.queue:
		deliver(f)
	case <-timer.C:
	}
	return nil
}
