package probe

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// EtherTypes (IEEE 802 Numbers of IANA).
const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeIPv6 = 0x86dd
	typeLink = 0x88b5 // local experimental, the link's own
)

// Protocols of IP, and messages of ICMP.
const (
	protocolICMP   = 1
	protocolUDP    = 17
	protocolICMPv6 = 58
	echoRequest    = 8
	solicitation   = 135
	leastFrame     = 60 // bytes of an Ethernet frame without its FCS
	macSize        = 6
)

// ends are the two ends of a link as frames name them.
type ends struct {
	rx, tx         net.HardwareAddr // tx: nil where it is not known
	rxIP, txIP     netip.Addr       // of the link; the documentation's where it has none
	rxPort, txPort uint16
}

// forEthernet are the ends of a link without addresses (RFC 5737).
func forEthernet(rx, tx net.HardwareAddr) ends {
	return ends{rx: rx, tx: tx, rxIP: netip.MustParseAddr("192.0.2.2"), txIP: netip.MustParseAddr("192.0.2.1"),
		rxPort: 9, txPort: 9}
}

// means is one kind of probe.
type means struct {
	name  string
	frame []byte
}

// probes returns the kinds of frames that a kernel or a card at TX would answer, or count.
func (e ends) probes() (list []means) {
	all := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	to := all
	if e.tx != nil {
		to = e.tx
		list = append(list, means{"0x88B5 to TX's address", e.ethernet(e.tx, typeLink, []byte("reverse probe"))})
	}
	list = append(list, means{"0x88B5 to all", e.ethernet(all, typeLink, []byte("reverse probe"))},
		means{"ARP request", e.ethernet(all, typeARP, e.arp())})
	if e.txIP.Is4() {
		list = append(list, means{"UDP over IPv4", e.ethernet(to, typeIPv4, e.ipv4(protocolUDP, e.udp()))},
			means{"ICMP echo", e.ethernet(to, typeIPv4, e.ipv4(protocolICMP, e.echo()))})
	} else {
		list = append(list, means{"UDP over IPv6", e.ethernet(to, typeIPv6, e.ipv6(e.txIP, protocolUDP, e.udp()))})
	}
	return append(list, means{"IPv6 neighbour solicitation", e.solicit()})
}

func (e ends) ethernet(to net.HardwareAddr, etherType uint16, payload []byte) []byte {
	f := append(append([]byte{}, to...), e.rx...)
	f = append(binary.BigEndian.AppendUint16(f, etherType), payload...)
	return append(f, make([]byte, max(0, leastFrame-len(f)))...)
}

// arp asks for TX's address (RFC 826).
func (e ends) arp() []byte {
	rx, tx := netip.AddrFrom4([4]byte{192, 0, 2, 2}), netip.AddrFrom4([4]byte{192, 0, 2, 1})
	if e.txIP.Is4() && e.rxIP.Is4() {
		rx, tx = e.rxIP, e.txIP
	}
	b := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	b = append(append(b, e.rx...), rx.AsSlice()...)
	return append(append(b, make([]byte, 6)...), tx.AsSlice()...)
}

func (e ends) ipv4(protocol byte, payload []byte) []byte {
	b := make([]byte, 20, 20+len(payload))
	b[0], b[8], b[9] = 4<<4|5, 64, protocol
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	copy(b[12:], e.rxIP.AsSlice())
	copy(b[16:], e.txIP.AsSlice())
	binary.BigEndian.PutUint16(b[10:], checksum(b))
	return append(b, payload...)
}

func (e ends) ipv6(to netip.Addr, next byte, payload []byte) []byte {
	b := make([]byte, 40, 40+len(payload))
	b[0], b[6], b[7] = 6<<4, next, 255
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	from := e.source6().As16()
	copy(b[8:], from[:])
	copy(b[24:], to.AsSlice())
	return append(b, payload...)
}

// source6 is RX's address, or the link-local one of its card (RFC 4291, appendix A).
func (e ends) source6() netip.Addr {
	if e.rxIP.Is6() {
		return e.rxIP
	}
	m := e.rx
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]})
}

func (e ends) udp() []byte {
	payload := []byte("heliograph reverse probe")
	b := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(b, e.rxPort)
	binary.BigEndian.PutUint16(b[2:], e.txPort)
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
	b = append(b, payload...)
	from, to := e.rxIP, e.txIP
	if to.Is6() {
		from = e.source6()
	}
	binary.BigEndian.PutUint16(b[6:], pseudoChecksum(from, to, protocolUDP, b))
	return b
}

func (e ends) echo() []byte {
	b := append([]byte{echoRequest, 0, 0, 0, 0, 1, 0, 1}, "heliograph reverse probe"...)
	binary.BigEndian.PutUint16(b[2:], checksum(b))
	return b
}

// solicit asks all nodes for a neighbour (RFC 4861, 4.3).
func (e ends) solicit() []byte {
	target := netip.MustParseAddr("fe80::1")
	if e.txIP.Is6() {
		target = e.txIP
	}
	b := append([]byte{solicitation, 0, 0, 0, 0, 0, 0, 0}, target.AsSlice()...)
	b = append(append(b, 1, 1), e.rx...) // source link-layer address
	all := netip.MustParseAddr("ff02::1")
	binary.BigEndian.PutUint16(b[2:], pseudoChecksum(e.source6(), all, protocolICMPv6, b))
	return e.ethernet(net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}, typeIPv6, e.ipv6(all, protocolICMPv6, b))
}

// pseudoChecksum is that of RFC 768 and of RFC 8200, 8.1.
func pseudoChecksum(from, to netip.Addr, protocol byte, b []byte) uint16 {
	head := append(append([]byte{}, from.AsSlice()...), to.AsSlice()...)
	head = binary.BigEndian.AppendUint32(head, uint32(len(b)))
	head = append(head, 0, 0, 0, protocol)
	if sum := checksum(append(head, b...)); sum != 0 {
		return sum
	}
	return 0xffff
}

// checksum is that of RFC 1071 over bytes whose checksum is 0.
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i]) << 8
		if i+1 < len(b) {
			sum += uint32(b[i+1])
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
