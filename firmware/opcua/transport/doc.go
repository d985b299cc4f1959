// Package transport carries OPC UA message chunks over TCP: the UA Connection
// Protocol of OPC 10000-6 §7.1 (terms follow the standard; no conformance is
// claimed beyond what the tests show).
//
// It does the Hello and Acknowledge exchange in both roles, negotiates every
// limit of it, and from then on moves whole chunks. It refuses to look inside a
// secured chunk, to assemble messages, and to dial out on a peer's request: a
// ReverseHello is answered with an error.
//
// Every byte of a peer is hostile. A chunk's claimed size is checked against the
// negotiated limit before memory grows, memory grows with the bytes that have
// arrived and not with the claim, and all of it is accounted per listener. The
// handshake runs off the accept path and has a deadline, a chunk that has begun
// has a deadline, every write has one, and connections are counted per client
// address and in total: beyond that the oldest without a session makes room, one of the
// same address, or of the address that has the most. A client that is refused or closed
// is given time to read why.
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
