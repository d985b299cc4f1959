// Package acceptance is how an operator has a receiver accept a run of the
// transmitter that it refuses, because its epoch is not beyond what the receiver
// remembers. Two files in the receiver's state carry it:
//
//	epoch-refused   heliorx writes it: package store, JSON, the runs it refuses, newest last
//	epoch-accept    the operator's tool writes it: the ID of one of them, as text
//
// An ID is the epoch and the first four bytes of the run's salt, "1-9f03ab21":
// what is accepted is this run and no other. The package decides nothing;
// whether a run may be offered for acceptance is for the receiver to say.
package acceptance

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"heliograph/firmware/platform/regular"
	"heliograph/firmware/platform/store"
)

// Run is one run of a transmitter.
type Run struct {
	Epoch     uint64    `json:"epoch"`
	Salt      Salt      `json:"salt"`
	LastFrame time.Time `json:"heard,omitzero"` // when its last frame arrived
}

// Salt distinguishes runs of the same epoch.
type Salt [16]byte

// MarshalText implements encoding.TextMarshaler.
func (s Salt) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Salt) UnmarshalText(b []byte) error {
	if len(b) != 2*len(s) {
		return errors.New("acceptance: a salt has 16 bytes")
	}
	_, err := hex.Decode(s[:], b)
	return err
}

// ID names the run for an operator.
func (r Run) ID() string { return fmt.Sprintf("%d-%x", r.Epoch, r.Salt[:4]) }

// Same reports whether r and other are the same run.
func (r Run) Same(other Run) bool { return r.Epoch == other.Epoch && r.Salt == other.Salt }

const (
	refusedFile = "epoch-refused"
	acceptFile  = "epoch-accept"
	maxID       = 64 // bytes of the file
)

// KeepRefused writes which runs are refused.
func KeepRefused(dir string, runs []Run) error {
	b, err := json.Marshal(runs)
	if err == nil {
		err = store.Write(filepath.Join(dir, refusedFile), b)
	}
	return err
}

// Refused returns the runs that the receiver which works in dir refuses.
func Refused(dir string) (runs []Run, err error) {
	b, err := store.Read(filepath.Join(dir, refusedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &runs)
	}
	if err != nil {
		return nil, fmt.Errorf("acceptance: %v", err)
	}
	return runs, nil
}

// Accept makes the receiver that works in dir accept a run that it refuses. With an
// empty id that is the only one it refuses.
func Accept(dir, id string) (Run, error) {
	runs, err := Refused(dir)
	if err != nil {
		return Run{}, err
	}
	var ids []string
	for _, r := range runs {
		if r.ID() == id || id == "" && len(runs) == 1 {
			// Its reader may be another user; it is not a secret.
			path := filepath.Join(dir, acceptFile)
			err := store.ReplaceFile(path, 0o644, []byte(r.ID()+"\n"))
			store.SameOwner(path, dir)
			return r, err
		}
		ids = append(ids, r.ID())
	}
	switch {
	case len(runs) == 0:
		return Run{}, errors.New("acceptance: the receiver refuses no run: wait until it has received frames of " +
			"the transmitter, then try again")
	case id == "":
		return Run{}, fmt.Errorf("acceptance: %d runs are refused, name one: %s", len(runs), strings.Join(ids, " "))
	}
	return Run{}, fmt.Errorf("acceptance: %q is not refused; what is: %s", id, strings.Join(ids, " "))
}

// Accepted returns the ID that the operator accepts, "" for none.
func Accepted(dir string) string {
	b, err := regular.Read(filepath.Join(dir, acceptFile), maxID)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Used removes the operator's acceptance, which holds once.
func Used(dir string) error {
	if err := os.Remove(filepath.Join(dir, acceptFile)); err != nil {
		return fmt.Errorf("acceptance: %v", err)
	}
	return nil
}
