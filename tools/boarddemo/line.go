package boarddemo

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// Line is the wire from TX's port to RX's. It holds what the connections to the emulators do,
// so that a busy machine loses little; what an end does not take then is lost. The zero value
// of its switches is a line that is whole and leads one way.
type Line struct {
	Sent, Back   atomic.Uint64 // bytes that TX and RX have put on it
	cut, wayBack atomic.Bool
	tx, rx       net.Listener // where the emulators connect to
}

const (
	lineBlock   = 4096                 // bytes
	lineTimeout = 5 * time.Millisecond // of a write to an end that takes nothing
)

// openLine returns one that waits for both ends.
func openLine() (*Line, error) {
	l := &Line{}
	var err error
	for _, end := range []*net.Listener{&l.tx, &l.rx} {
		if *end, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			l.close()
			return nil, err
		}
	}
	go l.carry()
	return l, nil
}

// close ends it.
func (l *Line) close() {
	for _, end := range []net.Listener{l.tx, l.rx} {
		if end != nil {
			_ = end.Close()
		}
	}
}

// ToggleCut pulls the line out of RX, or puts it back.
func (l *Line) ToggleCut() { l.cut.Store(!l.cut.Load()) }

// ToggleWayBack has what RX sends arrive at TX, or not any more: a fault that an acceptance
// has to find.
func (l *Line) ToggleWayBack() { l.wayBack.Store(!l.wayBack.Load()) }

// faults says in words which there are, "" for none.
func (l *Line) faults() (words string) {
	if l.cut.Load() {
		words = "; CUT"
	}
	if l.wayBack.Load() {
		words += "; A WAY BACK is wired"
	}
	return words
}

func (l *Line) carry() {
	var ends [2]net.Conn
	for i, listener := range []net.Listener{l.rx, l.tx} {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		ends[i] = c
	}
	rx, tx := ends[0], ends[1]
	back := make(chan struct{})
	go func() {
		defer close(back)
		pass(rx, tx, &l.Back, l.wayBack.Load)
		_ = tx.Close() // the other direction ends as well
	}()
	pass(tx, rx, &l.Sent, func() bool { return !l.cut.Load() })
	_ = rx.Close()
	<-back
}

// pass counts what one end sends, and hands it to the other one while that is allowed.
func pass(from, to net.Conn, count *atomic.Uint64, allowed func() bool) {
	for b := make([]byte, lineBlock); ; {
		n, err := from.Read(b)
		crosses := allowed()
		count.Add(uint64(n))
		if err != nil {
			return
		}
		if !crosses {
			continue
		}
		_ = to.SetWriteDeadline(time.Now().Add(lineTimeout))
		if _, err := to.Write(b[:n]); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}
