package opcua

import "encoding/binary"

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
