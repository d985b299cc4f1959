package flash

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"heliograph/boards"
	"heliograph/firmware/platform/regular"
	"heliograph/firmware/platform/release"
	"heliograph/tools/image"
	"heliograph/tools/image/packed"
)

// source is an image that was found to be good.
type source struct {
	io.ReaderAt
	file     *os.File
	size     int64
	content  image.Content
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
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("flash: %w", err) // with the name
	}
	if err != nil {
		return nil, fmt.Errorf("flash: %s: %w", name, err)
	}
	return s, nil
}

func open(name string, note func(string, ...any)) (*source, error) {
	f, err := regular.Open(name)
	if wrong, ok := errors.AsType[regular.Error](err); ok {
		return nil, errors.New(wrong.Words)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
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

// configuration checks what the image's board will find in it.
func (s *source) configuration() error {
	b, _ := boards.ByName(s.manifest.Board)
	return s.content.Check(s.manifest.Role, b)
}

func (s *source) partitions() error { return image.CheckPartitions(s, s.size) }

// committed checks what the image's board boots.
func (s *source) committed() (err error) {
	if s.manifest, _, err = image.Committed(s); err != nil {
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
