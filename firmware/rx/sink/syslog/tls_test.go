package syslog

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/firmware/config"
)

func TestTLSCollectorReceivesEveryLineInOrder(t *testing.T) {
	files := selfSigned(t)
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	const n = 20000
	ended := make(chan error, 1)
	go func() { ended <- readLines(ln, n) }()
	s := start(t, config.SyslogSink{Channel: "syslog", Forward: "tls://" + ln.Addr().String(),
		TLS: config.TLS{CAFile: files.Certificate}})
	began := time.Now()
	deliver(s, 0, n)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	t.Logf("%.0f lines/s", n/time.Since(began).Seconds())
	await.True(t, "forwarded", func() bool { return s.stats.Forwarded.Load() > 0 })
}

func TestUntrustedCollectorGetsNothing(t *testing.T) {
	files, other := selfSigned(t), selfSigned(t)
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ended := make(chan error, 1)
	go func() { ended <- readLines(ln, 1) }()
	s := start(t, config.SyslogSink{Forward: "tls://" + ln.Addr().String(), TLS: config.TLS{CAFile: other.Certificate}})
	deliver(s, 0, 1)
	if err := <-ended; err == nil {
		t.Error("got a line, want a refused handshake")
	}
}

func readLines(ln net.Listener, n int) error {
	conn, err := ln.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(conn)
	for i := range n {
		var size int
		if _, err := fmt.Fscanf(r, "%d ", &size); err != nil {
			return err
		}
		got := make([]byte, size)
		if _, err := io.ReadFull(r, got); err != nil {
			return err
		}
		if string(got) != line(i) {
			return fmt.Errorf("line %d: got %q, want %q", i, got, line(i))
		}
	}
	return nil
}

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t testing.TB) config.TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := config.TLS{Certificate: filepath.Join(dir, "cert.pem"), PrivateKey: filepath.Join(dir, "key.pem")}
	for path, block := range map[string]*pem.Block{files.Certificate: {Type: "CERTIFICATE", Bytes: der},
		files.PrivateKey: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}
