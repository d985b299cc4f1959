package history

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// packer packs and unpacks. Packing belongs to one goroutine at a time; unpacking is
// safe for concurrent use.
type packer struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

func newPacker() (*packer, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(128<<10), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(true))
	if err != nil {
		return nil, fmt.Errorf("history: %v", err)
	}
	// Two read at a time, and never more memory than a record may have.
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxBody),
		zstd.WithDecoderMaxWindow(maxBody), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("history: %v", err)
	}
	return &packer{encoder: encoder, decoder: decoder}, nil
}

// appendBody appends a journal record's body.
func (p *packer) appendBody(dst, changes []byte) []byte {
	from := len(dst)
	dst = binary.AppendUvarint(dst, uint64(len(changes)))
	head := len(dst)
	if dst = p.encoder.EncodeAll(changes, dst); len(dst)-head < len(changes) {
		return dst
	}
	return append(append(dst[:from], 0), changes...)
}

// body returns the changes of a journal record.
func (p *packer) body(b []byte) ([]byte, error) {
	size, n := binary.Uvarint(b)
	switch {
	case n <= 0 || size > maxBody:
		return nil, errDamaged
	case size == 0:
		return b[n:], nil
	}
	return p.unpack(b[n:], int(size))
}

// unpack returns what b, packed, is: size bytes.
func (p *packer) unpack(b []byte, size int) ([]byte, error) {
	out, err := p.decoder.DecodeAll(b, make([]byte, 0, size))
	if err != nil || len(out) != size {
		return nil, errDamaged
	}
	return out, nil
}
