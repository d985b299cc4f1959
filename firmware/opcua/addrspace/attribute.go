package addrspace

import (
	"encoding/binary"
	"hash/maphash"
	"slices"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// Attribute is an attribute of a node: a raw DataValue.
type Attribute struct {
	ID    ua.AttributeID
	Value []byte
}

// shared stores each value that many nodes have in common once.
type shared struct {
	values []sharedValue
	free   []uint32
	index  index
	seed   maphash.Seed
}

type sharedValue struct {
	bytes string
	uses  uint32
}

func (s *shared) hash(n uint32) uint64 { return maphash.String(s.seed, s.values[n].bytes) }

// acquire returns the number of a value, and counts a use of it.
func (s *shared) acquire(b []byte) uint32 {
	n, ok := s.index.find(maphash.Bytes(s.seed, b), func(n uint32) bool { return s.values[n].bytes == string(b) })
	switch {
	case ok:
	case len(s.free) > 0:
		n, s.free = s.free[len(s.free)-1], s.free[:len(s.free)-1]
		s.values[n].bytes = string(b)
		s.index.insert(n, s.hash)
	default:
		n = uint32(len(s.values))
		s.values = append(s.values, sharedValue{bytes: string(b)})
		s.index.insert(n, s.hash)
	}
	s.values[n].uses++
	return n
}

// release ends a use of a value.
func (s *shared) release(n uint32) {
	if s.values[n].uses--; s.values[n].uses == 0 {
		s.index.remove(n, s.hash)
		s.values[n].bytes = ""
		s.free = append(s.free, n)
	}
}

// inPlace reports whether an attribute is rarely the same for several nodes.
func inPlace(a ua.AttributeID) bool {
	return a == ua.AttributeIDNodeID || a == ua.AttributeIDBrowseName || a == ua.AttributeIDDisplayName
}

// pack packs attributes, and acquires their shared values.
func (s *shared) pack(id NodeID, attributes []Attribute) string {
	packed := make([]byte, 0, 256) // on the stack, mostly
	for _, a := range attributes {
		packed = append(packed, byte(a.ID))
		switch {
		case !inPlace(a.ID):
			packed = binary.AppendUvarint(packed, uint64(s.acquire(a.Value))<<1)
		case a.ID == ua.AttributeIDNodeID && string(a.Value) == string(appendNodeIDValue(nil, id)):
			packed = append(packed, 1)
		default:
			packed = binary.AppendUvarint(packed, uint64(len(a.Value))<<1|1)
			packed = append(packed, a.Value...)
		}
	}
	return string(packed)
}

// unpack calls yield with each attribute: its value in place, or the number of a
// shared one and no value. The NodeId's shortest form has neither.
func unpack(packed string, yield func(a ua.AttributeID, value string, number uint32, inPlace bool) bool) {
	for len(packed) > 0 {
		a := ua.AttributeID(packed[0])
		n, size := uvarint(packed[1:])
		packed = packed[1+size:]
		value, inPlace := "", n&1 != 0
		if n >>= 1; inPlace {
			value, packed = packed[:n], packed[n:]
		}
		if !yield(a, value, uint32(n), inPlace) {
			return
		}
	}
}

// uvarint is binary.Uvarint on a string.
func uvarint(s string) (n uint64, size int) {
	for ; ; size++ {
		n |= uint64(s[size]&0x7f) << (7 * size)
		if s[size] < 0x80 {
			return n, size + 1
		}
	}
}

// releaseAll releases the shared values of packed attributes.
func (s *shared) releaseAll(packed string) {
	unpack(packed, func(_ ua.AttributeID, _ string, number uint32, inPlace bool) bool {
		if !inPlace {
			s.release(number)
		}
		return true
	})
}

// appendAttribute appends the value of an attribute.
func (s *shared) appendAttribute(dst []byte, e *entry, want ua.AttributeID) (_ []byte, ok bool) {
	unpack(e.attrs, func(a ua.AttributeID, value string, number uint32, inPlace bool) bool {
		if a != want {
			return true
		}
		ok = true
		switch {
		case !inPlace:
			dst = append(dst, s.values[number].bytes...)
		case value == "" && a == ua.AttributeIDNodeID:
			dst = appendNodeIDValue(dst, e.id())
		default:
			dst = append(dst, value...)
		}
		return false
	})
	return dst, ok
}

// appendNodeIDValue appends the NodeId attribute in its shortest form.
func appendNodeIDValue(dst []byte, id NodeID) []byte {
	return id.AppendTo(append(dst, ua.DataValueValue, byte(ua.TypeIDNodeID)))
}

// attributes returns all attributes of a node.
func (s *shared) attributes(e *entry) []Attribute {
	var all []Attribute
	unpack(e.attrs, func(a ua.AttributeID, _ string, _ uint32, _ bool) bool {
		value, _ := s.appendAttribute(nil, e, a)
		all = append(all, Attribute{a, value})
		return true
	})
	return all
}

// merge returns attributes with changes: a nil value removes an attribute.
func merge(attributes, changes []Attribute) []Attribute {
	attributes = slices.Grow(attributes, len(changes))
	for _, c := range changes {
		i := slices.IndexFunc(attributes, func(a Attribute) bool { return a.ID == c.ID })
		switch {
		case i < 0 && c.Value != nil:
			attributes = append(attributes, c)
		case i >= 0 && c.Value != nil:
			attributes[i].Value = c.Value
		case i >= 0:
			attributes = slices.Delete(attributes, i, i+1)
		}
	}
	return attributes
}

// nodeClass reads a NodeClass attribute, 0 if it is malformed.
func nodeClass(value []byte) uint8 {
	d, err := rawvalue.SkimDataValue(value, rawvalue.Limits{})
	if err != nil || d.Value.Type() != ua.TypeIDInt32 || d.Value.IsArray() {
		return 0
	}
	if c := binary.LittleEndian.Uint32(d.Value.Elements()); c <= uint32(ua.NodeClassView) {
		return uint8(c)
	}
	return 0
}

// sameName reports whether a BrowseName attribute has this name.
func sameName(value []byte, name rawvalue.QualifiedName) bool {
	d, err := rawvalue.SkimDataValue(value, rawvalue.Limits{})
	if err != nil || d.Value.Type() != ua.TypeIDQualifiedName || d.Value.IsArray() {
		return false
	}
	c := rawvalue.NewCursor(d.Value.Elements(), rawvalue.Limits{})
	got := c.QualifiedName()
	return got.Namespace == name.Namespace && string(got.Name) == string(name.Name)
}
