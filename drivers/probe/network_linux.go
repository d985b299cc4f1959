package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/drivers/netdev"
)

// notAllowed is why a machine's user cannot send probes.
const notAllowed = "raw frames need root, or CAP_NET_RAW"

// Ethernet probes a link on an interface of its own, in the network namespace of the calling
// thread.
func (p Plan) Ethernet(ctx context.Context, index int, own net.HardwareAddr) Result {
	if len(own) != macSize {
		return Result{Reason: "the link is not on an Ethernet interface"}
	}
	s, err := open(unix.SOCK_RAW, typeLink, index)
	if err != nil {
		return failed(err)
	}
	defer s.close()
	tx, err := s.next(ctx, func(b []byte, from *unix.SockaddrLinklayer) bool { return len(b) >= 14 })
	e := forEthernet(own, nil)
	switch {
	case errors.Is(err, ErrInterrupted):
		return failed(err)
	case err == nil:
		e.tx = net.HardwareAddr(tx.Addr[:macSize])
	}
	return p.send(ctx, index, e.probes())
}

// UDP probes the machine from which datagrams come to an address, in the network namespace of
// the calling thread.
func (p Plan) UDP(ctx context.Context, address string) Result {
	at, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return failed(err)
	}
	s, err := open(unix.SOCK_DGRAM, unix.ETH_P_ALL, 0)
	if err != nil {
		return failed(err)
	}
	defer s.close()
	var e ends
	from, err := s.next(ctx, func(b []byte, from *unix.SockaddrLinklayer) bool {
		found, ok := datagram(b)
		if ok = ok && found.rxPort == uint16(at.Port) && from.Pkttype != unix.PACKET_OUTGOING; ok {
			e = found
		}
		return ok
	})
	if err != nil {
		return failed(err)
	}
	i, err := net.InterfaceByIndex(from.Ifindex)
	if err != nil {
		return failed(err)
	}
	if i.Flags&net.FlagLoopback != 0 { // the kernel takes no frame with its addresses from outside
		r := p.sendDatagrams(ctx, e)
		r.OneMachine = true
		return r
	}
	e.rx, e.tx = i.HardwareAddr, net.HardwareAddr(from.Addr[:macSize])
	if len(e.rx) != macSize {
		return Result{Reason: i.Name + " is not an Ethernet interface"}
	}
	return p.send(ctx, i.Index, e.probes())
}

// sendDatagrams sends UDP from an ordinary socket.
func (p Plan) sendDatagrams(ctx context.Context, e ends) (r Result) {
	m := Means{Name: "UDP to TX's address and port"}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(e.txIP, e.txPort)))
	if err != nil {
		return failed(err)
	}
	defer c.Close()
	for range p.Count {
		if _, err := c.Write([]byte("heliograph reverse probe")); err != nil && m.Error == "" {
			m.Error = err.Error()
		} else if err == nil {
			m.Count++
		}
		if !wait(ctx, pause) {
			r.Reason = ErrInterrupted.Error()
			break
		}
	}
	p.sent(&r, m)
	return r
}

// datagram finds the ends of a UDP datagram in an IP packet.
func datagram(b []byte) (e ends, ok bool) {
	var head []byte
	switch {
	case len(b) >= 20 && b[0]>>4 == 4 && b[9] == protocolUDP && len(b) >= int(b[0]&15)*4+8:
		e.txIP, e.rxIP = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		head = b[int(b[0]&15)*4:]
	case len(b) >= 48 && b[0]>>4 == 6 && b[6] == protocolUDP:
		e.txIP, e.rxIP = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		head = b[40:]
	default:
		return e, false
	}
	e.txPort, e.rxPort = binary.BigEndian.Uint16(head), binary.BigEndian.Uint16(head[2:])
	return e, true
}

// socket is a packet socket.
type socket int

func open(kind int, protocol uint16, index int) (socket, error) {
	network := protocol<<8 | protocol>>8
	fd, err := unix.Socket(unix.AF_PACKET, kind|unix.SOCK_CLOEXEC, int(network))
	if err != nil {
		return -1, err
	}
	if index != 0 {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: network, Ifindex: index})
	}
	short := unix.NsecToTimeval(int64(settled))
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &short)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return socket(fd), nil
}

func (s socket) close() { _ = unix.Close(int(s)) }

// next returns where the next packet that fits comes from.
func (s socket) next(ctx context.Context, fits func([]byte, *unix.SockaddrLinklayer) bool) (*unix.SockaddrLinklayer,
	error) {
	var b [2048]byte
	for end := time.Now().Add(noFrame); time.Now().Before(end) && ctx.Err() == nil; {
		n, from, err := unix.Recvfrom(int(s), b[:], 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if at, ok := from.(*unix.SockaddrLinklayer); ok && fits(b[:n], at) {
			return at, nil
		}
	}
	if ctx.Err() != nil {
		return nil, ErrInterrupted
	}
	return nil, errNoFrame
}

// send sends each kind of frame, and returns how many packets the interface sent.
func (p Plan) send(ctx context.Context, index int, list []means) (out Result) {
	raw, err := open(unix.SOCK_RAW, 0, 0)
	if err != nil {
		return failed(err)
	}
	defer raw.close()
	before, unknown := netdev.TrafficOf(index)
	for _, m := range list {
		p.sent(&out, raw.repeat(ctx, index, m, p.Count))
		if ctx.Err() != nil {
			out.Reason = ErrInterrupted.Error()
			break
		}
	}
	time.Sleep(settled)
	if after, err := netdev.TrafficOf(index); err == nil && unknown == nil {
		left := after.Sent - before.Sent
		out.Left = &left
	}
	return out
}

// repeat sends a frame count times, until ctx ends.
func (s socket) repeat(ctx context.Context, index int, m means, count int) Means {
	sent := Means{Name: m.name}
	for range count {
		err := unix.Sendto(int(s), m.frame, 0, &unix.SockaddrLinklayer{Ifindex: index})
		if err == nil {
			sent.Count++
		} else if sent.Error == "" {
			sent.Error = err.Error()
		}
		if !wait(ctx, pause) {
			break
		}
	}
	return sent
}

// failed says why no probe was sent, and what cures it.
func failed(err error) Result {
	if errors.Is(err, errNoFrame) {
		return Result{Reason: err.Error(), Cure: "start heliotx, connect the link, and measure again"}
	}
	if errors.Is(err, ErrInterrupted) {
		return Result{Reason: err.Error()}
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return Result{Reason: notAllowed}
	}
	return Result{Reason: err.Error(), Cure: "cure that on RX's machine, and measure again"}
}

// wait waits for a while; it is false when ctx ends.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
