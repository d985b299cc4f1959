package transport

import (
	"encoding/binary"

	"github.com/gopcua/opcua/ua"
)

// HeaderSize is the size of the header that starts every chunk (OPC 10000-6 §7.1.2.2).
const HeaderSize = 8

// MessageType is the three letters that start a chunk, little endian.
type MessageType uint32

// The message types of OPC 10000-6 §7.1.2 and §6.7.2.
const (
	Hello          = MessageType('H' | 'E'<<8 | 'L'<<16)
	Acknowledge    = MessageType('A' | 'C'<<8 | 'K'<<16)
	Err            = MessageType('E' | 'R'<<8 | 'R'<<16)
	ReverseHello   = MessageType('R' | 'H'<<8 | 'E'<<16)
	OpenChannel    = MessageType('O' | 'P'<<8 | 'N'<<16)
	CloseChannel   = MessageType('C' | 'L'<<8 | 'O'<<16)
	ServiceMessage = MessageType('M' | 'S'<<8 | 'G'<<16)
)

func (t MessageType) String() string {
	return string([]byte{byte(t), byte(t >> 8), byte(t >> 16)})
}

// The chunk flags of OPC 10000-6 §6.7.2.2.
const (
	Final        = byte('F')
	Intermediate = byte('C')
	Abort        = byte('A')
)

// Header starts every chunk. Size counts the header itself.
type Header struct {
	Type  MessageType
	Chunk byte
	Size  uint32
}

// ParseHeader reads the first HeaderSize bytes of b. It rejects what no version of the
// protocol allows: an unknown type, an unknown flag, a flag other than Final for a message
// of one chunk, a size below that of the header.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, fault(ua.StatusBadTCPInternalError, "header is cut off")
	}
	h := Header{
		Type:  MessageType(b[0]) | MessageType(b[1])<<8 | MessageType(b[2])<<16,
		Chunk: b[3],
		Size:  binary.LittleEndian.Uint32(b[4:]),
	}
	switch h.Type {
	case Hello, Acknowledge, Err, ReverseHello, OpenChannel, CloseChannel:
		if h.Chunk != Final {
			return Header{}, fault(ua.StatusBadTCPMessageTypeInvalid, "message must have one chunk")
		}
	case ServiceMessage:
		if h.Chunk != Final && h.Chunk != Intermediate && h.Chunk != Abort {
			return Header{}, fault(ua.StatusBadTCPMessageTypeInvalid, "unknown chunk flag")
		}
	default:
		return Header{}, fault(ua.StatusBadTCPMessageTypeInvalid, "unknown message type")
	}
	if h.Size < HeaderSize {
		return Header{}, fault(ua.StatusBadTCPInternalError, "chunk is smaller than its header")
	}
	return h, nil
}

// Append adds the header's bytes to b.
func (h Header) Append(b []byte) []byte {
	b = append(b, byte(h.Type), byte(h.Type>>8), byte(h.Type>>16), h.Chunk)
	return binary.LittleEndian.AppendUint32(b, h.Size)
}
