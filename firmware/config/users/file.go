package users

import (
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"time"
)

// File is a users file that may change while it is used. Safe for concurrent
// use.
type File struct {
	path string
	log  *slog.Logger

	mu     sync.Mutex
	users  *Users
	looked time.Time
	info   os.FileInfo
}

// lookEvery is how often the file is looked at, at most.
const lookEvery = time.Second

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

// Verify says whether the password is the user's; see Users.Verify.
func (f *File) Verify(name, password string, from netip.Addr) bool {
	return f.newest().Verify(name, password, from)
}

// Known says whether there is such a user.
func (f *File) Known(name string) bool {
	_, known := f.newest().hashes[name]
	return known
}

// newest reads the file again if it has changed. One that cannot be read, or has
// a fault, leaves the users that were known: a slip of the editor's locks nobody
// out.
func (f *File) newest() *Users {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) < lookEvery {
		return f.users
	}
	f.looked = time.Now()
	info, err := os.Stat(f.path)
	if err == nil && info.ModTime().Equal(f.info.ModTime()) && info.Size() == f.info.Size() && os.SameFile(info, f.info) {
		return f.users
	}
	if err != nil {
		return f.users
	}
	f.info = info
	users, err := Load(f.path)
	if err != nil {
		f.log.Error("the users that were known stay: " + err.Error())
		return f.users
	}
	f.log.Info("users read again", "file", f.path, "users", users.Len())
	users.inherit(f.users)
	f.users = users
	return users
}
