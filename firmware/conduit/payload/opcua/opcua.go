// Package opcua encodes the state of an OPC UA server for the link: its keys, its address
// space, its values and its events.
//
// It is pure. It refuses to interpret what it need not: attributes and values are the raw
// bytes of package rawvalue, and a value with a shorter encoding (numbers, Strings) is
// restored bit for bit.
//
// # Keys
//
// A generation is one namespace table: a random number, part of every key but the first, so
// that state of different tables cannot be confused. Within a generation each node has a
// number, its handle, which is never reused.
//
//	space      'G'                                 the current generation
//	block      'S' generation(4) block(uvarint)    nodes with handles 64×block … +63
//	value      'V' generation(4) handle(uvarint)   Value of a variable
//	table      'T' generation(4) number(uvarint)   fields of events, see package event
//	condition  'C' generation(4) name(16)          newest event of a retained condition;
//	           name: start of SHA-256 over ConditionId and BranchId
//
// Integers are big-endian; "uvarint" is the base-128 form of encoding/binary. What
// OPC UA Binary defines (NodeId, DataValue) is as in OPC 10000-6 §5.2.2.
//
// # Payloads
//
//	space   version(1): 1, generation(4), count(uvarint) {length(uvarint) URI}*
//	block   version(1): 1, size(uvarint), DEFLATE (RFC 1951) of size bytes:
//	        {slot(1): handle mod 64, length(uvarint), node}*, slots ascending
//	node    NodeId, count(uvarint) {attribute(1) length(uvarint) DataValue}*
//	        count(uvarint) reference*
//	reference  flags(1): 1 inverse, 2 external; type NodeId, target NodeId,
//	        or where external length(uvarint) ExpandedNodeId
//	table   as package event writes it     event   generation(4), then the same
//	value   head(1) [status(4)] [ticks(8) picoseconds÷10(2)] form's bytes(rest)
//	        head: form (low 5 bits), 0x20 status, 0x40 ticks,
//	        0x80 without source timestamp; else it is the record's time
//
//	forms   0 no Variant           1 a Variant, raw
//	        2 Double, 8 bytes      3 Double that a Float holds, 4 bytes
//	        4…13 Double: a whole number (minimal, as below) × 10^(4−form)
//	        14 Float, 4 bytes      15 String, its bytes
//	        17…25 Boolean, SByte … UInt64 (16 + built-in type): its bytes without
//	        those that only extend the sign, or zeros where it has none
//	numbers in forms are little-endian, as OPC UA has them.
//
// Server timestamps are not sent: the answering server sets its own.
package opcua

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"heliograph/firmware/opcua/rawvalue"
)

// BlockNodes is the maximum number of nodes in a block.
const BlockNodes = 64

// ErrMalformed is returned for malformed keys and payloads.
var ErrMalformed = errors.New("opcua: malformed record: do both boards run the same release?")

// Kind is the kind of state that a key stands for.
type Kind byte

// The kinds of state.
const (
	Space     Kind = 'G'
	Block     Kind = 'S'
	Value     Kind = 'V'
	Table     Kind = 'T'
	Condition Kind = 'C'
)

// Key is a parsed key.
type Key struct {
	Kind       Kind
	Generation uint32
	Number     uint32 // of the block, node or table
}

// Append appends the key; for a condition use ConditionKey.
func (k Key) Append(dst []byte) []byte {
	dst = append(dst, byte(k.Kind))
	if k.Kind == Space {
		return dst
	}
	dst = binary.BigEndian.AppendUint32(dst, k.Generation)
	return binary.AppendUvarint(dst, uint64(k.Number))
}

// ConditionKey returns the key of a condition's branch.
func ConditionKey(generation uint32, condition rawvalue.NodeID, branch []byte) []byte {
	name := sha256.Sum256(append(condition.AppendTo(nil), branch...))
	k := binary.BigEndian.AppendUint32([]byte{byte(Condition)}, generation)
	return append(k, name[:16]...)
}

// ParseKey reads a key.
func ParseKey(b []byte) (Key, error) {
	if len(b) == 1 && Kind(b[0]) == Space {
		return Key{Kind: Space}, nil
	}
	if len(b) < 6 {
		return Key{}, ErrMalformed
	}
	k := Key{Kind: Kind(b[0]), Generation: binary.BigEndian.Uint32(b[1:])}
	rest := b[5:]
	switch k.Kind {
	case Block, Value, Table:
		n, size := binary.Uvarint(rest)
		if size != len(rest) || n >= 1<<32 || size > 1 && rest[size-1] == 0 {
			return Key{}, ErrMalformed
		}
		k.Number = uint32(n)
	case Condition:
		if len(rest) != 16 {
			return Key{}, ErrMalformed
		}
	default:
		return Key{}, ErrMalformed
	}
	return k, nil
}

const version = 1

// maxNamespaces bounds a namespace table; the index has 16 bits.
const maxNamespaces = 1 << 16

// SpaceHeader is the payload of the space key: the current generation and its namespaces.
type SpaceHeader struct {
	Generation uint32
	Namespaces []string
}

// Append appends the encoded header.
func (h *SpaceHeader) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, version), h.Generation)
	dst = binary.AppendUvarint(dst, uint64(len(h.Namespaces)))
	for _, uri := range h.Namespaces {
		dst = binary.AppendUvarint(dst, uint64(len(uri)))
		dst = append(dst, uri...)
	}
	return dst
}

// Parse decodes b.
func (h *SpaceHeader) Parse(b []byte) error {
	if len(b) < 5 || b[0] != version {
		return ErrMalformed
	}
	r := reader{b: b[5:]}
	h.Generation = binary.BigEndian.Uint32(b[1:])
	count := r.count(1)
	if count > maxNamespaces {
		return ErrMalformed
	}
	h.Namespaces = make([]string, 0, count)
	for range count {
		h.Namespaces = append(h.Namespaces, string(r.bytes()))
	}
	return r.end()
}

// AppendEvent appends the payload of an event as package event encodes it.
func AppendEvent(dst []byte, generation uint32, event []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, generation), event...)
}

// ParseEvent decodes b.
func ParseEvent(b []byte) (generation uint32, event []byte, err error) {
	if len(b) < 4 {
		return 0, nil, ErrMalformed
	}
	return binary.BigEndian.Uint32(b), b[4:], nil
}

// reader reads what this package encodes; after the first fault all reads return zero.
type reader struct {
	b      []byte
	broken bool
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || size > 1 && r.b[size-1] == 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

// count reads the number of elements that take at least size bytes each.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) next(n int) []byte {
	if n > len(r.b) {
		r.fail()
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.next(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) bytes() []byte { return r.next(r.count(1)) }

func (r *reader) nodeID() rawvalue.NodeID {
	c := rawvalue.NewCursor(r.b, rawvalue.Limits{})
	raw := c.NodeID()
	id, err := rawvalue.ParseNodeID(raw)
	if c.Err() != nil || err != nil {
		r.fail()
		return rawvalue.NodeID{}
	}
	r.b = r.b[c.Pos():]
	return id
}

func (r *reader) fail() { r.b, r.broken = nil, true }

func (r *reader) end() error {
	if r.broken || len(r.b) > 0 {
		return ErrMalformed
	}
	return nil
}
