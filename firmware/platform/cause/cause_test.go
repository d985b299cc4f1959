package cause_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http/httptest"
	"os"
	"syscall"
	"testing"
	"time"

	"heliograph/firmware/platform/cause"
)

// handshake returns why TLS with a server fails.
func handshake(t *testing.T, address string, c *tls.Config) error {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return cause.Handshake(tls.Client(conn, c).Handshake())
}

func TestErrorsOfTheNetworkHaveTheirCause(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // a server without TLS
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			fmt.Fprintln(c, "220 ready")
		}
	}()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	_, refused := net.Dial("tcp", closed.Addr().String())
	_, inUse := net.Listen("tcp", l.Addr().String())
	_, elsewhere := net.Listen("tcp", "192.0.2.1:0")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	ended, cancel = context.WithTimeout(context.WithoutCancel(ended), 0)
	defer cancel()
	_, late := (&net.Dialer{}).DialContext(ended, "tcp", "192.0.2.1:9")
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	address := server.Listener.Addr().String()
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	for code, err := range map[cause.Code]error{
		cause.ConnectionRefused: refused, cause.PortInUse: inUse, cause.Address: elsewhere, cause.Unreachable: late,
		cause.NameUnknown:  &net.DNSError{Err: "no such host", Name: "plant.invalid", IsNotFound: true},
		cause.TLSUntrusted: handshake(t, address, &tls.Config{ServerName: "example.com"}),
		cause.HostName:     handshake(t, address, &tls.Config{RootCAs: pool, ServerName: "plant"}),
		cause.CertificateTime: handshake(t, address, &tls.Config{RootCAs: pool, ServerName: "example.com",
			Time: func() time.Time { return time.Now().AddDate(200, 0, 0) }}),
		cause.TLSOff: handshake(t, l.Addr().String(), &tls.Config{ServerName: "plant"}),
		cause.TLS: handshake(t, address, &tls.Config{RootCAs: pool, ServerName: "example.com",
			NextProtos: []string{"none"}}),
		cause.DiskFull:        &fs.PathError{Op: "write", Path: "state", Err: syscall.ENOSPC},
		cause.StateUnwritable: cause.State(&fs.PathError{Op: "open", Path: "state", Err: syscall.EROFS}),
		cause.PortPermission:  &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EACCES)},
		cause.DeviceMissing:   cause.Link(&fs.PathError{Op: "open", Path: "/dev/ttyUSB9", Err: syscall.ENOENT}),
		"":                    errors.New("connection refused"),
	} {
		if got := cause.Of(fmt.Errorf("reaching the plant: %w", err)); err == nil || got.Code != code {
			t.Errorf("%v: got %+v, want %q", err, got, code)
		}
	}
}

func TestAFirewallIsNotAStateThatCannotBeWritten(t *testing.T) {
	err := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.EPERM)}
	if got := cause.Of(err); got.Code != cause.Unreachable {
		t.Errorf("got %+v, want %q", got, cause.Unreachable)
	}
}

func TestACauseIsFoundInWrappedErrors(t *testing.T) {
	err := cause.At("mqtt://plant", fmt.Errorf("connecting: %w", cause.New(cause.MQTTUser, errors.New("code 5"))))
	got := cause.Of(fmt.Errorf("source: %w", err))
	if want := (cause.Cause{Code: cause.MQTTUser, Address: "mqtt://plant"}); got != want || err.Error() !=
		"connecting: code 5" {
		t.Errorf("got %+v and %q, want %+v", got, err, want)
	}
}

// What another machine sends becomes part of commands that are shown to a person.
func TestWhatNoCauseHasIsNotRead(t *testing.T) {
	const print = "5821B46747FD5821B46747FD5821B46747FD5821"
	for text, want := range map[string]cause.Cause{
		`{"code":"server-untrusted","thumbprint":"` + print + `"}`: {Code: cause.ServerUntrusted, Thumbprint: print},
		`{"code":"server-untrusted","thumbprint":"; rm -rf /"}`:    {Code: cause.ServerUntrusted},
		`{"code":"x; rm -rf /"}`:                                   {},
		`{"code":"policy","security_policy":"Basic256Sha256","security_mode":"Sign"}`: {Code: cause.Policy,
			Policy: "Basic256Sha256", Mode: "Sign"},
		`{"code":"policy","security_policy":"\"; x","security_mode":"Sign"}`: {Code: cause.Policy},
		`{"code":"user","address":"opc.tcp://plant:4840"}`: {Code: cause.User,
			Address: "opc.tcp://plant:4840"},
		`{"code":"user","address":"a b"}`: {Code: cause.User},
		`{"code":"of-a-newer-version"}`:   {Code: "of-a-newer-version"},
	} {
		var got cause.Cause
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", text, got, err, want)
		}
	}
}
