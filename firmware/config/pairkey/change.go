package pairkey

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"heliograph/firmware/platform/store"
)

// change is the file "pair-key" in the state directory (package store, JSON): it replaces
// the key of the key file that it was made for, so that neither a card nor a configuration
// has to be written. Another key file ends it, unless that has the new key. The key of a
// pair is changed on the running receiver first, then on the transmitter, which uses it
// from its next start on.
type change struct {
	Base  string    `json:"base"` // ID of the key in the key file
	Old   keyText   `json:"old"`
	New   keyText   `json:"new"`
	Until time.Time `json:"until"` // a receiver accepts the old key
}

// keyText is a key as its file has it.
type keyText [Size]byte

// MarshalText implements encoding.TextMarshaler.
func (t keyText) MarshalText() ([]byte, error) { return Format(t), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *keyText) UnmarshalText(b []byte) error {
	key, err := Parse(b)
	*t = key
	return err
}

const changeFile = "pair-key"

// ID identifies a key without revealing any of it.
func ID(key [Size]byte) string {
	sum := sha256.Sum256(append([]byte("heliograph key id"), key[:]...))
	return hex.EncodeToString(sum[:4])
}

// Use is the keys in force.
type Use struct {
	Key      [Size]byte  // the newest: the transmitter's
	Old      *[Size]byte // a receiver accepts it too, until Until; nil: no other
	Until    time.Time
	Memory   string // ID under which a receiver stores the transmitter's epoch
	Replaced string // the former ID, once the key file has the new key; or ""
}

// InUse returns the keys of a role: that of its key file, or those of a change in its state
// directory. A damaged change is a warning.
func InUse(keyFile, state string, now time.Time) (u Use, warning, err error) {
	key, err := Read(keyFile)
	if err != nil {
		return u, nil, err
	}
	u = Use{Key: key, Memory: ID(key)}
	var c change
	b, err := store.Read(filepath.Join(state, changeFile))
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return u, nil, nil
	}
	if err != nil {
		return u, fmt.Errorf("pairkey: the stored key change is damaged; using the key of %s: %v", keyFile, err), nil
	}
	switch {
	case c.Base == u.Memory:
		u.Key = c.New
	case c.New == keyText(key):
		u.Replaced = c.Base
	default:
		return u, nil, nil // made for another key file
	}
	if now.Before(c.Until) {
		old := [Size]byte(c.Old)
		u.Old, u.Until = &old, c.Until
	}
	return u, nil, nil
}

// Change stores a key as the one to use. A receiver accepts the former one for a while.
func Change(keyFile, state string, key [Size]byte, now time.Time, accept time.Duration) (u Use, err error) {
	u, _, err = InUse(keyFile, state, now)
	if err != nil {
		return u, err
	}
	if key == u.Key {
		return u, fmt.Errorf("pairkey: key %s is already in use", ID(key))
	}
	base := u.Memory
	b, err := json.Marshal(change{Base: base, Old: u.Key, New: key, Until: now.Add(accept).UTC().Truncate(time.Second)})
	if err != nil {
		return u, fmt.Errorf("pairkey: %v", err)
	}
	if err := store.Folder(state); err != nil {
		return u, fmt.Errorf("pairkey: %w", err)
	}
	path := filepath.Join(state, changeFile)
	if err := store.Write(path, b); err != nil {
		return u, fmt.Errorf("pairkey: %w", err)
	}
	// The role may run as another user than its operator: the file gets the folder's owner.
	store.SameOwner(path, state)
	u, _, err = InUse(keyFile, state, now)
	return u, err
}
