package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"aead.dev/minisign"

	"heliograph/firmware/platform/release"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/store"
)

// Our own bounds.
const (
	stateReserve = 24 << 20 // bytes that an update leaves of the disk, for state
	checkFree    = 4 << 20  // bytes that are written between two checks of what is free
)

// Updates keeps updates for PID 1: the file incoming in the folder update of a role's
// state. It appears there when all of it is on the disk, and survives a power cut
// once it is accepted; one that waits is not replaced.
//
// Before a byte is stored the signature has been checked, and with it that the file
// is for this role and board, newer than what runs, and leaves room for state. What
// is stored is compared with the manifest as it comes. PID 1 relies on none of this
// and checks again. Safe for concurrent use.
type Updates struct {
	folder string // of the update that waits
	state  string // file of PID 1
	disk   disk
	noted  time.Time // of the outcome that Note has seen

	turn sync.Mutex // one file is stored at a time

	mu      sync.Mutex
	refused *release.Outcome // the newest file of our signer that was refused here
}

// disk is what keeping an update needs of a file system. The tests fill it, and cut the
// power between its calls.
type disk interface {
	create(path string) (file, error)
	rename(from, to string) error // when it returns nil the name survives a power cut
	remove(path string) error
	free(folder string) (int64, error)
}

type file interface {
	io.WriteCloser
	Sync() error
}

// OpenUpdates returns the updates of a role with that state folder. It removes what
// an upload that was cut off has left, and so comes before anything that writes.
func OpenUpdates(state string) *Updates { return openUpdates(state, release.StateFile, realDisk{}) }

func openUpdates(state, file string, d disk) *Updates {
	u := &Updates{folder: filepath.Join(state, "update"), state: file, disk: d}
	_ = d.remove(u.part()) // as a rule there is none
	return u
}

func (u *Updates) part() string { return filepath.Join(u.folder, "part") }

func (u *Updates) whole() string { return filepath.Join(u.folder, "incoming") }

// Running returns the release that runs, and what became of the update before; nil while
// PID 1 has not said.
func (u *Updates) Running() *release.Running {
	s, err := release.ReadState(u.state)
	if err != nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.refused != nil && (s.Update == nil || u.refused.Time.After(s.Update.Time)) {
		s.Update = u.refused
	}
	return &s.Running
}

// Note has an event noted for what became of the last update as PID 1 says, unless it
// was noted before: its text is its own. Call it now and then, from one goroutine.
func (u *Updates) Note(once func(kind, text string)) {
	s, err := release.ReadState(u.state)
	if err != nil || s.Update == nil || s.Update.Time.Equal(u.noted) {
		return
	}
	o := s.Update
	u.noted = o.Time
	text := fmt.Sprintf("update to release %d %s: %s, at %s", o.Version, o.Name, o.Result.Words(),
		o.Time.Format(time.RFC3339))
	if o.Reason != "" {
		text += ": " + o.Reason
	}
	once("update_"+string(o.Result), text)
}

// Receive keeps the file that from gives, of size bytes, -1 when that is not known. Its
// error is a status.Refusal.
func (u *Updates) Receive(from io.Reader, size int64) error {
	s, err := release.ReadState(u.state)
	if err != nil {
		return refuse(http.StatusConflict, "it is not known yet what this board runs: try again in a minute")
	}
	if s.Fault != "" {
		return refuse(http.StatusConflict, "%s", s.Fault)
	}
	var key minisign.PublicKey
	if s.Key == "" || key.UnmarshalText([]byte(s.Key)) != nil {
		return refuse(http.StatusConflict, "this card accepts no update: it has no "+
			"heliograph/update.pub, which \"heliograph image configure --update-key\" writes")
	}
	var head bytes.Buffer
	m, _, err := release.Read(io.TeeReader(from, &head), key)
	if err != nil {
		return unread(err)
	}
	if !u.turn.TryLock() {
		return refuse(http.StatusConflict, "another update is on its way: try again later")
	}
	defer u.turn.Unlock()
	if _, err := os.Lstat(u.whole()); err == nil {
		return refuse(http.StatusConflict, "one waits to be installed: try again later")
	}
	if err = u.takeSigned(from, size, s, m, head.Bytes()); err != nil {
		u.mu.Lock()
		u.refused = &release.Outcome{Time: time.Now().UTC(), Version: m.Version, Name: m.Name, Result: release.Refused,
			Reason: err.Error()}
		u.mu.Unlock()
	}
	return err
}

