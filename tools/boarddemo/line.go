package boarddemo

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// Line is the wire from TX's port to RX's. The zero value of its switches is a line that is whole
// and leads one way.
//
// RX's end takes datagrams: of a stream QEMU 7 hands its UART one byte per turn of its main loop, and
// half a processor is busy with 115,200 baud; of a datagram, what the UART's FIFO takes. What RX does
// not read in time fills its emulator's socket, some tens of kilobytes, and the rest is lost, as on a
// wire: a line that is always full never makes up for what is late.
type Line struct {
	Sent, Back   atomic.Uint64 // bytes that TX and RX have put on it
	cut, wayBack atomic.Bool
	tx           net.Listener // waits for TX's emulator
	rx           *net.UDPConn
	far          netip.AddrPort // of RX's emulator
}

const (
	lineBlock   = 4096                 // bytes
	lineGather  = 5 * time.Millisecond // between two reads, which are a datagram each
	lineTimeout = 5 * time.Millisecond // of a write to TX's emulator when that takes nothing
)

// openLine returns one that waits for both ends.
func openLine() (*Line, error) {
	l := &Line{}
	err := l.open()
	if err != nil {
		l.close()
		return nil, err
	}
	go l.carry()
	return l, nil
}

func (l *Line) open() (err error) {
	loopback := net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0"))
	free, err := net.ListenUDP("udp", loopback)
	if err != nil {
		return err
	}
	defer func() { _ = free.Close() }()
	l.far = free.LocalAddr().(*net.UDPAddr).AddrPort()
	if l.rx, err = net.ListenUDP("udp", loopback); err != nil {
		return err
	}
	l.tx, err = net.Listen("tcp", loopback.String())
	return err
}

// devices are the emulators' character devices of both ends.
func (l *Line) devices() (tx, rx string) {
	return fmt.Sprintf("socket,host=127.0.0.1,port=%d", portNumber(l.tx)),
		fmt.Sprintf("udp,host=127.0.0.1,port=%d,localaddr=127.0.0.1,localport=%d",
			l.rx.LocalAddr().(*net.UDPAddr).Port, l.far.Port())
}

// close ends it.
func (l *Line) close() {
	if l.tx != nil {
		_ = l.tx.Close()
	}
	if l.rx != nil {
		_ = l.rx.Close()
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
	tx, err := l.tx.Accept()
	if err != nil {
		return
	}
	defer func() { _ = tx.Close() }()
	go l.carryBack(tx)
	for b := make([]byte, lineBlock); ; time.Sleep(lineGather) {
		n, err := tx.Read(b)
		crosses := !l.cut.Load()
		l.Sent.Add(uint64(n))
		if err != nil {
			return
		}
		if crosses {
			_, _ = l.rx.WriteToUDPAddrPort(b[:n], l.far) // is lost, as on a wire
		}
	}
}

// carryBack counts what RX sends, and hands it to TX where the line has a way back.
func (l *Line) carryBack(tx net.Conn) {
	for b := make([]byte, lineBlock); ; {
		n, from, err := l.rx.ReadFromUDPAddrPort(b)
		crosses := l.wayBack.Load()
		switch {
		case errors.Is(err, net.ErrClosed):
			_ = tx.Close() // the other direction ends as well
			return
		case err != nil || from.Port() != l.far.Port():
			continue
		}
		l.Back.Add(uint64(n))
		if crosses {
			_ = tx.SetWriteDeadline(time.Now().Add(lineTimeout))
			_, _ = tx.Write(b[:n])
		}
	}
}
