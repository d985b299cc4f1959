// Package users keeps the names and password hashes of those who may log in to
// a server on the IT side.
//
// A file holds one user a line, "name:hash", with "#" comments and empty lines;
// the hash is an argon2id PHC string (RFC 9106). The package refuses to store a
// password, to reveal by its answer or its timing whether a name exists, and to
// spend more than a bounded amount of work on guessing: each name has five attempts
// from each address (all unknown names share theirs) and then two a second, one hash
// is computed at a time, and the addresses take turns. A user who logged in before is
// recognised without a hash, from any address, and an address that a user logged in
// from has turns that others cannot use up: guessing locks no user out.
package users

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"unicode"

	"heliograph/firmware/platform/regular"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/platform/text"
)

const (
	maxFile     = 1 << 20 // bytes
	maxUsers    = 1000
	maxName     = 128  // bytes
	maxPassword = 1024 // bytes
)

// Users is the content of a users file. Safe for concurrent use.
type Users struct {
	hashes map[string]hash
	decoy  hash // costs an unknown name as much as a known one

	scheduler *scheduler

	mu       sync.Mutex
	proofKey [sha256.Size]byte
	proofs   map[string][sha256.Size]byte // name → HMAC of the password that was right
}

// Load reads a users file.
func Load(path string) (*Users, error) {
	content, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	u, err := Parse(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("users: %s:%w", path, err)
	}
	return u, nil
}

// read reads a file that Parse reads whole.
func read(path string) ([]byte, error) { return regular.Read(path, maxFile) }

// Parse reads the text of a users file.
func Parse(r io.Reader) (*Users, error) {
	u := &Users{hashes: map[string]hash{}, proofs: map[string][sha256.Size]byte{}, scheduler: newScheduler()}
	_, _ = rand.Read(u.proofKey[:]) // never fails
	lines := bufio.NewScanner(io.LimitReader(r, maxFile))
	n := 0
	for lines.Scan() {
		n++
		line := lines.Bytes()
		if n == 1 {
			line = text.TrimMark(line)
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		name, secret, _ := strings.Cut(string(line), ":")
		if err := CheckName(name); err != nil {
			return nil, fmt.Errorf("%d: %w", n, err)
		}
		h, err := parseHash(secret)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", n, err)
		}
		if _, twice := u.hashes[name]; twice {
			return nil, fmt.Errorf("%d: user %q is defined twice", n, name)
		}
		if len(u.hashes) == maxUsers {
			return nil, fmt.Errorf("%d: more than %d users", n, maxUsers)
		}
		u.hashes[name] = h
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%d: %w", n+1, err)
	}
	u.decoy = hash{time: newTime, memory: newMemory, threads: newThreads, salt: make([]byte, newSalt),
		sum: make([]byte, newHash)}
	return u, nil
}

// Len returns the number of users.
func (u *Users) Len() int { return len(u.hashes) }

// Verify reports whether the password is the user's. It takes some ten milliseconds the
// first time, and longer when others try passwords too; without a turn within 15
// seconds it refuses without a comparison.
func (u *Users) Verify(name, password string, from netip.Addr) bool {
	refused, _ := u.verify(name, password, from)
	return refused == ""
}

// Why a password is refused.
const (
	wrongPassword = "wrong password"
	unknownUser   = "unknown user"
	tooLong       = "name or password too long"
	tooMany       = "too many attempts at once"
)

// verify returns why the password is refused, "" if it is right, and whether a hash was
// computed for that.
func (u *Users) verify(name, password string, from netip.Addr) (refused string, compared bool) {
	if len(name) > maxName || len(password) > maxPassword {
		return tooLong, false
	}
	proof := u.proof(name, password)
	h, exists := u.hashes[name]
	o := origin{name, network(from)}
	if !exists {
		h, o.name = u.decoy, ""
	}
	u.mu.Lock()
	before, ok := u.proofs[name]
	u.mu.Unlock()
	if ok && hmac.Equal(before[:], proof[:]) {
		return "", false
	}
	if !u.scheduler.acquire(o) {
		return tooMany, false
	}
	right := h.matches(password) && exists
	u.scheduler.release(o, right)
	switch {
	case !exists:
		return unknownUser, true
	case !right:
		return wrongPassword, true
	}
	u.mu.Lock()
	u.proofs[name] = proof
	u.mu.Unlock()
	return "", true
}

// inherit takes over what was learned with an older version of the file: the scheduler's
// state, and the proofs of users whose passwords did not change.
func (u *Users) inherit(old *Users) {
	old.mu.Lock()
	defer old.mu.Unlock()
	u.scheduler, u.proofKey = old.scheduler, old.proofKey
	for name, proof := range old.proofs {
		if h, still := u.hashes[name]; still && h.equal(old.hashes[name]) {
			u.proofs[name] = proof
		}
	}
}

// proof identifies a name and password in memory without revealing either.
func (u *Users) proof(name, password string) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, u.proofKey[:])
	fmt.Fprintf(mac, "%d:%s%s", len(name), name, password)
	mac.Sum(sum[:0])
	return sum
}

// Add adds a user to a file, or replaces the user's password; it creates the file if
// there is none. The file is replaced atomically: a reader sees the old or the new one. It
// keeps its owner, its group and its mode, as far as 0640; a new file has mode 0600.
func Add(path, name, password string) error {
	if err := CheckName(name); err != nil {
		return fmt.Errorf("users: %w", err)
	}
	if password == "" || len(password) > maxPassword {
		return fmt.Errorf("users: the password must have 1 to %d bytes", maxPassword)
	}
	old, err := read(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("users: %w", err)
	}
	if _, err := Parse(bytes.NewReader(old)); err != nil {
		return fmt.Errorf("users: %s:%w", path, err)
	}
	var content bytes.Buffer
	for line := range strings.Lines(string(text.TrimMark(old))) {
		if before, _, _ := strings.Cut(strings.TrimSpace(line), ":"); before == name {
			continue
		}
		content.WriteString(strings.TrimSuffix(line, "\n") + "\n")
	}
	fmt.Fprintf(&content, "%s:%s\n", name, Hash(password))
	if err := store.ReplaceSecret(path, content.Bytes()); err != nil {
		return fmt.Errorf("users: %w", regular.ExplainNew(path, err))
	}
	return nil
}

// CheckName returns what is wrong with the name of a user.
func CheckName(name string) error {
	if name == "" || len(name) > maxName || name[0] == '#' || strings.Contains(name, ":") ||
		strings.TrimSpace(name) != name ||
		strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("invalid user name %q: use 1 to %d bytes, without colons, control characters or a leading #",
			name, maxName)
	}
	return nil
}
