// Package pairkey makes and reads the key that the two boards of a pair share.
//
// The file is one line of text, so that it can be compared by eye, printed and copied by
// hand:
//
//	heliograph-pair-key-1 KEY CHECK
//
//	KEY    32 random bytes, base64url without padding (RFC 4648 §5), 43 letters
//	CHECK  first 4 bytes of SHA-256("heliograph-pair-key-1" ‖ key), 8 hex digits
//
// The check detects a typing error; it is not a protection against forgery. The package
// refuses to overwrite a file (the old key may have no other copy) and to write one that
// others may read.
package pairkey

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"heliograph/firmware/platform/regular"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/platform/text"
)

const (
	// Size is the length of a pair key in bytes.
	Size = 32

	format  = "heliograph-pair-key-1"
	maxFile = 1024 // bytes; a key file has 74
	mode    = 0o600
)

// ErrMalformed says that a file is not a pair key.
var ErrMalformed = errors.New("not a pair key: run \"heliograph key new FILE\" and copy the file to both sides " +
	"unchanged")

// New returns a random pair key.
func New() [Size]byte {
	var key [Size]byte
	_, _ = rand.Read(key[:]) // never fails (crypto/rand since Go 1.24)
	return key
}

// Format returns the text of a key file, with its line end.
func Format(key [Size]byte) []byte {
	return fmt.Appendf(nil, "%s %s %s\n", format, base64.RawURLEncoding.EncodeToString(key[:]), check(key))
}

// Parse reads the text of a key file. White space around it is ignored.
func Parse(content []byte) ([Size]byte, error) {
	var key [Size]byte
	words := bytes.Fields(text.TrimMark(content))
	if len(words) != 3 || string(words[0]) != format {
		return key, ErrMalformed
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(string(words[1]))
	if err != nil || len(raw) != Size {
		return key, ErrMalformed
	}
	copy(key[:], raw)
	if string(words[2]) != check(key) {
		return [Size]byte{}, fmt.Errorf("the key's check digits do not match: %w", ErrMalformed)
	}
	return key, nil
}

// Read reads a key file.
func Read(path string) ([Size]byte, error) {
	content, err := regular.Read(path, maxFile)
	if err != nil {
		return [Size]byte{}, fmt.Errorf("pairkey: %w", err)
	}
	key, err := Parse(content)
	if err != nil {
		return [Size]byte{}, fmt.Errorf("pairkey: %s: %w", path, err)
	}
	return key, nil
}

// Create writes a key to a new file that only its owner may read. It does not overwrite a
// file: os.ErrExist.
func Create(path string, key [Size]byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("pairkey: %w", err)
	}
	_, err = f.Write(Format(key))
	if err = errors.Join(err, f.Sync(), f.Close(), store.SyncFolder(filepath.Dir(path))); err != nil {
		return fmt.Errorf("pairkey: writing %s: %w", path, err)
	}
	return nil
}

func check(key [Size]byte) string {
	sum := sha256.Sum256(append([]byte(format), key[:]...))
	return hex.EncodeToString(sum[:4])
}
