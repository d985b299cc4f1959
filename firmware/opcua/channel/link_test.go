package channel

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/transport"
)

// everySecurity lists all that this package implements.
var everySecurity = []Security{
	{ua.SecurityPolicyURINone, ua.MessageSecurityModeNone},
	{ua.SecurityPolicyURIBasic256Sha256, ua.MessageSecurityModeSign},
	{ua.SecurityPolicyURIBasic256Sha256, ua.MessageSecurityModeSignAndEncrypt},
	{ua.SecurityPolicyURIAes128Sha256RsaOaep, ua.MessageSecurityModeSign},
	{ua.SecurityPolicyURIAes128Sha256RsaOaep, ua.MessageSecurityModeSignAndEncrypt},
	{ua.SecurityPolicyURIAes256Sha256RsaPss, ua.MessageSecurityModeSign},
	{ua.SecurityPolicyURIAes256Sha256RsaPss, ua.MessageSecurityModeSignAndEncrypt},
}

// identities are made once per run: keys are slow to make.
var identities = map[int]func() [2]Identity{
	2048: sync.OnceValue(func() [2]Identity { return [2]Identity{newIdentity(2048), newIdentity(2048)} }),
	3072: sync.OnceValue(func() [2]Identity { return [2]Identity{newIdentity(3072), newIdentity(2048)} }),
}

func newIdentity(bits int) Identity {
	return makeIdentity(bits, &x509.Certificate{})
}

// namedIdentity is one with all that a strict peer wants to see.
func namedIdentity(t testing.TB, bits int) Identity {
	t.Helper()
	uri, err := url.Parse("urn:test")
	if err != nil {
		t.Fatal(err)
	}
	return makeIdentity(bits, &x509.Certificate{
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment |
			x509.KeyUsageDataEncipherment | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		URIs:                  []*url.URL{uri}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
}

func makeIdentity(bits int, tmpl *x509.Certificate) Identity {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	tmpl.SerialNumber, tmpl.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: "test"}
	tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return Identity{Certificate: der, Key: key}
}

func pair(bits int) (server, client Identity) {
	p := identities[bits]()
	return p[0], p[1]
}

func trustAll(context.Context, Peer) error { return nil }

func serverConfig(id Identity) ServerConfig {
	return ServerConfig{Identity: func() Identity { return id }, Security: everySecurity, Authorize: trustAll}
}

func clientConfig(s Security, own, server Identity) ClientConfig {
	return ClientConfig{Security: s, Identity: own, ServerCertificate: server.Certificate, Authorize: trustAll}
}

// link gives both ends of a connection in memory after the hello.
func link(t testing.TB, serverLimits, clientLimits transport.Limits) (server, client *transport.Conn) {
	t.Helper()
	nl := &pipeListener{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	l, err := transport.NewListener(nl, transport.ListenConfig{Limits: serverLimits})
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	nl.conns <- a
	d := transport.Dialer{Limits: clientLimits}
	if client, err = d.Client(t.Context(), b, "opc.tcp://plant:4840"); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close(); l.Close() })
	return server, client
}

// linkTCP is link over the loopback interface.
func linkTCP(t testing.TB) (server, client *transport.Conn) {
	t.Helper()
	l, err := transport.Listen(t.Context(), "127.0.0.1:0", transport.ListenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if client, err = new(transport.Dialer).Dial(t.Context(), "opc.tcp://"+l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close(); l.Close() })
	return server, client
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { close(l.done); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// echo opens the server's end and answers every message with its own body until
// the channel ends; the error it ended with is sent.
func echo(t testing.TB, cfg ServerConfig, conn *transport.Conn) <-chan error {
	t.Helper()
	s, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		c, err := s.Open(context.Background(), conn)
		if err != nil {
			done <- err
			return
		}
		defer s.Forget(c)
		for {
			m, err := c.Receive()
			if err != nil {
				done <- err
				return
			}
			if err := c.Send(m.RequestID, m.Body); errors.Is(err, ua.StatusBadResponseTooLarge) {
				err = c.Send(m.RequestID, Fault(0, ua.StatusBadResponseTooLarge, time.Now()))
				if err != nil {
					done <- err
					return
				}
			}
			c.Recycle(m.Body)
		}
	}()
	return done
}
