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
	"path/filepath"
	"strings"

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

// Taken is a file that exists already.
type Taken struct {
	Path string
	Flag string // that names another one
}

func (e Taken) Error() string {
	way := "name another one with"
	if strings.HasSuffix(e.Flag, "-file") {
		way = "use it with"
	}
	return fmt.Sprintf("%s exists already and stays as it is: %s --%s, or move it away; nothing was written", e.Path,
		way, e.Flag)
}

// Free says which of the files exists already. useKey lets the pair key exist.
func Free(a initial.Answers, more []initial.File, useKey bool) error {
	list := append(initial.Files(a), more...)
	if path := initial.NewUsers(a); path != "" {
		list = append(list, initial.File{Path: path, Flag: "users-file"})
	}
	for _, f := range list {
		if exists(f.Path) {
			return Taken{f.Path, f.Flag}
		}
	}
	if !useKey && exists(a.Key) {
		return fmt.Errorf("%s exists already: --key %s uses it, --key with another name makes a new one; nothing "+
			"was written", a.Key, a.Key)
	}
	return nil
}

// Possible says which answer about files leads to one that cannot be written.
func Possible(a initial.Answers) error {
	for _, other := range [][2]string{{"heliotx", a.TX}, {"heliorx", a.RX},
		{"the users list", filepath.Join(filepath.Dir(a.RX), initial.UsersName)}} {
		if a.Key != "" && filepath.Clean(a.Key) == filepath.Clean(other[1]) {
			return initial.Fault{Flag: "key", Answer: a.Key, Words: other[0] + " has that file: name another one"}
		}
	}
	for _, f := range []struct{ flag, path string }{{"tx", a.TX}, {"rx", a.RX}, {"key", a.Key}} {
		if f.flag == "key" && exists(f.path) {
			continue // it is read
		}
		if err := writable(filepath.Dir(f.path)); err != nil {
			return initial.Fault{Flag: f.flag, Answer: f.path, Words: err.Error()}
		}
	}
	return nil
}

// Usable says whether the pair key that exists can be used.
func Usable(a initial.Answers) error {
	_, err := pairkey.Read(a.Key)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil // a missing one is made
	}
	words := strings.TrimPrefix(err.Error(), "pairkey: ")
	words = strings.TrimPrefix(strings.TrimPrefix(words, a.Key+": "), a.Key+" ")
	return initial.Fault{Flag: "key", Answer: a.Key, Words: words}
}

// writable says whether a folder takes a new file.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".heliograph-init-*")
	if reason, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("no file can be written in the folder %s: %v: name one in another folder", dir, reason.Err)
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
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
		reader := initial.Reader(a)
		line := reader.Name + ":" + users.Hash(reader.Password) + "\n"
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
	tx, rx := settings.Files{Board: board, Config: a.TX}, settings.Files{Board: board, Config: a.RX}
	if a.Board == board.Name {
		tx.Network, rx.Network = initial.NetworkFile(a.TX), initial.NetworkFile(a.RX)
	}
	both, err := settings.Pair(tx, rx)
	if faults, ok := errors.AsType[config.Faults](err); ok {
		if err := initial.Blame(faults, a); err != nil {
			return both.Warnings, err
		}
		return both.Warnings, Invalid{faults}
	}
	return both.Warnings, err
}
