// Package packed reads a file that holds an image of a board: plain, or packed with zstd
// or gzip; and compares it with the checksum beside it. Other packings it refuses by
// their names.
package packed

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/klauspost/compress/zstd"
)

// Bounds of a packed image.
const (
	MaxSize    = 512 << 20 // bytes when it is unpacked
	mostWindow = 64 << 20  // bytes of memory for that
	chunk      = 1 << 20
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

// Open returns a file with the image: f itself when it is not packed, else a temporary one
// with holes where the image has zeros. Remove closes that and deletes it; it is nil for f.
func Open(f *os.File) (plain *os.File, remove func(), err error) {
	p, err := packingOf(f)
	if err != nil || p.name == "" {
		return f, nil, err
	}
	if plain, err = os.CreateTemp("", "heliograph-*.img"); err != nil {
		return nil, nil, err
	}
	remove = func() { plain.Close(); os.Remove(plain.Name()) }
	if err := p.unpack(plain, f); err != nil {
		remove()
		return nil, nil, err
	}
	return plain, remove, nil
}

// Unpack writes the image in a file, packed or not, into an empty one, with holes where it
// has zeros.
func Unpack(to, f *os.File) error {
	p, err := packingOf(f)
	switch {
	case err != nil:
		return err
	case p.name == "":
		return sparseCopy(to, f)
	}
	return p.unpack(to, f)
}

// packingOf tells by the first bytes how a file is packed; without a name it is not.
func packingOf(f *os.File) (packing, error) {
	head := make([]byte, 8)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return packing{}, err
	}
	for _, p := range packings() {
		switch {
		case !bytes.HasPrefix(head[:n], []byte(p.magic)):
		case p.open == nil:
			return p, fmt.Errorf("it is packed with %s: unpack it first", p.name)
		default:
			return p, nil
		}
	}
	return packing{}, nil
}

func (p packing) unpack(to, f *os.File) error {
	r, err := p.open(f)
	if err != nil {
		return p.damaged(err)
	}
	if err := sparseCopy(to, r); err != nil {
		return p.damaged(err)
	}
	return nil
}

var errHuge = fmt.Errorf("it holds more than the %d MiB of an image: it is not one of ours", MaxSize>>20)

func (p packing) damaged(err error) error {
	if _, full := errors.AsType[FullError](err); full {
		return err
	}
	if errors.Is(err, errHuge) || errors.Is(err, os.ErrInvalid) || errors.As(err, new(*os.PathError)) {
		return err
	}
	return fmt.Errorf("it is damaged (%s: %v): copy or download it again", p.name, err)
}

// FullError says that a folder has no space for an image.
type FullError struct{ Folder string }

func (e FullError) Error() string {
	return fmt.Sprintf("no space left in %s: free %d MiB", e.Folder, MaxSize>>20)
}

// windowsFull is ERROR_DISK_FULL.
const windowsFull = syscall.Errno(112)

// Space turns the error of writing an image's file, when the disk is full, into a FullError.
func Space(err error, name string) error {
	if errors.Is(err, syscall.ENOSPC) || runtime.GOOS == "windows" && errors.Is(err, windowsFull) {
		return FullError{filepath.Dir(name)}
	}
	return err
}

// sparseCopy writes all but zeros.
func sparseCopy(to *os.File, from io.Reader) error {
	buffer, zeros := make([]byte, chunk), make([]byte, chunk)
	size := int64(0)
	for {
		n, err := io.ReadFull(from, buffer)
		if size+int64(n) > MaxSize {
			return errHuge
		}
		if b := buffer[:n]; !bytes.Equal(b, zeros[:n]) {
			if _, err := to.WriteAt(b, size); err != nil {
				return Space(err, to.Name())
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
