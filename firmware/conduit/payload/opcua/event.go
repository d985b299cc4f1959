package opcua

import "encoding/binary"

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
