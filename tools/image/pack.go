package image

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"heliograph/boards"
)

// BuildBases builds from the checkout in Source the base images of the boards, both roles of
// each, into a folder that is there, under their names (BaseName), and returns those. Each
// program is compiled once. A base image has no configuration, and no key: Options that
// name one are refused. Release is the number that the images start from; 0 is 1. Notes
// gets a line before each image, which takes half a minute.
func BuildBases(o Options, list []boards.Board, folder string) (names []string, err error) {
	if o.Config != "" || o.Network != "" || o.PKI != "" || o.UpdateKey != "" {
		return nil, fmt.Errorf("image: a base image has no configuration and no key")
	}
	for _, o.Role = range []string{"tx", "rx"} {
		o.note("compiling what the images of %s have …", o.Role)
		p, err := compile(o)
		if err != nil {
			return names, err
		}
		for _, o.Board = range list {
			if err := o.check(); err != nil {
				return names, err
			}
			name := BaseName(o.Version, o.Board.Name, o.Role)
			o.note("making %s …", name)
			fill := func(f *os.File) error { return assemble(f, o, p) }
			if err := pack(filepath.Join(folder, name), fill); err != nil {
				return names, err
			}
			names = append(names, name)
		}
	}
	return names, nil
}

// pack compresses an image that fill writes into an empty file.
func pack(name string, fill func(*os.File) error) error {
	plain, err := os.CreateTemp("", "heliograph-*.img")
	if err != nil {
		return fmt.Errorf("image: %v", err)
	}
	defer os.Remove(plain.Name())
	defer plain.Close()
	if err := fill(plain); err != nil {
		return err
	}
	if _, err := plain.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("image: %v", err)
	}
	if err := write(name, func(f *os.File) error {
		// One goroutine: the bytes do not depend on how many there are.
		z, err := zstd.NewWriter(f, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
		if err != nil {
			return err
		}
		if _, err := io.Copy(z, plain); err != nil {
			return fmt.Errorf("image: writing %s: %v", name, err)
		}
		return z.Close()
	}); err != nil {
		return err
	}
	if err := os.Chmod(name, 0o644); err != nil { // there is no secret in it
		return fmt.Errorf("image: %v", err)
	}
	return nil
}
