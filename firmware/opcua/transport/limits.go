package transport

import (
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/uabinary"
)

// Specification constants.
const (
	protocolVersion = 0
	minBuffer       = 8192 // OPC 10000-6 §7.1.2.3: buffers are at least this large
	DefaultPort     = "4840"
)

// Our own choices.
const (
	defaultBuffer       = 65535
	defaultMaxMessage   = uabinary.MaxMessage
	defaultMaxChunks    = 4096
	defaultHandshake    = 5 * time.Second
	defaultChunkTimeout = 10 * time.Second
	defaultWriteTimeout = 10 * time.Second
	defaultMemory       = 32 << 20
)

// Limits bounds what this end receives and sends. The zero value of each field means its
// default.
type Limits struct {
	ReceiveBuffer uint32 // largest chunk received, bytes, at least 8192
	SendBuffer    uint32 // largest chunk sent
	MaxMessage    uint32 // largest message received, bytes of body over all its chunks
	MaxChunks     uint32 // most chunks of a message received
}

func (l Limits) withDefaults() (Limits, error) {
	or := func(v *uint32, d uint32) {
		if *v == 0 {
			*v = d
		}
	}
	or(&l.ReceiveBuffer, defaultBuffer)
	or(&l.SendBuffer, defaultBuffer)
	or(&l.MaxMessage, defaultMaxMessage)
	or(&l.MaxChunks, defaultMaxChunks)
	if l.ReceiveBuffer < minBuffer || l.SendBuffer < minBuffer {
		return l, fault(ua.StatusBadInvalidArgument, "buffers must be at least 8192 bytes")
	}
	return l, nil
}

// Negotiated is what both ends agreed on.
type Negotiated struct {
	ReceiveChunk uint32 // largest chunk the peer may send
	SendChunk    uint32 // largest chunk we may send
	MaxMessage   uint32 // largest message received
	MaxChunks    uint32 // most chunks of a message received
	PeerMessage  uint32 // largest message that the peer receives, 0 is no limit
	PeerChunks   uint32 // most chunks of a message that the peer receives, 0 is no limit
}

func (l Limits) hello(url string) HelloBody {
	return HelloBody{
		Version: protocolVersion, ReceiveBuffer: l.ReceiveBuffer, SendBuffer: l.SendBuffer,
		MaxMessage: l.MaxMessage, MaxChunks: l.MaxChunks, EndpointURL: url,
	}
}

// acknowledge revises the client's limits: no buffer exceeds what either end offered (OPC
// 10000-6 §7.1.2.4).
func (l Limits) acknowledge(hel HelloBody) (HelloBody, Negotiated, error) {
	if hel.ReceiveBuffer < minBuffer || hel.SendBuffer < minBuffer {
		return HelloBody{}, Negotiated{}, fault(ua.StatusBadConnectionRejected, "buffers must be at least 8192 bytes")
	}
	ack := HelloBody{
		Version:       protocolVersion,
		ReceiveBuffer: min(l.ReceiveBuffer, hel.SendBuffer),
		SendBuffer:    min(l.SendBuffer, hel.ReceiveBuffer),
		MaxMessage:    l.MaxMessage,
		MaxChunks:     l.MaxChunks,
	}
	return ack, Negotiated{
		ReceiveChunk: ack.ReceiveBuffer, SendChunk: ack.SendBuffer,
		MaxMessage: l.MaxMessage, MaxChunks: l.MaxChunks,
		PeerMessage: hel.MaxMessage, PeerChunks: hel.MaxChunks,
	}, nil
}

// accept checks the server's revision of our limits. If it raises one, ours holds.
func (l Limits) accept(ack HelloBody) (Negotiated, error) {
	if ack.ReceiveBuffer < minBuffer || ack.SendBuffer < minBuffer {
		return Negotiated{}, fault(ua.StatusBadConnectionRejected, "server's buffers must be at least 8192 bytes")
	}
	return Negotiated{
		ReceiveChunk: min(l.ReceiveBuffer, ack.SendBuffer),
		SendChunk:    min(l.SendBuffer, ack.ReceiveBuffer),
		MaxMessage:   l.MaxMessage, MaxChunks: l.MaxChunks,
		PeerMessage: ack.MaxMessage, PeerChunks: ack.MaxChunks,
	}, nil
}

// Timeouts bounds every wait for a peer. The zero value of each field means its default.
type Timeouts struct {
	Handshake time.Duration // from the connection to the end of the hello exchange
	Chunk     time.Duration // from a chunk's first byte to its last
	Write     time.Duration // for one chunk
}

func (t Timeouts) withDefaults() Timeouts {
	or := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	or(&t.Handshake, defaultHandshake)
	or(&t.Chunk, defaultChunkTimeout)
	or(&t.Write, defaultWriteTimeout)
	return t
}
