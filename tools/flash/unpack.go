package flash

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

// Bounds of a packed image.
const (
	mostImage  = 1 << 30  // bytes when it is unpacked
	mostWindow = 64 << 20 // bytes of memory for that
)

// packings are what the first bytes of a file tell.
func packings() []packing {
	return []packing{
		{"zstd", "\x28\xB5\x2F\xFD", func(r io.Reader) (io.Reader, error) {
			return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(mostWindow))
		}},
		{"gzip", "\x1F\x8B", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"xz", "\xFD7zXZ\x00", nil},
		{"zip", "PK\x03\x04", nil},
		{"bzip2", "BZh", nil},
		{"7z", "7z\xBC\xAF\x27\x1C", nil},
	}
}

type packing struct {
	name, magic string
	open        func(io.Reader) (io.Reader, error)
}

// unpacked returns an image that is not packed: the file itself, or one that remove deletes.
func unpacked(f *os.File) (plain *os.File, remove func(), err error) {
	head := make([]byte, 8)
	if err := readAt(f, head, 0); err != nil {
		return f, nil, nil // shorter than any image
	}
	for _, p := range packings() {
		if !bytes.HasPrefix(head, []byte(p.magic)) {
			continue
		}
		if p.open == nil {
			return nil, nil, fmt.Errorf("it is packed with %s: unpack it first", p.name)
		}
		return unpackWith(p, f)
	}
	return f, nil, nil
}

func unpackWith(p packing, f *os.File) (plain *os.File, remove func(), err error) {
	r, err := p.open(f)
	if err != nil {
		return nil, nil, damagedBy(p, err)
	}
	if plain, err = os.CreateTemp("", "heliograph-*.img"); err != nil {
		return nil, nil, err
	}
	remove = func() { plain.Close(); os.Remove(plain.Name()) }
	if err := sparseCopy(plain, r); err != nil {
		remove()
		return nil, nil, damagedBy(p, err)
	}
	return plain, remove, nil
}

var errHuge = fmt.Errorf("it holds more than the %d MB of an image: it is not one of ours", mostImage>>20)

func damagedBy(p packing, err error) error {
	if errors.Is(err, errHuge) || errors.Is(err, os.ErrInvalid) || errors.As(err, new(*os.PathError)) {
		return err
	}
	return fmt.Errorf("it is damaged (%s: %v): copy or download it again", p.name, err)
}

// sparseCopy writes all but zeros.
func sparseCopy(to *os.File, from io.Reader) error {
	buffer, zeros := make([]byte, chunk), make([]byte, chunk)
	size := int64(0)
	for {
		n, err := io.ReadFull(from, buffer)
		if size+int64(n) > mostImage {
			return errHuge
		}
		if b := buffer[:n]; !bytes.Equal(b, zeros[:n]) {
			if err := writeAt(to, b, size); err != nil {
				return err
			}
		}
		size += int64(n)
		switch {
		case err == io.EOF:
			return to.Truncate(size)
		case err == io.ErrUnexpectedEOF: // the end, or a stream that was cut: which, the next read tells
			if _, next := io.ReadFull(from, buffer[:1]); next != io.EOF {
				return io.ErrUnexpectedEOF
			}
			return to.Truncate(size)
		case err != nil:
			return err
		}
	}
}
