// Package identity is a board's identity to OPC UA peers: the names in its application
// instance certificate, and the store that holds it with the certificates it trusts.
//
// It refuses to make a second identity where one exists: peers that trust the old
// certificate would have to trust the new one.
package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"

	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/statement"
)

// ProductURI names the product in OPC UA's application descriptions.
const ProductURI = "urn:heliograph"

// Application returns what the certificate of a role ("tx", "rx") of a pair says.
// Hosts are the machine's name and addresses as they are now.
func Application(role, pair string) pki.Application {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	return pki.Application{
		URI:   fmt.Sprintf("urn:%s:heliograph:%s:%s", url.PathEscape(host), role, url.PathEscape(pair)),
		Name:  fmt.Sprintf("Heliograph %s (%s)", role, pair),
		Hosts: append([]string{host, "localhost"}, addresses()...),
	}
}

// maxAddresses keeps a certificate small on a machine with many interfaces.
const maxAddresses = 16

func addresses() (list []string) {
	all, _ := net.InterfaceAddrs() // without any, the certificate has names alone
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() && len(list) < maxAddresses {
			list = append(list, n.IP.String())
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Store is the certificate store of a role as a task: it reads the folders again
// when they change.
type Store struct{ *pki.Store }

// Open opens the store in folder, and makes the role's certificate if there is
// none. changed is called after the folders were read again, rejected for certificates
// that are (see package pki).
func Open(folder, role, pair string, changed func(), rejected func(text string, count uint64), log *slog.Logger) (Store,
	error) {
	s, err := pki.Open(pki.Config{Directory: folder, Application: Application(role, pair), Serve: true,
		Changed: changed, Rejected: rejected, Log: log})
	return Store{s}, err
}

// String implements task.Task.
func (Store) String() string { return "certificates" }

// Counters implements counter.Source.
func (s Store) Counters() []counter.Set {
	st := s.Stats()
	return []counter.Set{counter.Of("opcua_pki", "", &st)}
}

// Ready implements task.Task. What is wrong with a certificate shows at the peer that
// needs it.
func (Store) Ready() error { return nil }

// Run implements task.Task.
func (s Store) Run(ctx context.Context) error { return s.Store.Run(ctx) }

// URI returns the ApplicationUri in our certificate, which may be older than our name.
func (s Store) URI() string {
	if own := s.Own(); own != nil && len(own.Certificate.URIs) > 0 {
		return own.Certificate.URIs[0].String()
	}
	return ""
}

// Sign signs the text of a measurement with our key.
func (s Store) Sign(text []byte) (statement.Statement, error) {
	own := s.Own()
	if own == nil {
		return statement.Statement{}, errors.New("identity: no certificate to sign with")
	}
	signature, err := statement.Sign(statement.Measurement, text, own.Key, own.Certificate.Raw)
	return statement.Statement{Text: string(text), Signature: signature}, err
}
