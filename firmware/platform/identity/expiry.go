package identity

import (
	"crypto/x509"
	"encoding/pem"
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
// by what they are for, and with a Store those of OPC UA, its own and the trusted
// ones. Files that are missing or hold no certificate are left out: their users
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
	for _, entry := range e.Store.List(pki.KindOwn, pki.KindTrusted) {
		one := Expiry{Name: "opcua " + string(entry.Kind), At: entry.Certificate.NotAfter, Thumbprint: entry.Thumbprint}
		if entry.Kind != pki.KindOwn {
			one.Name += " " + strings.TrimSpace(entry.Certificate.Subject.CommonName+" "+entry.Thumbprint[:8])
			one.Thumbprint = ""
		}
		if len(list) < maxExpiries {
			list = append(list, one)
		}
	}
	return list
}
