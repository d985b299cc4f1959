package opcua

import (
	"crypto/sha256"
	"encoding/binary"

	"heliograph/firmware/opcua/rawvalue"
)

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
