package syslog

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/syslog"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/identity/selfsigned"
)

func TestLinesOverTLSAndRefusedHandshakes(t *testing.T) {
	addr, p := await.FreeAddress(t), newPort()
	s, err := New(config.SyslogSource{Listen: []string{"tls://" + addr}, TLS: selfSigned(t)}, p,
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	await.True(t, "bound", func() bool { return s.Ready() == nil })
	plain, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(plain, "5 hello\n")
	await.True(t, "refused handshake", func() bool { return s.stats.Handshakes.Load() == 1 })
	plain.Close()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "5 hello3 abc")
	await.True(t, "lines", func() bool { return len(p.got()) == 2 })
	if l := p.got()[1]; string(l.Text) != "abc" || l.Transport != payload.TLS {
		t.Errorf("got %+v, want abc over TLS", l)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: got %v, want nil", err)
	}
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
