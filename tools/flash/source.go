package flash

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"heliograph/boards"
	"heliograph/firmware/platform/release"
	"heliograph/rootfs/update"
	"heliograph/tools/image"
	"heliograph/tools/image/packed"
)

// source is an image that was found to be good.
type source struct {
	io.ReaderAt
	file     *os.File
	size     int64
	content  content
	manifest release.Manifest // of the set that its board boots
	holes    []bool           // chunks that are zeros
	blank    int64            // bytes in them
	given    os.FileInfo      // of the file that was named
	remove   func()
}

func (s *source) close() {
	s.file.Close()
	s.remove()
}

// openSource opens an image, packed or not, and refuses one that is not ours, is not all
// there, or differs from what it was when it was made.
func openSource(name string, note func(format string, a ...any)) (*source, error) {
	s, err := open(name, note)
	if err != nil {
		return nil, fmt.Errorf("flash: %s: %w", name, err)
	}
	return s, nil
}

func open(name string, note func(string, ...any)) (*source, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, errors.Unwrap(err) // the name is said already
	}
	s := &source{ReaderAt: f, file: f, remove: func() {}}
	if s.given, err = f.Stat(); err != nil || !s.given.Mode().IsRegular() {
		s.close()
		return nil, image.ErrForeign
	}
	list, err := packed.CompareSum(name, f)
	if err != nil {
		s.close()
		return nil, err
	}
	if list != "" {
		note("%s is what %s lists\n", name, list)
	}
	plain, remove, err := packed.Open(f)
	if err != nil {
		s.close()
		return nil, err
	}
	if plain != f {
		f.Close()
		s.ReaderAt, s.file, s.remove = plain, plain, remove
	}
	if err := s.inspect(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// inspect reads all of an image.
func (s *source) inspect() error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	s.size = info.Size()
	if s.content, err = image.ReadContent(s.file); errors.Is(err, image.ErrForeign) {
		return err // before its partitions are looked at, which another's may have anywhere
	}
	for _, check := range []func() error{
		s.partitions, s.committed, func() error { return err }, s.configuration, s.findHoles,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

const cutShort = "it ends at byte %d, in its partition %d, which reaches to %d: it was cut short; " +
	"copy or download it again"

// configuration checks what the image's board will find in it.
func (s *source) configuration() error {
	b, _ := boards.ByName(s.manifest.Board)
	return s.content.Check(s.manifest.Role, b)
}

// partitions compares the partition table with the image's length.
func (s *source) partitions() error {
	b := make([]byte, sector)
	if err := readAt(s, b, 0); err != nil {
		return err
	}
	end := int64(sector)
	for i := range 4 {
		e := b[446+16*i:]
		start := int64(binary.LittleEndian.Uint32(e[8:])) * sector
		length := int64(binary.LittleEndian.Uint32(e[12:])) * sector
		switch {
		case start < end || length == 0:
			return fmt.Errorf("its partition %d is not where one of ours is: make it again with \"heliograph image\"",
				i+1)
		case start+length > s.size:
			return fmt.Errorf(cutShort, s.size, i+1, start+length)
		}
		end = start + length
	}
	if s.size%sector != 0 {
		return fmt.Errorf("it has %d bytes, which are not whole sectors: copy or download it again", s.size)
	}
	return nil
}

// readOnly is a disk that nothing is written to.
type readOnly struct{ io.ReaderAt }

func (readOnly) WriteAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }
func (readOnly) Sync() error                        { return nil }

// manifestOf reads what an image's board boots, without comparing it.
func manifestOf(r io.ReaderAt) (m release.Manifest, err error) {
	card, err := update.Open(readOnly{r}, 0)
	if err != nil {
		return m, err
	}
	set, err := card.Committed()
	if err != nil {
		return m, err
	}
	return card.Manifest(set)
}

// committed compares every file of the set that the board boots, and its root slot, with
// their hashes in the manifest.
func (s *source) committed() error {
	card, err := update.Open(readOnly{s}, 0)
	var set update.Set
	if err == nil {
		set, err = card.Committed()
	}
	if err == nil {
		s.manifest, err = card.Check(set)
	}
	if err != nil {
		return fmt.Errorf("it is damaged: %w; copy, download or make it again", err)
	}
	return nil
}

// findHoles notes which chunks are zeros.
func (s *source) findHoles() error {
	buffer, zeros := make([]byte, chunk), make([]byte, chunk)
	for at := int64(0); at < s.size; at += chunk {
		b := buffer[:min(chunk, s.size-at)]
		if err := readAt(s, b, at); err != nil {
			return err
		}
		hole := at > 0 && bytes.Equal(b, zeros[:len(b)])
		s.holes = append(s.holes, hole)
		if hole {
			s.blank += int64(len(b))
		}
	}
	return nil
}
