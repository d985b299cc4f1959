package channel

import (
	"errors"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/transport"
)

func fail(code ua.StatusCode, reason string) *transport.Error {
	return &transport.Error{Code: code, Reason: reason}
}

// errSecurity is the one answer to every cryptographic failure. It does not reveal which
// check failed.
func errSecurity() *transport.Error {
	return fail(ua.StatusBadSecurityChecksFailed, "")
}

// Code returns the status code that err carries, or Bad_TcpInternalError.
func Code(err error) ua.StatusCode {
	var code ua.StatusCode
	if errors.As(err, &code) {
		return code
	}
	return ua.StatusBadTCPInternalError
}

// wireCode is the code that a peer receives. Whether a certificate is unknown, revoked or
// malformed is only logged (OPC 10000-4 §6.1.3, table on validation).
func wireCode(code ua.StatusCode) ua.StatusCode {
	switch code {
	case ua.StatusBadCertificateUntrusted, ua.StatusBadCertificateChainIncomplete, ua.StatusBadCertificateRevoked,
		ua.StatusBadCertificateIssuerRevoked, ua.StatusBadCertificateInvalid:
		return ua.StatusBadSecurityChecksFailed
	}
	return code
}

// wireReason is the reason that a peer receives: none for a security failure.
func wireReason(e *transport.Error) string {
	if code := wireCode(e.Code); code == ua.StatusBadSecurityChecksFailed || code != e.Code {
		return ""
	}
	return e.Reason
}
