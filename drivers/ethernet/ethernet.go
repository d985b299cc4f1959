// Package ethernet carries frames in raw Ethernet on Linux, one way, without IP.
//
//	destination 6    ff ff ff ff ff ff: any card takes it, without ARP, a
//	                 joined group or promiscuous mode
//	source 6         the sending card's own address
//	ethertype 2      88 B5, IEEE 802 local experimental 1 (IEEE 802-2014, 9.2.3)
//	length 2         of the frame, big endian
//	frame ≤ 1498
//	padding          by the card, to 60 bytes without the FCS (IEEE 802.3, 4A.2.3.2.4)
//	FCS 4            by the card
//
// The length is there for the padding: it would otherwise hide where a short
// frame, and the CRC at its end, stops.
//
// Either end owns its interface. It is first made silent, up or down as it was
// found: down; without IPv6, ARP, multicast, PAUSE and EEE; its speed fixed where a
// Port says so, and read back; then brought up again.
// So nothing but a transmitter's frames leaves, and a receiver's interface
// sends nothing but what root has package probe send. IPv4 from it is dropped by strict reverse path filtering, but
// for broadcasts from 0.0.0.0, and any program may bind a UDP socket to it and
// broadcast: where that matters the interface is opened as a file, which takes
// it into a network namespace of its own (package isolate). An
// interface that has an IP address, or a bridge, bond or VLAN on it, is refused
// and left as it is: it has another use, and the kernel would send for that.
// Programs that manage networks have to leave the interface alone.
//
// A Transmitter has no way to receive: its socket is bound to protocol 0, which
// receives nothing, and carries a locked filter that drops all. A Receiver has
// none to send. An interface that disappeared is opened again with back-off, and made
// silent again first.
//
// Without a carrier no frame leaves, and Transmit says so. On copper the far
// end makes the carrier, so only a fibre with link-fault forwarding off keeps a
// transmitter from noticing whether a receiver is there.
//
// What two boards show one another: drivers/smoke.
package ethernet

import (
	"encoding/binary"
)

// What IEEE 802.3 gives and takes at an MTU of 1500.
const (
	// MaxFrame is the length of the longest frame in bytes.
	MaxFrame = 1500 - lengthSize

	// Overhead is what a frame costs on the wire beyond its own bytes: length 2,
	// MAC header 14, FCS 4, preamble 8, gap 12. Padding is not in it.
	Overhead = lengthSize + macSize + 4 + 8 + 12

	EtherType = 0x88B5

	macSize = 14
	mtu     = 1500
)

// Our own choices.
const (
	lengthSize = 2
	headSize   = macSize + lengthSize

	batch = 64 // frames per system call
)

// head is what stands before a frame.
type head [headSize]byte

func newHead(source []byte) (h head) {
	for i := range 6 {
		h[i] = 0xff
	}
	copy(h[6:12], source)
	binary.BigEndian.PutUint16(h[12:], EtherType)
	return h
}

func (h *head) setLength(n int) { binary.BigEndian.PutUint16(h[macSize:], uint16(n)) }

// open returns the frame in what arrived, without padding; false when it says
// that it is longer than what arrived, or than any frame.
func open(b []byte) (frame []byte, ok bool) {
	if len(b) < headSize {
		return nil, false
	}
	n := int(binary.BigEndian.Uint16(b[macSize:]))
	if b = b[headSize:]; n > len(b) || n > MaxFrame {
		return nil, false
	}
	return b[:n:n], true
}
