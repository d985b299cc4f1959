package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// pollEvery is how often the folders are checked: a change takes effect within 2 s.
const pollEvery = time.Second

// Config sets up a Store.
type Config struct {
	Directory string
	// Application describes our own certificate, which is made if there is none. Without a
	// URI none is made.
	Application Application
	// TolerateUnknownRevocation accepts certificates of a CA without a current
	// revocation list.
	TolerateUnknownRevocation bool
	// Now is the clock; nil is the machine's.
	Now func() time.Time
	// TrustCommand returns the command that trusts a certificate; nil returns that of
	// heliograph trust add.
	TrustCommand func(thumbprint string, user bool) string
	// ReadOnly makes no folder and saves nothing, not even what is rejected.
	ReadOnly bool
	// Serve continues with an unsaved certificate if the directory cannot be written.
	Serve bool
	// Changed is called after the folders were read again because of a change.
	Changed func()
	// Rejected is called with a description of a rejected certificate whenever one is logged,
	// and the number of rejections since the last call. It must not call the Store.
	Rejected func(text string, count uint64)
	Log      *slog.Logger
}

// Store is a directory of certificates. It is safe for concurrent use.
type Store struct {
	cfg       Config
	rejected  *rejections
	tolerated tolerated

	mu          sync.RWMutex
	peers       roots
	users       roots
	own         *Own
	unsaved     *Own   // our certificate, if it could not be saved …
	unsavedWhy  error  // … and why
	fingerprint string // of the folders when they were last read
}

// Open makes the folders, and our certificate if it is configured and missing, and reads
// all. It replaces no certificate whose key may be one that it cannot read.
func Open(cfg Config) (*Store, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.TrustCommand == nil {
		cfg.TrustCommand = func(thumbprint string, user bool) string {
			users := ""
			if user {
				users = "--users "
			}
			return fmt.Sprintf("heliograph trust add --pki %s %s%s", cfg.Directory, users, thumbprint)
		}
	}
	cfg.Log = cfg.Log.With("component", "pki")
	s := &Store{cfg: cfg, rejected: newRejections(cfg.Directory)}
	var err error
	if !cfg.ReadOnly {
		err = makeFolders(cfg.Directory)
	}
	if err != nil && !cfg.Serve {
		return nil, err
	}
	s.Reload()
	if s.Own() != nil || cfg.Application.URI == "" || cfg.ReadOnly {
		return s, nil
	}
	if err == nil {
		err = s.unreadKey()
	}
	if err == nil {
		_, err = s.Renew()
	}
	if err != nil && cfg.Serve {
		why := err
		cfg.Log.Error("own certificate not saved; peers must trust a new one after a restart", "error", err)
		s.own, err = newOwn(cfg.Application, nil, cfg.Now())
		s.unsaved, s.unsavedWhy = s.own, why
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// unreadKey returns why a file of own/private was not read: it may be our key.
func (s *Store) unreadKey() error {
	if _, skipped := readFolder(s.path(ownPrivate)); len(skipped) > 0 {
		return fmt.Errorf("pki: reading our key: %s: correct it, or remove the file", skipped[0])
	}
	return nil
}

// Unsaved returns why our certificate is not saved; nil: it is, or there is none.
func (s *Store) Unsaved() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.own == nil || s.own != s.unsaved {
		return nil
	}
	return s.unsavedWhy
}

// Own returns our certificate, or nil if there is none.
func (s *Store) Own() *Own {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.own
}

// Renew makes a new key and certificate and uses it at once. The old certificate is moved
// to own/certs/previous; its key stays.
func (s *Store) Renew() (*Own, error) {
	o, err := newOwn(s.cfg.Application, nil, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	if err := retireOwn(s.cfg.Directory); err != nil {
		return nil, fmt.Errorf("pki: moving our old certificate: %w", err)
	}
	if err := saveOwn(s.cfg.Directory, o); err != nil {
		return nil, err
	}
	s.cfg.Log.Info("own certificate made", "thumbprint", Thumbprint(o.Certificate.Raw),
		"subject", o.Certificate.Subject.String(), "until", o.Certificate.NotAfter)
	s.Reload()
	return o, nil
}

// Run reads the folders again when they change, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.poll()
		}
	}
}