// takeSigned goes on with a file whose manifest is genuine and whose turn it is.
func (u *Updates) takeSigned(from io.Reader, size int64, s release.State, m release.Manifest, head []byte) error {
	need := int64(len(head)) + m.Size()
	switch {
	case m.Role != s.Role || m.Board != s.Board:
		return refuse(http.StatusUnprocessableEntity, "the file is for %s on %s, this board is %s on %s", m.Role,
			m.Board, s.Role, s.Board)
	case size >= 0 && size != need:
		return refuse(http.StatusUnprocessableEntity, "the file has %d bytes, and its manifest says %d: copy it again",
			size, need)
	case s.OnTrial:
		return refuse(http.StatusConflict, "release %d is on trial: try again when it is kept", s.Version)
	case m.Version < s.Floor:
		return refuse(http.StatusConflict, "the file has version %d, and this board has had %d: an older one is "+
			"not installed", m.Version, s.Floor)
	case m.Version == s.Version:
		return refuse(http.StatusConflict, "this board runs release %d already", m.Version)
	}
	if err := store.Folder(u.folder); err != nil {
		return unwritten(err)
	}
	if err := u.room(need); err != nil {
		return err
	}
	if err := u.keep(from, m, head); err != nil {
		_ = u.disk.remove(u.part()) // the first error is returned
		return err
	}
	if err := u.disk.rename(u.part(), u.whole()); err != nil {
		_ = u.disk.remove(u.part())
		return unwritten(err)
	}
	return nil
}

// room refuses to store so many bytes more if that does not leave what state needs.
func (u *Updates) room(need int64) error {
	free, err := u.disk.free(u.folder)
	if err != nil {
		return unwritten(err)
	}
	if free-need < stateReserve {
		return refuse(http.StatusInsufficientStorage,
			"the update needs %d MiB beside the %d MiB that are kept for state, and %d MiB are free: wait until "+
				"the spools are empty, or write the card again",
			(need+1<<20-1)>>20, stateReserve>>20, free>>20)
	}
	return nil
}

// keep writes a file that was signed.
func (u *Updates) keep(from io.Reader, m release.Manifest, head []byte) error {
	f, err := u.disk.create(u.part())
	if err != nil {
		return unwritten(err)
	}
	var failed error // of the disk
	_, failed = f.Write(head)
	next := checkFree
	if failed == nil {
		err = m.Each(from, func(_ int, _ int64, b []byte) error {
			if next -= len(b); next <= 0 {
				next = checkFree
				if failed = u.room(0); failed != nil {
					return failed
				}
			}
			_, failed = f.Write(b)
			return failed
		})
	}
	if failed == nil && err == nil {
		failed = f.Sync()
	}
	if closed := f.Close(); failed == nil {
		failed = closed
	}
	switch {
	case failed != nil:
		return unwritten(failed)
	case err != nil:
		return unread(err)
	}
	return nil
}

func refuse(code int, format string, a ...any) error {
	return &status.Refusal{Status: code, Reason: "update: " + fmt.Sprintf(format, a...)}
}

// unread refuses a file that could not be read to its end as it was signed.
func unread(err error) error {
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(http.StatusRequestTimeout, "it came too slowly: at least %d KiB a second",
			status.SlowestUpdate>>10)
	case errors.As(err, &large):
		return refuse(http.StatusRequestEntityTooLarge, "more than %d MiB", large.Limit>>20)
	}
	return refuse(http.StatusUnprocessableEntity, "%s", strings.TrimPrefix(err.Error(), "release: "))
}

// unwritten refuses a file that the disk does not take.
func unwritten(err error) error {
	var already *status.Refusal
	switch {
	case errors.As(err, &already):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return refuse(http.StatusInsufficientStorage, "the disk is full")
	}
	return refuse(http.StatusInternalServerError, "%v", err)
}

type realDisk struct{}

func (realDisk) create(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|noFollow, 0o600)
}

func (realDisk) rename(from, to string) error { return store.Rename(from, to) }

func (realDisk) remove(path string) error { return os.Remove(path) }
