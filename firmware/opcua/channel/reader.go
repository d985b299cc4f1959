package channel

import "encoding/binary"

// reader reads bytes of the network without allocating. After the first fault bad is set
// and all reads return zero.
type reader struct {
	b   []byte
	bad bool
}

const maxDiagnosticDepth = 16

func (r *reader) next(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) skip(n int) { r.next(n) }

func (r *reader) byte() byte {
	if v := r.next(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if v := r.next(2); v != nil {
		return binary.LittleEndian.Uint16(v)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if v := r.next(4); v != nil {
		return binary.LittleEndian.Uint32(v)
	}
	return 0
}

// bytes reads a String or ByteString. Null and empty are both empty.
func (r *reader) bytes() []byte {
	n := r.uint32()
	if n == 0xffffffff {
		return nil
	}
	if int64(n) > int64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	return r.next(int(n))
}

// nodeID skips a NodeId and returns its number where it is a numeric one of
// namespace 0 (OPC 10000-6 §5.2.2.9).
func (r *reader) nodeID() (number uint32) {
	switch kind := r.byte(); kind {
	case 0:
		return uint32(r.byte())
	case 1:
		ns, n := r.byte(), uint32(r.uint16())
		if ns == 0 {
			return n
		}
	case 2:
		ns, n := r.uint16(), r.uint32()
		if ns == 0 {
			return n
		}
	case 3, 5:
		r.skip(2)
		r.bytes()
	case 4:
		r.skip(2 + 16)
	default:
		r.bad, r.b = true, nil
	}
	return 0
}

// extensionObject skips an ExtensionObject.
func (r *reader) extensionObject() {
	r.nodeID()
	switch r.byte() {
	case 0:
	case 1, 2:
		r.bytes()
	default:
		r.bad, r.b = true, nil
	}
}

func (r *reader) diagnosticInfo(depth int) {
	if depth == 0 {
		r.bad, r.b = true, nil
		return
	}
	mask := r.byte()
	for bit := byte(1); bit <= 8; bit <<= 1 {
		if mask&bit != 0 {
			r.skip(4)
		}
	}
	if mask&0x10 != 0 {
		r.bytes()
	}
	if mask&0x20 != 0 {
		r.skip(4)
	}
	if mask&0x40 != 0 {
		r.diagnosticInfo(depth - 1)
	}
}
