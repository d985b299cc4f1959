// Package transport carries OPC UA message chunks over TCP: the UA Connection
// Protocol of OPC 10000-6 §7.1 (terms follow the standard; no conformance is
// claimed beyond what the tests show).
//
// It does the Hello and Acknowledge exchange in both roles, negotiates its limits, and then
// transfers complete chunks. It refuses to read the content of a secured chunk, to assemble
// messages, and to connect to a peer on its request: a ReverseHello is answered with an
// error.
//
// Peers are not trusted. A chunk's claimed size is checked against the negotiated limit
// before memory grows, memory grows with the bytes that have arrived and not with the claim,
// and all of it is accounted per listener. The handshake does not block accepting and has a
// deadline, as have a chunk that has begun and every write. Connections are counted per
// client address and in total: beyond the limits the oldest one without a session is closed,
// of the same address or of the address that has the most. A client that is refused or
// closed has time to read the reason.
//
//	message header            8 bytes, little endian
//	  0      3     4       8
//	  | type | F/C/A | size |  body …
//
//	HEL F  version u32, receive buffer u32, send buffer u32,
//	       max message u32, max chunks u32, endpoint URL string (< 4096 bytes)
//	ACK F  version u32, receive buffer u32, send buffer u32,
//	       max message u32, max chunks u32
//	ERR F  status code u32, reason string (< 4096 bytes)
//	RHE F  refused
//	OPN MSG CLO   secured chunks, see package channel
//
// size counts the header. A string is a length i32 (-1 is null) and its bytes.
package transport
