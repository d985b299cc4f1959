package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"heliograph/firmware/platform/regular"
	"heliograph/firmware/platform/text"
)

// Client returns the configuration of a TLS client of host: with the CAFile's authorities
// or the system's, and with its own certificate if there is one.
func (t TLS) Client(host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	var err error
	if t.CAFile != "" {
		if c.RootCAs, err = authorities(t.CAFile); err != nil {
			return nil, err
		}
	}
	if t.Certificate != "" {
		pair, err := keyPair(t.Certificate, t.PrivateKey)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Server returns the configuration of a TLS listener. With a CAFile clients must present a
// certificate of one of its authorities.
func (t TLS) Server() (*tls.Config, error) {
	pair, err := t.pair()
	if err != nil {
		return nil, err
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		c.ClientAuth = tls.RequireAndVerifyClientCert
		if c.ClientCAs, err = authorities(t.CAFile); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (t TLS) pair() (tls.Certificate, error) {
	switch {
	case t.Own != nil:
		return *t.Own, nil
	case t.Certificate == "" || t.PrivateKey == "":
		return tls.Certificate{}, errors.New("a TLS listener needs certificate and private_key")
	}
	return keyPair(t.Certificate, t.PrivateKey)
}

// keyPair is tls.LoadX509KeyPair for files that may begin with a byte order mark.
func keyPair(certificate, key string) (tls.Certificate, error) {
	chain, err := regular.Read(certificate, maxSmallFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	secret, err := regular.Read(key, maxSmallFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(text.TrimMark(chain), text.TrimMark(secret))
}

func authorities(file string) (*x509.CertPool, error) {
	pem, err := regular.Read(file, maxSmallFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text.TrimMark(pem)) {
		return nil, fmt.Errorf("%s does not contain a PEM certificate", file)
	}
	return pool, nil
}
