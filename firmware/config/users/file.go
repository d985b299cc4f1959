package users

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"time"
)

// File is a users file that may change while it is used. Safe for concurrent
// use.
type File struct {
	// Audit, when set, receives each new login and each refused one, as a kind and text of
	// package audit, whose trail bounds how much a guesser can write. Set it before Verify.
	Audit func(kind, text string)

	path string
	log  *slog.Logger

	mu      sync.Mutex
	users   *Users
	checked time.Time   // when the file was last looked at
	info    os.FileInfo // of the file as users has it
	fault   string      // why the file is not read now, as logged
}

// checkEvery is how often the file is checked for changes, at most.
const checkEvery = time.Second

// Open reads a users file.
func Open(path string, log *slog.Logger) (*File, error) {
	f := &File{path: path, log: log}
	var err error
	if f.info, err = os.Stat(path); err != nil {
		return nil, err
	}
	if f.users, err = Load(path); err != nil {
		return nil, err
	}
	return f, nil
}

// Verify reports whether the password is the user's; see Users.Verify.
func (f *File) Verify(name, password string, from netip.Addr) bool {
	u := f.newest()
	refused, hashed := u.verify(name, password, from)
	if f.Audit != nil && (refused != "" || hashed) {
		f.audit(u, name, from, refused)
	}
	return refused == ""
}

// audit reports a login or a refusal. It names existing users only: any other name may be
// a password that was typed into the wrong field.
func (f *File) audit(u *Users, name string, from netip.Addr, refused string) {
	user := "user " + name
	if _, known := u.hashes[name]; !known {
		user = "a name that no user has"
	}
	if refused != "" {
		f.Audit("login_refused", fmt.Sprintf("%s: %s, from %s", user, refused, from))
		return
	}
	f.Audit("login", fmt.Sprintf("%s logged in, from %s", user, from))
}

// Known reports whether there is such a user.
func (f *File) Known(name string) bool {
	_, known := f.newest().hashes[name]
	return known
}

// newest reads the file again if it has changed. If it cannot be read or parsed, the
// users read before stay in force, so that a typing error locks no user out.
func (f *File) newest() *Users {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.checked) < checkEvery {
		return f.users
	}
	f.checked = time.Now()
	info, err := os.Stat(f.path)
	if err != nil {
		return f.users
	}
	if info.ModTime().Equal(f.info.ModTime()) && info.Size() == f.info.Size() && os.SameFile(info, f.info) {
		f.fault = ""
		return f.users
	}
	users, err := Load(f.path)
	if err != nil {
		if f.fault != err.Error() {
			f.fault = err.Error()
			f.log.Error("users file not reloaded; keeping the previous users", "error", err)
		}
		return f.users
	}
	f.info, f.fault = info, ""
	f.log.Info("users file reloaded", "file", f.path, "users", users.Len())
	users.inherit(f.users)
	f.users = users
	return users
}
