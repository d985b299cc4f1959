package pki

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"heliograph/firmware/platform/regular"
	"heliograph/firmware/platform/store"
)

// Kind is the folder that a certificate is in.
type Kind string

// The kinds of certificates a store holds.
const (
	KindOwn      Kind = "own"
	KindTrusted  Kind = "trusted"
	KindIssuer   Kind = "issuer"
	KindUser     Kind = "trusted user"
	KindRejected Kind = "rejected"
)

// Entry is one certificate of a store.
type Entry struct {
	Kind        Kind
	Path        string
	Thumbprint  string
	Certificate *x509.Certificate
}

func (s *Store) path(sub string) string {
	return filepath.Join(s.cfg.Directory, filepath.FromSlash(sub))
}

// List returns the certificates of the given kinds, or of all.
func (s *Store) List(kinds ...Kind) []Entry {
	var out []Entry
	for _, f := range []struct {
		kind Kind
		sub  string
	}{
		{KindOwn, ownCerts}, {KindTrusted, trustedCerts}, {KindIssuer, issuerCerts}, {KindIssuer, issuersCerts},
		{KindUser, userCerts}, {KindRejected, rejectedCerts}, {KindRejected, rejectedFlat},
	} {
		if len(kinds) > 0 && !slices.Contains(kinds, f.kind) {
			continue
		}
		files, _ := readFolder(s.path(f.sub))
		for _, file := range files {
			certs, err := parseCertificates(file.data)
			if err != nil {
				continue
			}
			out = append(out, Entry{f.kind, file.path, Thumbprint(certs[0].Raw), certs[0]})
		}
	}
	return out
}

// Trust moves a rejected certificate to trusted/, or with user to trusted_users/. It is
// given by thumbprint; the first 8 hex digits suffice if they are unique.
func (s *Store) Trust(thumbprint string, user bool) (Entry, error) {
	e, err := findByThumbprint(s.List(KindRejected), thumbprint, "rejected")
	if err != nil {
		return Entry{}, err
	}
	added, err := s.TrustCertificate(e.Certificate, user)
	if err != nil {
		return Entry{}, err
	}
	if err := removeCopies(s.List(KindRejected), e); err != nil {
		return Entry{}, fmt.Errorf("pki: the certificate is trusted, but still in rejected/: %v", err)
	}
	return added, nil
}

// TrustCertificate saves a certificate in trusted/, or with user in trusted_users/.
func (s *Store) TrustCertificate(c *x509.Certificate, user bool) (Entry, error) {
	sub, kind := trustedCerts, KindTrusted
	if user {
		sub, kind = userCerts, KindUser
	}
	path := filepath.Join(s.path(sub), fileName(c)+".der")
	if err := save(path, c); err != nil {
		return Entry{}, fmt.Errorf("pki: saving a trusted certificate: %v", err)
	}
	s.Reload()
	return Entry{kind, path, Thumbprint(c.Raw), c}, nil
}

// save writes a certificate. The file gets the owner of its folder: the role may run as another
// user than its operator.
func save(path string, c *x509.Certificate) error {
	if err := store.ReplaceFile(path, 0o644, c.Raw); err != nil {
		return err
	}
	store.SameOwner(path, filepath.Dir(path))
	return nil
}

// removeCopies removes the files that have the certificate of e first in them. It fails where one
// has others as well.
func removeCopies(among []Entry, e Entry) error {
	var failed []error
	for _, file := range among {
		if file.Thumbprint != e.Thumbprint {
			continue
		}
		b, err := regular.Read(file.Path, maxFileSize)
		if err == nil {
			if certs, fault := parseCertificates(b); fault == nil && len(certs) > 1 {
				err = fmt.Errorf("%s has other certificates as well: remove it there", file.Path)
			} else {
				err = os.Remove(file.Path)
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// Distrust moves a trusted certificate to rejected/, from each file that it is in, whether it is
// trusted as an application's or as a user's. It fails where one of them has it behind another
// certificate.
func (s *Store) Distrust(thumbprint string) (Entry, error) {
	e, err := findByThumbprint(s.List(KindTrusted, KindUser), thumbprint, "trusted")
	if err != nil {
		return Entry{}, err
	}
	to := filepath.Join(s.path(rejectedCerts), fileName(e.Certificate)+".der")
	if err := save(to, e.Certificate); err != nil {
		return Entry{}, fmt.Errorf("pki: saving the certificate in rejected/: %v", err)
	}
	err = removeCopies(s.List(KindTrusted, KindUser), e)
	s.Reload()
	if err != nil {
		return Entry{}, fmt.Errorf("pki: removing a trusted certificate: %v", err)
	}
	if file := s.holds(e.Certificate, trustedCerts, userCerts); file != "" {
		return Entry{}, fmt.Errorf("pki: the certificate is still trusted: %s has it behind another one: remove it "+
			"there", file)
	}
	return Entry{KindRejected, to, e.Thumbprint, e.Certificate}, nil
}

// holds returns a file of the folders that has a certificate, anywhere in it, "" if none has.
func (s *Store) holds(c *x509.Certificate, folders ...string) string {
	for _, sub := range folders {
		files, _ := readFolder(s.path(sub))
		for _, f := range files {
			if certs, err := parseCertificates(f.data); err == nil && slices.ContainsFunc(certs, c.Equal) {
				return f.path
			}
		}
	}
	return ""
}

// minDigits are enough of a thumbprint to give.
const minDigits = 8

func findByThumbprint(entries []Entry, thumbprint, what string) (Entry, error) {
	want := strings.ToUpper(strings.NewReplacer(":", "", " ", "").Replace(thumbprint))
	if even := len(want) &^ 1; len(want) < minDigits || !isHex(want[:even]) {
		return Entry{}, fmt.Errorf("pki: %q is not a thumbprint: give at least its first %d hex digits", thumbprint,
			minDigits)
	}
	var found []Entry
	for _, e := range entries {
		same := func(f Entry) bool { return f.Thumbprint == e.Thumbprint }
		if strings.HasPrefix(e.Thumbprint, want) && !slices.ContainsFunc(found, same) {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Entry{}, fmt.Errorf("pki: no %s certificate has the thumbprint %s", what, want)
	}
	return Entry{}, fmt.Errorf("pki: the thumbprints of %d %s certificates begin with %s: give more digits", len(found),
		what, want)
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil
}
