package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// Manifest says what a set is made of. Its JSON is what is signed.
type Manifest struct {
	Role      string `json:"role"`
	Board     string `json:"board"`
	Version   uint64 `json:"version"` // rises with each release; an older one is not installed over a newer
	Name      string `json:"name"`    // what people call the release
	Arguments string `json:"arguments"`
	Files     []Part `json:"files"` // of the set's folder, sorted by name
	Root      Part   `json:"root"`  // the root filesystem
	// UpdateKey is the public key that updates after this one must be signed with; "": as
	// before.
	UpdateKey string `json:"update_key,omitempty"`
}

// Part is a file of a set.
type Part struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	Sum  Digest `json:"sha256"`
}

// Digest is a SHA-256, in hexadecimal digits where it is text.
type Digest [sha256.Size]byte

// MarshalText makes encoding/json write the digits.
func (d Digest) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(d[:])), nil }

// UnmarshalText reads the digits.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) != 2*len(d) {
		return errors.New("release: a SHA-256 has 64 digits")
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// Our bounds.
const (
	maxManifest  = 16 << 10
	maxName      = 100
	maxArguments = 900 // with root= in front, below ArgumentRoom
	maxPart      = 1 << 30
	maxFiles     = 256
)

// MaxManifest is the length of the longest manifest's JSON.
const MaxManifest = maxManifest

// Names that no part may have: a card has files of its own by them.
const (
	ManifestFile = "manifest.json"
	ArgumentFile = "cmdline.txt"
)

// PartOf describes what a file holds.
func PartOf(name string, content []byte) Part {
	return Part{name, int64(len(content)), sha256.Sum256(content)}
}

// Encode returns the manifest's JSON, or what is wrong with it.
func (m Manifest) Encode() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(m, "", " ")
	if err == nil && len(b) > maxManifest {
		err = fmt.Errorf("release: a manifest of %d bytes; at most %d", len(b), maxManifest)
	}
	return b, err
}

// DecodeManifest reads exactly what Encode writes, or what another program
// writes with the same fields.
func DecodeManifest(b []byte) (Manifest, error) {
	if len(b) > maxManifest {
		return Manifest{}, fmt.Errorf("release: a manifest of %d bytes; at most %d", len(b), maxManifest)
	}
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("release: the manifest: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Manifest{}, errors.New("release: something follows the manifest")
	}
	return m, m.check()
}

func (m Manifest) check() error {
	switch {
	case m.Role != "tx" && m.Role != "rx":
		return fmt.Errorf("release: manifest: role %q is neither tx nor rx", m.Role)
	case m.Board == "" || len(m.Board) > maxName || len(m.Name) > maxName:
		return errors.New("release: manifest: no board, or a name too long")
	case m.Version == 0:
		return errors.New("release: manifest: no version")
	case len(m.Arguments) > maxArguments || strings.ContainsFunc(m.Arguments, unprintable):
		return errors.New("release: manifest: the kernel's arguments are no short line of text")
	case len(m.Files) == 0 || len(m.Files) > maxFiles:
		return fmt.Errorf("release: manifest: %d files", len(m.Files))
	case m.UpdateKey != "" && !isKey(m.UpdateKey):
		return errors.New("release: manifest: the key of updates is not one of minisign")
	case !ascending(m.Files):
		return errors.New("release: manifest: files are not sorted, or one is there twice")
	}
	for _, p := range m.parts() {
		if p.Size <= 0 || p.Size > maxPart {
			return fmt.Errorf("release: manifest: %s of %d bytes", p.Name, p.Size)
		}
		if p.Name == "" || len(p.Name) > maxName || path.Clean("/"+p.Name) != "/"+p.Name ||
			p.Name == ManifestFile || p.Name == ArgumentFile || strings.ContainsFunc(p.Name, unprintable) {
			return fmt.Errorf("release: manifest: %q is not a file name", p.Name)
		}
	}
	return nil
}

// parts are the files, then the root filesystem: the order of an update file.
func (m Manifest) parts() []Part { return append(slices.Clone(m.Files), m.Root) }

// Size is how many bytes the parts have together.
func (m Manifest) Size() (n int64) {
	for _, p := range m.parts() {
		n += p.Size
	}
	return n
}

func ascending(files []Part) bool {
	for i := range files[1:] {
		if files[i].Name >= files[i+1].Name {
			return false
		}
	}
	return true
}

func isKey(text string) bool {
	_, err := ParseKey([]byte(text))
	return err == nil && len(text) <= maxName
}

func unprintable(r rune) bool { return r < ' ' || r > '~' }
