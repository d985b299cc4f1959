package users

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// What new hashes cost: RFC 9106 §4 scaled to a board with 1 GB, about 40 ms
// on a Cortex-A72 (estimated, not measured).
const (
	newTime    = 2
	newMemory  = 19 << 10 // KiB
	newThreads = 1
	newSalt    = 16 // bytes
	newHash    = 32 // bytes
)

// What a hash in a file may cost at most.
const (
	maxTime    = 8
	maxMemory  = 64 << 10 // KiB
	maxThreads = 4
	minBytes   = 8
	maxBytes   = 64
)

var errHash = errors.New("not a password hash; make the line with \"heliograph user add FILE NAME\"")

// hash is one argon2id hash, in files written as PHC string:
//
//	$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH     base64 without padding
type hash struct {
	time, memory uint32
	threads      uint8
	salt, sum    []byte
}

// Hash returns the PHC string of a password with a new salt.
func Hash(password string) string {
	h := newHashOf(password)
	return h.String()
}

// String implements fmt.Stringer.
func (h *hash) String() string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads,
		enc.EncodeToString(h.salt), enc.EncodeToString(h.sum))
}

func newHashOf(password string) hash {
	salt := make([]byte, newSalt)
	_, _ = rand.Read(salt) // never fails (crypto/rand since Go 1.24)
	h := hash{time: newTime, memory: newMemory, threads: newThreads, salt: salt}
	h.compute(password)
	return h
}

// compute sets what a password comes to.
func (h *hash) compute(password string) {
	h.sum = argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, newHash)
}

func parseHash(s string) (hash, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return hash{}, errHash
	}
	var h hash
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil {
		return hash{}, errHash
	}
	if parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", h.memory, h.time, h.threads) {
		return hash{}, errHash
	}
	if h.time < 1 || h.time > maxTime || h.memory < 8*uint32(h.threads) || h.memory > maxMemory || h.threads < 1 ||
		h.threads > maxThreads {
		return hash{}, fmt.Errorf("cost out of bounds: %w", errHash)
	}
	var err error
	if h.salt, err = decode(parts[4]); err != nil {
		return hash{}, err
	}
	h.sum, err = decode(parts[5])
	return h, err
}

func decode(s string) ([]byte, error) {
	b, err := base64.RawStdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < minBytes || len(b) > maxBytes {
		return nil, errHash
	}
	return b, nil
}

func (h *hash) equal(other hash) bool {
	return h.time == other.time && h.memory == other.memory && h.threads == other.threads &&
		bytes.Equal(h.salt, other.salt) && bytes.Equal(h.sum, other.sum)
}

func (h *hash) matches(password string) bool {
	got := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.sum)))
	return subtle.ConstantTimeCompare(got, h.sum) == 1
}
