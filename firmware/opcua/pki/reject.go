package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/platform/store"
)

// Our own choices. The rate at which an address may fill rejected/ and the log is bounded;
// if the folder is full, the address with the most files loses its oldest.
const (
	maxRejected   = 64
	burst         = 8
	refill        = 10 * time.Second
	repeatLog     = time.Minute
	maxAddresses  = 1024
	maxRemembered = 256
)

type rejection struct {
	thumbprint, path, from string
}

type bucket struct {
	free float64
	last time.Time
}

// rejections bounds the files and log lines for rejected certificates.
type rejections struct {
	dir      string
	mu       sync.Mutex
	kept     []rejection // oldest first
	rate     map[string]*bucket
	logged   map[string]time.Time // thumbprint: when it was last logged
	unlogged int                  // rejections since the last log line
}

func newRejections(dir string) *rejections {
	r := &rejections{dir: filepath.Join(dir, rejectedCerts), rate: map[string]*bucket{}, logged: map[string]time.Time{}}
	files, _ := readFolder(r.dir)
	slices.SortFunc(files, func(a, b file) int { return modTime(a.path).Compare(modTime(b.path)) })
	for _, f := range files {
		if certs, err := parseCertificates(f.data); err == nil {
			r.kept = append(r.kept, rejection{Thumbprint(certs[0].Raw), f.path, ""})
		}
	}
	return r
}

func modTime(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// allow reports whether to save and log this certificate now, and how many were not logged
// before it.
func (r *rejections) allow(thumbprint, from string, now time.Time) (ok bool, unlogged int) {
	if last, logged := r.logged[thumbprint]; logged && now.Sub(last) < repeatLog && !now.Before(last) {
		r.unlogged++
		return false, 0
	}
	if len(r.rate) >= maxAddresses {
		clear(r.rate)
	}
	b := r.rate[from]
	if b == nil {
		b = &bucket{burst, now}
		r.rate[from] = b
	}
	b.free, b.last = min(burst, b.free+max(0, float64(now.Sub(b.last))/float64(refill))), now
	if b.free < 1 {
		r.unlogged++
		return false, 0
	}
	b.free--
	if len(r.logged) >= maxRemembered {
		clear(r.logged)
	}
	r.logged[thumbprint] = now
	unlogged, r.unlogged = r.unlogged, 0
	return true, unlogged
}

func (r *rejections) save(c *x509.Certificate, thumbprint, from string) error {
	known := func(k rejection) bool { return k.thumbprint == thumbprint }
	if i := slices.IndexFunc(r.kept, known); i >= 0 {
		if _, err := os.Stat(r.kept[i].path); err == nil {
			return nil
		}
		r.kept = slices.Delete(r.kept, i, i+1)
	}
	path := filepath.Join(r.dir, fileName(c)+".der")
	if err := store.ReplaceFile(path, 0o644, c.Raw); err != nil {
		return err
	}
	r.kept = append(r.kept, rejection{thumbprint, path, from})
	for len(r.kept) > maxRejected {
		i := r.excess()
		_ = os.Remove(r.kept[i].path)
		r.kept = slices.Delete(r.kept, i, i+1)
	}
	return nil
}

// excess returns the index of the oldest file of the address that has the most.
func (r *rejections) excess() int {
	count := map[string]int{}
	most := 0
	for _, k := range r.kept {
		count[k.from]++
		most = max(most, count[k.from])
	}
	return slices.IndexFunc(r.kept, func(k rejection) bool { return count[k.from] == most })
}

// reject saves and logs a rejected certificate.
func (s *Store) reject(c *x509.Certificate, e *Error, p Purpose, from string) {
	r := s.rejected
	r.mu.Lock()
	defer r.mu.Unlock()
	ok, unlogged := r.allow(e.Thumbprint, from, s.cfg.Now())
	if !ok {
		return
	}
	if err := r.save(c, e.Thumbprint, from); err != nil {
		s.cfg.Log.Warn("rejected certificate not saved", "error", err)
	}
	args := []any{
		"error", e.Reason, "thumbprint", e.Thumbprint, "subject", e.Subject, "from", from,
		"status", statusName(e.Code),
	}
	if errors.Is(e, ua.StatusBadCertificateUntrusted) || errors.Is(e, ua.StatusBadCertificateChainIncomplete) {
		args = append(args, "trust", s.cfg.TrustCommand(e.Thumbprint, p.User))
	}
	if setting := tolerating(e, p); setting != "" {
		args = append(args, "if_trusted", setting)
	}
	if unlogged > 0 {
		args = append(args, "not_logged_before", unlogged)
	}
	s.cfg.Log.Warn("certificate rejected", args...)
	if s.cfg.Rejected != nil {
		s.cfg.Rejected(fmt.Sprintf("certificate %s of %s, from %s: %s", e.Thumbprint, e.Subject, from, e.Reason),
			uint64(unlogged)+1)
	}
}

// tolerating returns the configuration key that makes such a certificate acceptable once it
// is itself trusted, or "".
func tolerating(e *Error, p Purpose) string {
	host := errors.Is(e, ua.StatusBadCertificateHostNameInvalid)
	dates := errors.Is(e, ua.StatusBadCertificateTimeInvalid) || errors.Is(e, ua.StatusBadCertificateIssuerTimeInvalid)
	switch {
	case p.User:
		return ""
	case host:
		return `tolerate = ["host_name"]`
	case dates && p.Server:
		return `tolerate = ["dates"]`
	case dates:
		return fmt.Sprintf("tolerate_expired = [%q]", e.Thumbprint)
	}
	return ""
}

func statusName(c ua.StatusCode) string {
	name, ok := ua.StatusCodes[c]
	if !ok {
		return fmt.Sprintf("0x%08X", uint32(c))
	}
	return strings.TrimPrefix(name.Name, "Status")
}
