// Package regular opens and reads files that an operator names: configurations, keys,
// passwords, certificates, lists, images.
//
// It refuses anything but a regular file, and its error names the kind: a named pipe would
// wait for a writer; a device may have no end, or do something when it is opened. No open
// waits. Read refuses a file that is larger than its
// reader takes, before it reads it.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Error is what stands at a path in place of a file that can be read.
type Error struct {
	Path  string
	Words string // what it is, and what to do
}

func (e Error) Error() string { return e.Path + " " + e.Words }

// missing is an error of a path where nothing stands.
type missing struct {
	path string
	err  error
}

func (m missing) Error() string {
	return "file not found: " + m.path + "; correct its name or folder"
}

func (m missing) Unwrap() error { return m.err }

// Explain says what to do about an error of opening a file that is not there; others it returns as they are.
func Explain(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return missing{path, err}
	}
	return err
}

// ExplainNew says what to do about an error of making a file in a folder that is not there; others
// it returns as they are.
func ExplainNew(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return noFolder{missing{filepath.Dir(path), err}}
	}
	return err
}

// noFolder is missing for the folder of a new file.
type noFolder struct{ missing }

func (n noFolder) Error() string {
	return "folder not found: " + n.path + "; correct its name, or make it"
}

// Open opens a regular file for reading.
func Open(path string) (*os.File, error) { return open(path, check) }

// OpenDrive opens a regular file or a drive for reading.
func OpenDrive(path string) (*os.File, error) {
	return open(path, func(path string, info fs.FileInfo) error {
		if info.Mode().Type()&fs.ModeDevice != 0 {
			return nil
		}
		return check(path, info)
	})
}

func open(path string, check func(path string, info fs.FileInfo) error) (*os.File, error) {
	if info, err := os.Stat(path); err == nil {
		if err := check(path, info); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(path, os.O_RDONLY|nonBlock, 0)
	if err != nil {
		return nil, Explain(path, err)
	}
	info, err := f.Stat()
	if err == nil {
		err = check(path, info) // it may have been replaced meanwhile
	}
	if err != nil {
		_ = f.Close() // nothing was read
		return nil, err
	}
	return f, nil
}

// Read reads a regular file of at most so many bytes.
func Read(path string, most int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, most+1)) // a file may grow, and one below /proc has size 0
	if err == nil && int64(len(content)) > most {
		return nil, Error{path, fmt.Sprintf("is larger than %s: is it the right file?", size(most))}
	}
	return content, err
}

func check(path string, info fs.FileInfo) error {
	words := ""
	switch kind := info.Mode().Type(); {
	case kind == 0:
		return nil
	case kind&fs.ModeDir != 0:
		words = "is a folder and not a regular file: name a file in it"
	case kind&fs.ModeNamedPipe != 0:
		words = "is a pipe and not a regular file: write what it gives to a file, and name that"
	case kind&fs.ModeSocket != 0:
		words = "is a socket and not a regular file: name a file"
	case kind&fs.ModeDevice != 0:
		words = "is a device and not a regular file: name a file"
	default:
		words = "is not a regular file: name one"
	}
	return Error{path, words}
}

// size writes a bound in the largest unit that it is a multiple of.
func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
