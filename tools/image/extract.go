package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"heliograph/firmware/platform/release"
	"heliograph/rootfs/update"
)

// Bounds of base images.
const (
	maxWindow = 64 << 20 // bytes of memory that unpacking takes
	maxSums   = 1 << 20
	block     = 256 << 10
	sumsFile  = "SHA256SUMS"
)

// extract writes a base image into an empty file, holes where it has zeros, and makes sure
// that it is one, whole, of the board and role.
func (o Options) extract(from base, to *os.File) error {
	name := filepath.Base(from.path)
	if err := unpack(from.path, to, o.note); err != nil {
		return fmt.Errorf("image: %s %w", name, err)
	}
	m, _, err := identify(to)
	if err != nil {
		return fmt.Errorf("image: %s: %w", name, err)
	}
	if m.Role != o.Role || m.Board != o.Board.Name {
		return fmt.Errorf("image: %s is of %s for %s, not of %s for %s: download it again", name, m.Role, m.Board,
			o.Role, o.Board.Name)
	}
	return nil
}

// readOnly is a disk that nothing is written to.
type readOnly struct{ io.ReaderAt }

func (readOnly) WriteAt([]byte, int64) (int, error) { return 0, errors.New("image: read only") }
func (readOnly) Sync() error                        { return nil }

// unpack writes an image, packed or plain, and compares it with the sums beside it. Its
// errors go on after the file's name.
func unpack(path string, to *os.File, note func(string, ...any)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	packed := io.TeeReader(f, h)
	plain := packed
	if strings.HasSuffix(path, ".zst") {
		z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return err
		}
		defer z.Close()
		plain = z
	}
	size, err := sparse(to, plain)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("ends early: download it again")
	case errors.Is(err, errLarge), errors.Is(err, errMedium):
		return err
	case err != nil:
		return fmt.Errorf("is damaged (%v): download it again", err)
	}
	if _, err := io.Copy(io.Discard, packed); err != nil {
		return err
	}
	if err := compare(path, h.Sum(nil), note); err != nil {
		return err
	}
	if err := to.Truncate(size); err != nil {
		return err
	}
	return whole(to, size)
}

var (
	errLarge  = fmt.Errorf("holds more than the %d MiB of an image: it is not one of ours", imageSize>>20)
	errMedium = errors.New("cannot be unpacked")
)

// sparse copies all but zeros.
func sparse(to io.WriterAt, from io.Reader) (size int64, err error) {
	buffer, zeros := make([]byte, block), make([]byte, block)
	for {
		n, err := io.ReadFull(from, buffer)
		if err == io.ErrUnexpectedEOF && n > 0 {
			err = nil // the last block, or a reader that says so again
		}
		if size+int64(n) > imageSize {
			return 0, errLarge
		}
		if b := buffer[:n]; !bytes.Equal(b, zeros[:n]) {
			if _, err := to.WriteAt(b, size); err != nil {
				return 0, fmt.Errorf("%w: %v", errMedium, err)
			}
		}
		size += int64(n)
		if err == io.EOF {
			return size, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// whole compares an image's length with its partition table.
func whole(r io.ReaderAt, size int64) error {
	b := make([]byte, sectorSize)
	if n, _ := r.ReadAt(b, 0); n < len(b) || string(b[510:]) != "\x55\xAA" {
		return errors.New("has no partition table: it is not an image of a board")
	}
	for i := range 4 {
		e := b[446+16*i:]
		end := (int64(binary.LittleEndian.Uint32(e[8:])) + int64(binary.LittleEndian.Uint32(e[12:]))) * sectorSize
		if end > size {
			return fmt.Errorf("ends at byte %d, in its partition %d: download it again", size, i+1)
		}
	}
	return nil
}

// compare looks a file's sum up in SHA256SUMS beside it, or in the folder above.
func compare(path string, sum []byte, note func(string, ...any)) error {
	name := filepath.Base(path)
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		f, err := os.Open(filepath.Join(dir, sumsFile))
		if err != nil {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(f, maxSums))
		f.Close()
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			words := strings.Fields(line)
			if len(words) != 2 || strings.TrimPrefix(words[1], "*") != name {
				continue
			}
			if strings.ToLower(words[0]) != hex.EncodeToString(sum) {
				return fmt.Errorf("is not what %s beside it lists: download it again", sumsFile)
			}
			note("%s is what %s lists", name, sumsFile)
			return nil
		}
	}
	note("%s was not compared: no %s beside it lists it", name, sumsFile)
	return nil
}

// identify checks the committed set of an image or card, and says what it is.
func identify(r io.ReaderAt) (m release.Manifest, s update.Set, err error) {
	card, err := update.Open(readOnly{r}, 0)
	if err != nil {
		return m, 0, err
	}
	if s, err = card.Committed(); err != nil {
		return m, 0, err
	}
	m, err = card.Check(s)
	return m, s, err
}
