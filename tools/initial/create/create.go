// Package create writes the files of a first pair of configurations: all of them or none.
//
// It refuses to overwrite: a file that exists ends it before anything is written, but for a
// pair key that the user has named. What it has written is read back as "heliograph check"
// reads it; faults or an error take everything away again.
package create

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"heliograph/boards"
	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/config/users"
	"heliograph/tools/initial"
	"heliograph/tools/settings"
)

// Result says what was written.
type Result struct {
	Files    []string // in the order in which they were written
	Key      string   // that the pair uses
	KeyKept  bool     // it existed
	Warnings []config.Warning
}

// Invalid is what is wrong with the configurations that the answers lead to.
type Invalid struct{ config.Faults }

func (e Invalid) Error() string {
	return "the answers lead to a configuration with faults, and nothing was written:\n" + e.Faults.Error()
}

// Free says which of the files exists already. useKey lets the pair key exist.
func Free(a initial.Answers, more []initial.File, useKey bool) error {
	paths := []string{initial.NewUsers(a)}
	for _, f := range append(initial.Files(a), more...) {
		paths = append(paths, f.Path)
	}
	for _, path := range paths {
		if path != "" && exists(path) {
			return fmt.Errorf("%s exists already and stays as it is: name others with --tx and --rx, or move it away; "+
				"nothing was written", path)
		}
	}
	if !useKey && exists(a.Key) {
		return fmt.Errorf("%s exists already: --key %s uses it, --key with another name makes a new one; nothing "+
			"was written", a.Key, a.Key)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// Write writes everything. useKey uses the pair key that exists, if it does.
func Write(a initial.Answers, more []initial.File, useKey bool) (r Result, err error) {
	if err := Free(a, more, useKey); err != nil {
		return r, err
	}
	defer func() {
		if err == nil {
			return
		}
		for _, path := range r.Files {
			err = errors.Join(err, os.Remove(path))
		}
		r.Files = nil
	}()
	if r.Key = a.Key; exists(a.Key) {
		r.KeyKept = true
	} else {
		if err := pairkey.Create(a.Key, pairkey.New()); err != nil {
			return r, err
		}
		r.Files = append(r.Files, a.Key)
	}
	list := append(more, initial.Files(a)...)
	if path := initial.NewUsers(a); path != "" {
		line := a.Reader.Name + ":" + users.Hash(a.Reader.Password) + "\n"
		list = append([]initial.File{{Path: path, Content: line, Secret: true}}, list...)
	}
	for _, f := range list {
		if err := write(f); err != nil {
			return r, err
		}
		r.Files = append(r.Files, f.Path)
	}
	r.Warnings, err = verify(a)
	return r, err
}

// write makes a new file, and leaves nothing of it after an error.
func write(f initial.File) error {
	mode := os.FileMode(0o644)
	if f.Secret {
		mode = 0o600
	}
	out, err := os.OpenFile(f.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = out.WriteString(f.Content)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Path))
	}
	return nil
}

// verify reads both configurations as "heliograph check" does.
func verify(a initial.Answers) ([]config.Warning, error) {
	board, _ := boards.ByName(a.Board)
	both, err := settings.Pair(settings.Files{Board: board, Config: a.TX}, settings.Files{Board: board, Config: a.RX})
	if faults, ok := errors.AsType[config.Faults](err); ok {
		return both.Warnings, Invalid{faults}
	}
	return both.Warnings, err
}