func (s *Store) poll() {
	s.mu.RLock()
	read := s.fingerprint
	s.mu.RUnlock()
	if s.foldersNow() != read {
		s.Reload()
		if s.cfg.Changed != nil {
			s.cfg.Changed()
		}
	}
	s.saveUnsaved() // unless a certificate with its key is there now
}

// saveUnsaved tries again to save our certificate.
func (s *Store) saveUnsaved() {
	if s.Unsaved() == nil {
		return
	}
	err := makeFolders(s.cfg.Directory)
	if err == nil {
		err = s.unreadKey()
	}
	if err == nil {
		err = saveOwn(s.cfg.Directory, s.Own())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.unsavedWhy = err
		return
	}
	s.unsaved = nil
	s.cfg.Log.Info("own certificate saved")
}

func (s *Store) foldersNow() string {
	return fingerprint(s.cfg.Directory, ownCerts, ownPrivate, trustedCerts, trustedCRL, issuerCerts, issuerCRL,
		issuersCerts, issuersCRL, userCerts, userCRL)
}

// Reload reads all folders. Files that cannot be used are logged.
func (s *Store) Reload() {
	now := s.foldersNow() // before reading: a change meanwhile is found next time
	issuers := s.certificates(issuerCerts, issuersCerts)
	lists := s.lists(trustedCRL, issuerCRL, issuersCRL)
	peers := roots{trusted: s.certificates(trustedCerts), issuers: issuers, lists: lists}
	users := roots{
		trusted: s.certificates(userCerts), issuers: issuers,
		lists: slices.Concat(lists, s.lists(userCRL)),
	}
	own, unread := loadOwn(s.cfg.Directory), s.unreadKey()
	s.mu.Lock()
	defer s.mu.Unlock()
	if own == nil && s.own != nil && unread != nil {
		s.cfg.Log.Warn("own certificate kept: its key cannot be read now", "error", unread)
		own = s.own
	}
	if own == nil {
		own = s.unsaved
	}
	s.peers, s.users, s.own, s.fingerprint = peers, users, own, now
}

func (s *Store) files(folders []string) []file {
	var all []file
	for _, sub := range folders {
		files, skipped := readFolder(s.path(sub))
		for _, name := range skipped {
			s.cfg.Log.Warn("file skipped", "file", name)
		}
		all = append(all, files...)
	}
	return all
}

func (s *Store) certificates(folders ...string) []*x509.Certificate {
	var all []*x509.Certificate
	for _, f := range s.files(folders) {
		certs, err := parseCertificates(f.data)
		if err != nil {
			s.cfg.Log.Warn("file is not a certificate", "error", err, "file", f.path)
			continue
		}
		all = append(all, certs...)
	}
	return all
}

func (s *Store) lists(folders ...string) []*x509.RevocationList {
	var all []*x509.RevocationList
	for _, f := range s.files(folders) {
		for _, der := range blocks(f.data, "X509 CRL") {
			l, err := x509.ParseRevocationList(der)
			if err != nil {
				s.cfg.Log.Warn("file is not a revocation list", "error", err, "file", f.path)
				continue
			}
			all = append(all, l)
		}
	}
	return all
}

// now returns the latest time known: the clock of a board that has just started may be
// years behind, but not behind the making of our own certificate. mu is held.
func (s *Store) now() time.Time {
	now := s.cfg.Now()
	if s.own != nil && now.Before(s.own.Certificate.NotBefore) {
		return s.own.Certificate.NotBefore
	}
	return now
}

// Check validates a chain of certificates as a peer sent it, leaf first. A rejected
// certificate is saved in rejected/ and logged with the command that trusts it; from is the
// peer's address. The error is an *Error.
func (s *Store) Check(chain []*x509.Certificate, p Purpose, from string) error {
	if len(chain) == 0 {
		return errors.New("pki: no certificate to check")
	}
	s.mu.RLock()
	r := &s.peers
	if p.User {
		r = &s.users
	}
	known := *r
	now := s.now()
	s.mu.RUnlock()
	failed, suppressed := known.validate(chain, p, now, s.cfg.TolerateUnknownRevocation)
	if failed == nil {
		s.logSuppressed(chain[0], suppressed, from, now)
		return nil
	}
	e := &Error{
		Code: failed.code, Reason: failed.reason, Thumbprint: Thumbprint(chain[0].Raw),
		Subject: printable(chain[0].Subject.String(), 200),
	}
	if !s.cfg.ReadOnly {
		s.reject(chain[0], e, p, from)
	}
	return e
}
