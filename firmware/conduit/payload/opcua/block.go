package opcua

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
)

// maxBlock bounds an unpacked block. A folder with a hundred thousand references takes two
// megabytes.
const maxBlock = 64 << 20

const (
	flagInverse  = 1
	flagExternal = 2
)

// Packer packs and unpacks blocks. It reuses its buffers, so only one goroutine may use it.
type Packer struct {
	plain, node []byte
	out         bytes.Buffer
	deflate     *flate.Writer
	inflate     io.ReadCloser
}

// Pack returns a block of nodes: node i has slot slots[i], ascending.
func (p *Packer) Pack(slots []byte, nodes []addrspace.Node) []byte {
	p.plain = p.plain[:0]
	for i := range nodes {
		p.node = appendNode(p.node[:0], &nodes[i])
		p.plain = append(p.plain, slots[i])
		p.plain = binary.AppendUvarint(p.plain, uint64(len(p.node)))
		p.plain = append(p.plain, p.node...)
	}
	p.out.Reset()
	p.out.Write(binary.AppendUvarint([]byte{version}, uint64(len(p.plain))))
	if p.deflate == nil {
		p.deflate, _ = flate.NewWriter(&p.out, flate.DefaultCompression) // the level is valid
	} else {
		p.deflate.Reset(&p.out)
	}
	_, _ = p.deflate.Write(p.plain) // a Buffer never fails
	_ = p.deflate.Close()
	return bytes.Clone(p.out.Bytes())
}

// Unpack calls f with each node of a block.
func (p *Packer) Unpack(block []byte, f func(slot byte, n addrspace.Node)) error {
	if len(block) < 2 || block[0] != version {
		return ErrMalformed
	}
	head := reader{b: block[1:]}
	size := head.uvarint()
	// DEFLATE expands one byte to at most 1032 (RFC 1951 §3.2: 258 bytes from 2 bits).
	if head.broken || size > maxBlock || size > 1032*uint64(len(head.b)) {
		return ErrMalformed
	}
	packed := bytes.NewReader(head.b)
	if p.inflate == nil {
		p.inflate = flate.NewReader(packed)
	} else {
		_ = p.inflate.(flate.Resetter).Reset(packed, nil) // cannot fail without a dictionary
	}
	plain := make([]byte, size)
	if _, err := io.ReadFull(p.inflate, plain); err != nil {
		return ErrMalformed
	}
	if n, err := p.inflate.Read(make([]byte, 1)); n != 0 || err != io.EOF || packed.Len() > 0 {
		return ErrMalformed
	}
	return unpack(reader{b: plain}, f)
}

func unpack(r reader, f func(slot byte, n addrspace.Node)) error {
	last := -1
	for len(r.b) > 0 {
		slot := r.byte()
		n, err := parseNode(reader{b: r.bytes()})
		if r.broken || err != nil || slot >= BlockNodes || int(slot) <= last {
			return ErrMalformed
		}
		last = int(slot)
		f(slot, n)
	}
	return r.end()
}

func appendNode(dst []byte, n *addrspace.Node) []byte {
	dst = n.ID.AppendTo(dst)
	dst = binary.AppendUvarint(dst, uint64(len(n.Attributes)))
	for _, a := range n.Attributes {
		dst = append(dst, byte(a.ID))
		dst = binary.AppendUvarint(dst, uint64(len(a.Value)))
		dst = append(dst, a.Value...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(n.References)))
	for i := range n.References {
		dst = appendReference(dst, &n.References[i])
	}
	return dst
}

func appendReference(dst []byte, ref *addrspace.Reference) []byte {
	flags := byte(0)
	if ref.Inverse {
		flags |= flagInverse
	}
	if ref.External != "" {
		flags |= flagExternal
	}
	dst = ref.Type.AppendTo(append(dst, flags))
	if ref.External == "" {
		return ref.Target.AppendTo(dst)
	}
	dst = binary.AppendUvarint(dst, uint64(len(ref.External)))
	return append(dst, ref.External...)
}

func parseNode(r reader) (addrspace.Node, error) {
	n := addrspace.Node{ID: r.nodeID()}
	if count := r.count(2); count > 0 {
		n.Attributes = make([]addrspace.Attribute, 0, count)
		for range count {
			n.Attributes = append(n.Attributes, addrspace.Attribute{ID: ua.AttributeID(r.byte()), Value: r.bytes()})
		}
	}
	if count := r.count(5); count > 0 {
		n.References = make([]addrspace.Reference, 0, count)
		for range count {
			n.References = append(n.References, r.reference())
		}
	}
	return n, r.end()
}

func (r *reader) reference() addrspace.Reference {
	flags := r.byte()
	ref := addrspace.Reference{Inverse: flags&flagInverse != 0, Type: r.nodeID()}
	if flags&flagExternal != 0 {
		ref.External = string(r.bytes())
	} else {
		ref.Target = r.nodeID()
	}
	if flags > flagInverse|flagExternal || flags&flagExternal != 0 && ref.External == "" {
		r.fail()
	}
	return ref
}
