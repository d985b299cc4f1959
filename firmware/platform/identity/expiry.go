package identity

import (
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"sync"
	"time"

	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/regular"
	"heliograph/firmware/platform/text"
)

// Expiry is when a certificate expires.
type Expiry struct {
	Name string // what it is for: "opcua own", "mqtt cell-1", "opcua trusted press-plc"
	At   time.Time
	// Thumbprint is that of our own certificate of OPC UA, which others compare; else "".
	Thumbprint string
}

// Expiries lists when the certificates that a role uses expire: those in Files, PEM or DER,
// by what they are for, and with a Store those of OPC UA, the own one in use and the trusted
// ones. A name is listed once. Files that are missing or hold no certificate are left out: their users
// report that. Safe for concurrent use.
type Expiries struct {
	Files map[string]string
	Store *pki.Store

	mu   sync.Mutex
	read time.Time
	list []Expiry
}

// Our own bounds.
const (
	maxExpiries    = 64       // listed: a trust folder can hold any number of certificates
	maxCertificate = 64 << 10 // bytes of a certificate's file
	readAgain      = time.Minute
)

// List returns the expiries, read from disk at most once a minute.
func (e *Expiries) List(now time.Time) []Expiry {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.read.IsZero() || now.Sub(e.read) >= readAgain {
		e.read, e.list = now, e.readAll()
	}
	return e.list
}

func (e *Expiries) readAll() (list []Expiry) {
	for name, file := range e.Files {
		data, err := regular.Read(file, maxCertificate)
		if err != nil {
			continue
		}
		if block, _ := pem.Decode(text.TrimMark(data)); block != nil {
			data = block.Bytes
		}
		if c, err := x509.ParseCertificate(data); err == nil {
			list = append(list, Expiry{Name: name, At: c.NotAfter})
		}
	}
	if e.Store == nil {
		return list
	}
	if own := e.Store.Own(); own != nil {
		c := own.Certificate
		list = append(list, Expiry{Name: "opcua own", At: c.NotAfter, Thumbprint: pki.Thumbprint(c.Raw)})
	}
	for _, entry := range e.Store.List(pki.KindTrusted) {
		name := "opcua trusted " + strings.TrimSpace(entry.Certificate.Subject.CommonName+" "+entry.Thumbprint[:8])
		list = addFirst(list, Expiry{Name: name, At: entry.Certificate.NotAfter})
	}
	return list
}

// addFirst adds an expiry, as far as there is room. A name is listed once, with what expires first:
// a certificate may be in several files.
func addFirst(list []Expiry, one Expiry) []Expiry {
	i := slices.IndexFunc(list, func(e Expiry) bool { return e.Name == one.Name })
	switch {
	case i >= 0 && one.At.Before(list[i].At):
		list[i].At = one.At
	case i < 0 && len(list) < maxExpiries:
		list = append(list, one)
	}
	return list
}
