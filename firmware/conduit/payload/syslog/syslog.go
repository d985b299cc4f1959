// Package syslog encodes a syslog line for the link: its bytes as received, and how it was
// received. The time of reception is that of the update.
//
// The package refuses to interpret or repair a line, and unknown versions.
//
//	version(1) 1   flags(1)   address length(1)   address   line(rest)
//
//	flags    bits 0-1 format: 0 malformed, 1 RFC 5424, 2 RFC 3164
//	         bits 2-3 transport: 0 UDP, 1 TCP, 2 TLS
//	         bit  4   truncated: the line exceeded the receiver's limit
//	         others 0
//	address  of the sender: 4 or 16 bytes, 0 when unknown
package syslog

import (
	"errors"
	"net/netip"
)

// Format is the format of a line.
type Format uint8

// The formats.
const (
	Malformed Format = iota
	RFC5424
	RFC3164
)

// Transport is the transport of a line.
type Transport uint8

// The transports.
const (
	UDP Transport = iota
	TCP
	TLS
)

const (
	version       = 1
	truncatedFlag = 1 << 4
)

// ErrMalformed is returned for malformed bytes.
var ErrMalformed = errors.New("syslog: malformed payload: do both boards run the same release?")

// Line is one line.
type Line struct {
	Format    Format
	Transport Transport
	Truncated bool
	Sender    netip.Addr // the zero Addr when unknown; zones are not sent
	Text      []byte     // without framing, otherwise unchanged
}

// Append appends the encoded line to b.
func Append(b []byte, l Line) []byte {
	flags := byte(l.Format) | byte(l.Transport)<<2
	if l.Truncated {
		flags |= truncatedFlag
	}
	b = append(b, version, flags)
	switch {
	case !l.Sender.IsValid():
		b = append(b, 0)
	case l.Sender.Unmap().Is4():
		a := l.Sender.Unmap().As4()
		b = append(append(b, 4), a[:]...)
	default:
		a := l.Sender.As16()
		b = append(append(b, 16), a[:]...)
	}
	return append(b, l.Text...)
}

// Parse decodes b; Text points into it.
func Parse(b []byte) (Line, error) {
	if len(b) < 3 || b[0] != version || b[1]&^0x1f != 0 || b[1]&3 > byte(RFC3164) || b[1]>>2&3 > byte(TLS) {
		return Line{}, ErrMalformed
	}
	l := Line{Format: Format(b[1] & 3), Transport: Transport(b[1] >> 2 & 3), Truncated: b[1]&truncatedFlag != 0}
	n := int(b[2])
	if len(b) < 3+n {
		return Line{}, ErrMalformed
	}
	if n > 0 {
		sender, ok := netip.AddrFromSlice(b[3 : 3+n])
		if !ok || sender.Is4In6() {
			return Line{}, ErrMalformed
		}
		l.Sender = sender
	}
	l.Text = b[3+n:]
	return l, nil
}
