// Package wire is the frame: its bytes on the link, how noise and forgery are
// distinguished, and how much parity a block of frames gets.
//
// It is pure and refuses to decide anything: which frame to send is decided on
// the plant's side, which received one to accept on IT's side.
//
// # Frames
//
// A frame is one datagram, or the content of one UART codeword. Integers are
// big-endian.
//
//	data      type(1) class(1) session(2) sequence(4) generation(2) index(2)
//	          sealed shard(n) tag(16) crc(4)
//	type      version (high nibble, 1), kind (low nibble): 1 source, 2 parity, 3 and 4
//	          source and parity of the replay class, which receivers before it count
//	          as noise
//	class     class (high bit: 0 low latency, 1 bulk, 0 replay); parity: lanes − 1 (low 7
//	          bits)
//	session   names pair key and session; derived, see below
//	sequence  low 32 bits of the session's frame number
//	index     source: position in the generation, 0, 1, 2 …
//	          parity: row × lanes + lane
//
// A generation is a run of source frames of one class. When it closes, its
// sources are dealt to lanes (source i to lane i mod lanes) and each lane gets
// rows of parity. The transmitter sends all parity of a generation before it
// closes the next, so two generations on the first is beyond repair.
//
//	hello     type(1, kind 0) reserved(1) session(2) epoch(8) sequence(8)
//	          salt(16) sealed zeros(n) tag(16) crc(4)
//
// The CRC is CRC-32C (RFC 3720 §12.1) over all before it: it detects noise. The
// tag is ChaCha20-Poly1305 (RFC 8439) over the shard, the bytes before it
// being associated data: it detects forgery. Parity is sealed like any frame.
//
// # Shards
//
//	source    items, zeros
//	parity    sources(2): how many the generation has; then the coded bytes
//
// Parity is computed per lane over the sources' shards, shorter ones padded with
// zeros, with which items end anyway.
//
// The code is the systematic Reed-Solomon code of klauspost/reedsolomon: a
// Vandermonde matrix over GF(2⁸) with 0x11D, multiplied by the inverse of its
// top square. Row j depends on the number of sources and on j alone, so a
// receiver need not be informed how many parity frames were sent.
//
// # Keys
//
// Both boards hold one pair key. Each run of the transmitter is an epoch,
// a number that only grows, with a random salt:
//
//	prk         = HKDF-Extract(SHA-256, pair key, salt)
//	frame key   = HKDF-Expand(prk, "heliograph 1 frame key" ‖ epoch, 32)
//	session     = HKDF-Expand(prk, "heliograph 1 session" ‖ epoch, 2)
//	nonce       = zeros(4) ‖ sequence(8)
//
// The sequence counts every frame of the session, hellos too, so a nonce is
// never used twice under one key.
package wire

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// Sizes of the format, in bytes.
const (
	HeaderSize      = 12
	HelloHeaderSize = 36
	TagSize         = 16
	CRCSize         = 4
	// Overhead is what a data frame costs beyond its shard.
	Overhead = HeaderSize + TagSize + CRCSize
	// ParityHead is the count of sources that begins a parity frame's shard.
	ParityHead = 2
	// MinHello is the shortest hello.
	MinHello = HelloHeaderSize + TagSize + CRCSize

	version = 1
)

// Bounds of a generation.
const (
	MaxLanes   = 128 // the class byte's 7 bits
	MaxSources = 64  // of one lane: beyond, matrix inversion costs too much
	MaxParity  = 64  // of one lane
)

// Kind is the kind of a frame.
type Kind uint8

// The kinds of frame.
const (
	Hello Kind = iota
	Source
	Parity
	replaySource // on the wire alone: Source of class Replay
	replayParity
)

// Class is one of the streams of frames; each keeps its own order.
type Class uint8

// The classes. Channels send in one of the first two; what they sent is sent again in
// the third, which nothing else waits for.
const (
	LowLatency Class = iota
	Bulk
	Replay
	Classes = 3
)

// String returns the class's name in metrics and configuration.
func (c Class) String() string {
	switch c {
	case Bulk:
		return "bulk"
	case Replay:
		return "replay"
	default:
		return "low-latency"
	}
}

