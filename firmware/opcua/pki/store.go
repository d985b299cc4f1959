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

// pollEvery is how often the folders are looked at: a change counts within 2 s.
const pollEvery = time.Second

// Config sets up a Store.
type Config struct {
	Directory string
	// Application is what our own certificate is made for where there is none. Without
	// a URI none is made.
	Application Application
	// TolerateUnknownRevocation accepts certificates of a CA without a current
	// revocation list.
	TolerateUnknownRevocation bool
	// Now is the clock; nil is the machine's.
	Now func() time.Time
	// TrustCommand is what an operator types to trust a certificate; nil names
	// heliograph trust add.
	TrustCommand func(thumbprint string, user bool) string
	// Serve goes on with a certificate for this run alone when none can be kept.
	Serve bool
	// Changed is called after the folders were read again because of a change.
	Changed func()
	// Rejected is told in words of a certificate that is rejected, as often as the log is, and
	// of how many that stands for. It must not call the Store.
	Rejected func(text string, count uint64)
	Log      *slog.Logger
}

// Store is a directory of certificates. It is safe for concurrent use.
type Store struct {
	cfg       Config
	rejected  *rejections
	tolerated tolerated

	mu    sync.RWMutex
	peers roots
	users roots
	own   *Own
	// unkept is our certificate where none could be kept; nil otherwise.
	unkept *Own
	seen   string // the folders as last read
}

// Open makes the folders and, if wanted and missing, our certificate, and reads all.
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
	s := &Store{cfg: cfg, rejected: newRejections(cfg.Directory)}
	err := makeFolders(cfg.Directory)
	if err != nil && !cfg.Serve {
		return nil, err
	}
	s.Reload()
	if s.Own() != nil || cfg.Application.URI == "" {
		return s, nil
	}
	if err == nil {
		_, err = s.Renew()
	}
	if err != nil && cfg.Serve {
		cfg.Log.Error("pki: our certificate is made for this run alone, and peers would have to trust the next one", "error", err)
		s.own, err = newOwn(cfg.Application, nil, cfg.Now())
		s.unkept = s.own
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Kept reports whether our certificate outlives this run.
func (s *Store) Kept() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.own == nil || s.own != s.unkept
}

// Own returns our certificate, or nil where there is none.
func (s *Store) Own() *Own {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.own
}

// Renew makes a new key and certificate and takes it into use at once. The old
// certificate goes to own/certs/previous; its key stays.
func (s *Store) Renew() (*Own, error) {
	o, err := newOwn(s.cfg.Application, nil, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	if err := setAside(s.cfg.Directory); err != nil {
		return nil, fmt.Errorf("pki: setting our old certificate aside: %v", err)
	}
	if err := saveOwn(s.cfg.Directory, o); err != nil {
		return nil, err
	}
	s.cfg.Log.Info("pki: made our certificate", "thumbprint", Thumbprint(o.Certificate.Raw),
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
	s.keepOwn()
	s.mu.RLock()
	seen := s.seen
	s.mu.RUnlock()
	if s.look() == seen {
		return
	}
	s.Reload()
	if s.cfg.Changed != nil {
		s.cfg.Changed()
	}
}

// keepOwn keeps a certificate that could not be kept so far.
func (s *Store) keepOwn() {
	if s.Kept() || makeFolders(s.cfg.Directory) != nil || saveOwn(s.cfg.Directory, s.Own()) != nil {
		return
	}
	s.cfg.Log.Info("pki: our certificate is kept now")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unkept = nil
}

func (s *Store) look() string {
	return fingerprint(s.cfg.Directory, ownCerts, ownPrivate, trustedCerts, trustedCRL, issuerCerts, issuerCRL,
		issuersCerts, issuersCRL, userCerts, userCRL)
}

// Reload reads all folders now. Files that cannot be used are named in the log.
func (s *Store) Reload() {
	seen := s.look() // before reading: a change meanwhile is found next time
	issuers := s.certificates(issuerCerts, issuersCerts)
	lists := s.lists(trustedCRL, issuerCRL, issuersCRL)
	peers := roots{trusted: s.certificates(trustedCerts), issuers: issuers, lists: lists}
	users := roots{
		trusted: s.certificates(userCerts), issuers: issuers,
		lists: slices.Concat(lists, s.lists(userCRL)),
	}
	own := loadOwn(s.cfg.Directory)
	s.mu.Lock()
	defer s.mu.Unlock()
	if own == nil {
		own = s.unkept
	}
	s.peers, s.users, s.own, s.seen = peers, users, own, seen
}

func (s *Store) files(folders []string) []file {
	var all []file
	for _, sub := range folders {
		files, skipped := readFolder(s.path(sub))
		for _, name := range skipped {
			s.cfg.Log.Warn("pki: file is not used", "file", name)
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
			s.cfg.Log.Warn("pki: file is no certificate", "file", f.path, "error", err)
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
				s.cfg.Log.Warn("pki: file is no revocation list", "file", f.path, "error", err)
				continue
			}
			all = append(all, l)
		}
	}
	return all
}

// now returns the latest time known: the clock of a board that has just started may be
// years behind, but our own certificate has been made already. mu is held.
func (s *Store) now() time.Time {
	now := s.cfg.Now()
	if s.own != nil && now.Before(s.own.Certificate.NotBefore) {
		return s.own.Certificate.NotBefore
	}
	return now
}

// Check decides on a certificate with what was sent after it, leaf first. One that
// is refused is kept in rejected/ and logged with the command that trusts it; from
// is the peer's address. The error is an *Error.
func (s *Store) Check(chain []*x509.Certificate, p Purpose, from string) error {
	if len(chain) == 0 {
		return errors.New("pki: there is no certificate to check")
	}
	s.mu.RLock()
	r := &s.peers
	if p.User {
		r = &s.users
	}
	known := *r
	now := s.now()
	s.mu.RUnlock()
	failed, suppressed := known.judge(chain, p, now, s.cfg.TolerateUnknownRevocation)
	if failed == nil {
		s.overlook(chain[0], suppressed, from, now)
		return nil
	}
	e := &Error{
		Code: failed.code, Reason: failed.reason, Thumbprint: Thumbprint(chain[0].Raw),
		Subject: printable(chain[0].Subject.String(), 200),
	}
	s.refuse(chain[0], e, p, from)
	return e
}
