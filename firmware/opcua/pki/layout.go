package pki

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"heliograph/firmware/platform/regular"
)

// The folders of a store that are written.
const (
	ownCerts      = "own/certs"
	ownPrivate    = "own/private"
	trustedCerts  = "trusted/certs"
	trustedCRL    = "trusted/crl"
	issuerCerts   = "issuer/certs"
	issuerCRL     = "issuer/crl"
	userCerts     = "trusted_users/certs"
	userCRL       = "trusted_users/crl"
	rejectedCerts = "rejected/certs"
)

// The names that other stacks use.
const (
	issuersCerts = "issuers/certs"
	issuersCRL   = "issuers/crl"
	rejectedFlat = "rejected"
)

// Our own bounds on what is read from a folder.
const (
	maxFiles    = 1000
	maxFileSize = 4 << 20
)

func makeFolders(dir string) error {
	for _, sub := range [...]string{
		ownCerts, ownPrivate, trustedCerts, trustedCRL, issuerCerts, issuerCRL, userCerts, userCRL, rejectedCerts,
	} {
		mode := fs.FileMode(0o755)
		if sub == ownPrivate {
			mode = 0o700
		}
		if err := os.MkdirAll(filepath.Join(dir, sub), mode); err != nil {
			return fmt.Errorf("pki: making folders: %w", err)
		}
	}
	return nil
}

// file is one file of a folder.
type file struct {
	path string
	data []byte
}

// readFolder reads the regular files of a folder; a missing folder is empty. It skips files
// that are too large or too many, and returns their names.
func readFolder(path string) (files []file, skipped []string) {
	entries, err := os.ReadDir(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			skipped = append(skipped, err.Error())
		}
		return nil, skipped
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if info.Size() > maxFileSize || len(files) >= maxFiles {
			skipped = append(skipped, name+": too large, or too many files")
			continue
		}
		data, err := regular.Read(name, maxFileSize)
		if err != nil {
			skipped = append(skipped, err.Error())
			continue
		}
		files = append(files, file{name, data})
	}
	return files, skipped
}

// fingerprint returns a text that changes whenever a file of the folders does, or who may read it.
func fingerprint(dir string, folders ...string) string {
	var b strings.Builder
	for _, sub := range folders {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			continue
		}
		fmt.Fprintf(&b, "%s:", sub)
		for i, e := range entries {
			if info, err := os.Stat(filepath.Join(dir, sub, e.Name())); err == nil && i < maxFiles {
				fmt.Fprintf(&b, "%q %d %d %v %s;", e.Name(), info.Size(), info.ModTime().UnixNano(), info.Mode(),
					inode(info))
			}
		}
	}
	return b.String()
}

// blocks returns the DER in a file that is DER, or PEM of the given type.
func blocks(data []byte, kind string) [][]byte {
	if !bytes.Contains(data, []byte("-----BEGIN ")) {
		return [][]byte{data}
	}
	var out [][]byte
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return out
		}
		if b.Type == kind {
			out = append(out, b.Bytes)
		}
	}
}

func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for _, der := range blocks(data, "CERTIFICATE") {
		c, err := x509.ParseCertificates(der)
		if err != nil {
			return nil, err
		}
		out = append(out, c...)
	}
	if len(out) == 0 {
		return nil, errors.New("it does not contain a certificate")
	}
	return out, nil
}

// Thumbprint returns the SHA-1 of a certificate's DER in upper case hex, by which OPC UA
// tools identify it.
func Thumbprint(der []byte) string {
	sum := sha1.Sum(der)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// fileName returns "CommonName [THUMBPRINT]", as in Annex F, in characters that are safe in
// any file system and shell.
func fileName(c *x509.Certificate) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '@':
			return r
		}
		return '_'
	}, printable(c.Subject.CommonName, 40))
	return name + " [" + Thumbprint(c.Raw) + "]"
}

// printable shortens s and replaces characters that a terminal could act on.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r < ' ', r >= 0x7f && r < 0xa0, r >= '\u2028' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return s
}