// Header is a data frame's header.
type Header struct {
	Kind       Kind
	Class      Class
	Lanes      int // 1…MaxLanes
	Session    uint16
	Sequence   uint32
	Generation uint16
	Index      uint16
}

// HelloHeader opens a session.
type HelloHeader struct {
	Session  uint16
	Epoch    uint64
	Sequence uint64
	Salt     [16]byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrNoise is returned for bytes that are not a frame of this version.
var ErrNoise = errors.New("wire: not a frame")

// CheckCRC reports whether the last four bytes are the CRC of those before.
func CheckCRC(frame []byte) bool {
	n := len(frame) - CRCSize
	return n >= 0 && crc32.Checksum(frame[:n], castagnoli) == binary.BigEndian.Uint32(frame[n:])
}

// UpdateCRC returns the CRC of the bytes whose CRC is sum, followed by more.
func UpdateCRC(sum uint32, more []byte) uint32 { return crc32.Update(sum, castagnoli, more) }

// AppendCRC appends the CRC of frame.
func AppendCRC(frame []byte) []byte {
	return binary.BigEndian.AppendUint32(frame, crc32.Checksum(frame, castagnoli))
}

// KindOf returns the kind of a frame, or ErrNoise. It does not check the CRC.
func KindOf(frame []byte) (Kind, error) {
	if len(frame) < HeaderSize || frame[0]>>4 != version {
		return 0, ErrNoise
	}
	k := Kind(frame[0] & 15)
	if k == replaySource || k == replayParity {
		k -= replaySource - Source
	}
	smallest := []int{Hello: MinHello, Source: Overhead, Parity: Overhead + ParityHead}
	if int(k) >= len(smallest) || len(frame) < smallest[k] {
		return 0, ErrNoise
	}
	return k, nil
}

// Put writes the header into the first HeaderSize bytes of frame.
func (h *Header) Put(frame []byte) {
	frame[0] = version<<4 | byte(h.Kind)
	frame[1] = byte(h.Lanes - 1)
	switch h.Class {
	case Bulk:
		frame[1] |= 1 << 7
	case Replay:
		frame[0] += byte(replaySource - Source)
	}
	binary.BigEndian.PutUint16(frame[2:], h.Session)
	binary.BigEndian.PutUint32(frame[4:], h.Sequence)
	binary.BigEndian.PutUint16(frame[8:], h.Generation)
	binary.BigEndian.PutUint16(frame[10:], h.Index)
}

// Parse reads the header of a frame that KindOf called Source or Parity.
func (h *Header) Parse(frame []byte) {
	*h = Header{
		Kind:       Kind(frame[0] & 15),
		Class:      Class(frame[1] >> 7),
		Lanes:      int(frame[1]&127) + 1,
		Session:    binary.BigEndian.Uint16(frame[2:]),
		Sequence:   binary.BigEndian.Uint32(frame[4:]),
		Generation: binary.BigEndian.Uint16(frame[8:]),
		Index:      binary.BigEndian.Uint16(frame[10:]),
	}
	if h.Kind >= replaySource {
		h.Kind, h.Class = h.Kind-(replaySource-Source), Replay
	}
}

// Put writes the header into the first HelloHeaderSize bytes of frame.
func (h *HelloHeader) Put(frame []byte) {
	frame[0] = version<<4 | byte(Hello)
	frame[1] = 0
	binary.BigEndian.PutUint16(frame[2:], h.Session)
	binary.BigEndian.PutUint64(frame[4:], h.Epoch)
	binary.BigEndian.PutUint64(frame[12:], h.Sequence)
	copy(frame[20:], h.Salt[:])
}

// Parse reads the header of a frame that KindOf called Hello.
func (h *HelloHeader) Parse(frame []byte) {
	*h = HelloHeader{
		Session:  binary.BigEndian.Uint16(frame[2:]),
		Epoch:    binary.BigEndian.Uint64(frame[4:]),
		Sequence: binary.BigEndian.Uint64(frame[12:]),
		Salt:     [16]byte(frame[20:36]),
	}
}
