package boarddemo

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

// Line is the wire from TX's port to RX's. It holds lineHeld, so that a busy machine loses little; what an
// end does not take then is lost. On a line that is always full, as a UART's, what is held never drains: of
// more, values would be late for ever. So its ends are Unix sockets, whose sender's buffer bounds what was
// not read; but on Windows, where QEMU may not have them, TCP, which holds what its buffers do. The zero
// value of its switches is a line that is whole and leads one way.
type Line struct {
	Sent, Back   atomic.Uint64 // bytes that TX and RX have put on it
	cut, wayBack atomic.Bool
	tx, rx       net.Listener // where the emulators connect to
}

const (
	lineBlock   = 4096                 // bytes
	lineHeld    = 16 << 10             // bytes to RX, about 1.4 s at 115,200 baud
	lineTimeout = 5 * time.Millisecond // of a write to an end that takes nothing
)

// openLine returns one that waits for both ends, at sockets in a folder.
func openLine(folder string) (*Line, error) {
	l := &Line{}
	var err error
	for name, end := range map[string]*net.Listener{"tx": &l.tx, "rx": &l.rx} {
		if runtime.GOOS == "windows" {
			*end, err = net.Listen("tcp", "127.0.0.1:0")
		} else {
			*end, err = net.Listen("unix", filepath.Join(folder, name+".line"))
		}
		if err != nil {
			l.close()
			return nil, err
		}
	}
	go l.carry()
	return l, nil
}

// device is the emulator's character device of an end.
func device(end net.Listener) string {
	if tcp, ok := end.Addr().(*net.TCPAddr); ok {
		return fmt.Sprintf("socket,host=127.0.0.1,port=%d", tcp.Port)
	}
	return "socket,path=" + strings.ReplaceAll(end.Addr().String(), ",", ",,")
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
	if held, ok := rx.(interface{ SetWriteBuffer(int) error }); ok {
		_ = held.SetWriteBuffer(lineHeld) // else it holds more
	}
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
