package syslog

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/identity/selfsigned"
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
	_ = conn.SetDeadline(time.Now().Add(await.Bound))
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

// selfSigned has a certificate for 127.0.0.1 made, as the roles make theirs.
func selfSigned(t testing.TB) config.TLS {
	t.Helper()
	certificate, key, err := selfsigned.Ensure(t.TempDir(), "syslog", "127.0.0.1:0", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return config.TLS{Certificate: certificate, PrivateKey: key}
}

// TestTLSMayAnswerLongAfterTheLastLine has TLS write, as it does to answer a KeyUpdate, when the
// deadline of the last line is over.
func TestTLSMayAnswerLongAfterTheLastLine(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	st := &stream{tcp: conn.(*net.TCPConn)}
	if err := st.tcp.SetWriteDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := (counting{st.tcp, &st.written}).Write([]byte("answer")); err != nil || st.written.Load() != 6 {
		t.Errorf("got %v and %d bytes counted, want all 6 written", err, st.written.Load())
	}
}
