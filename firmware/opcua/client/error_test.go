package client

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/opcua/transport"
)

func TestErrorsNameServiceCodeAndRemedy(t *testing.T) {
	untrusted := &pki.Error{Code: ua.StatusBadCertificateUntrusted, Reason: "not trusted", Thumbprint: "AB",
		Subject: "CN=plc"}
	for name, c := range map[string]struct {
		err  error
		want string
		code ua.StatusCode
	}{
		"a time-out": {context.DeadlineExceeded, "Read: StatusBadTimeout: no answer in time",
			ua.StatusBadTimeout},
		"a certificate": {untrusted, "certificate AB (CN=plc): not trusted",
			ua.StatusBadCertificateUntrusted},
		"the server's reason": {&transport.Error{Code: ua.StatusBadShutdown, Remote: true, Reason: "off"},
			`the server says "off"; the server is shutting down`, ua.StatusBadShutdown},
		"a code alone": {ua.StatusBadTooManySessions, "no room for another session",
			ua.StatusBadTooManySessions},
		"nothing that is known": {errors.New("x"), "opcua client: Read: x", 0},
	} {
		got := wrapError("Read", c.err)
		if got == nil || !strings.Contains(got.Error(), c.want) || codeOf(got) != c.code {
			t.Errorf("%s: got %v, %v; want %q, %v", name, got, codeOf(got), c.want, c.code)
		}
	}
	if wrapError("Read", nil) != nil || !errors.Is(wrapError("Read", ErrClosed), ErrClosed) {
		t.Error("got no error wrapped, or ErrClosed lost")
	}
}
