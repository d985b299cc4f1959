package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/transport"
	"heliograph/firmware/platform/cause"
)

// ErrClosed is why a session ended after Close.
var ErrClosed = errors.New("opcua client: session was closed")

// Error is a service that failed, or the end of a session.
type Error struct {
	Service string // or what the client was doing
	Code    ua.StatusCode
	Reason  string
	why     cause.Cause // zero: the code's
}

// Why is the cause.
func (e *Error) Why() cause.Cause {
	if e.why.Code != "" {
		return e.why
	}
	return cause.Cause{Code: causeOf(e.Code)}
}

// causeOf returns why a server refuses, by its status code.
func causeOf(code ua.StatusCode) cause.Code {
	switch code {
	case ua.StatusBadUserAccessDenied, ua.StatusBadIdentityTokenRejected, ua.StatusBadIdentityTokenInvalid,
		ua.StatusBadUserSignatureInvalid, ua.StatusBadIdentityChangeNotSupported:
		return cause.User
	case ua.StatusBadSecurityChecksFailed, ua.StatusBadCertificateUntrusted, ua.StatusBadCertificateUseNotAllowed,
		ua.StatusBadCertificateInvalid, ua.StatusBadCertificateChainIncomplete:
		return cause.ClientUntrusted
	case ua.StatusBadCertificateTimeInvalid, ua.StatusBadInvalidTimestamp:
		return cause.Clock
	case ua.StatusBadTooManySessions:
		return cause.Sessions
	case ua.StatusBadSecurityPolicyRejected:
		return cause.Discovery
	case ua.StatusBadTimeout:
		return cause.Unreachable
	}
	return ""
}

// rejected is why this side does not accept a certificate.
func rejected(e *pki.Error) cause.Cause {
	c := cause.Cause{Code: cause.Certificate, Thumbprint: e.Thumbprint, Detail: e.Reason}
	switch e.Code {
	case ua.StatusBadCertificateHostNameInvalid:
		c.Code = cause.HostName
	case ua.StatusBadCertificateURIInvalid:
		c.Code = cause.ApplicationURI
	case ua.StatusBadCertificateTimeInvalid, ua.StatusBadCertificateIssuerTimeInvalid:
		c.Code = cause.CertificateTime
	case ua.StatusBadCertificateUntrusted, ua.StatusBadCertificateChainIncomplete:
		c.Code = cause.ServerUntrusted
	case ua.StatusBadCertificateRevocationUnknown, ua.StatusBadCertificateIssuerRevocationUnknown,
		ua.StatusBadCertificateRevoked, ua.StatusBadCertificateIssuerRevoked:
		c.Code = cause.Revocation
	}
	return c
}

func (e *Error) Error() string {
	s := "opcua client: " + e.Service + ": " + codeName(e.Code)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

// Unwrap gives the status code to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Code }

func codeName(code ua.StatusCode) string {
	if d, ok := ua.StatusCodes[code]; ok {
		return d.Name
	}
	return fmt.Sprintf("status 0x%08X", uint32(code))
}

func isBad(code ua.StatusCode) bool { return code>>31 == 1 }

// wrapError returns an error from a lower layer as an Error of a service.
func wrapError(service string, err error) error {
	var own *Error
	if err == nil || errors.As(err, &own) || errors.Is(err, context.Canceled) || errors.Is(err, ErrClosed) {
		return err
	}
	e := &Error{Service: service, Code: codeOf(err), why: cause.Of(err)}
	var wire *transport.Error
	var refused *pki.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		e.Code, e.Reason = ua.StatusBadTimeout, "no answer in time: check address and network"
	case e.Code == 0:
		return fmt.Errorf("opcua client: %s: %w", service, err)
	case errors.As(err, &refused):
		e.why = rejected(refused)
		e.Reason = fmt.Sprintf("certificate %s (%s): %s", refused.Thumbprint, refused.Subject, refused.Reason)
	case errors.As(err, &wire) && wire.Remote && wire.Reason != "":
		e.Reason = fmt.Sprintf("the server says %.200q", wire.Reason)
	case errors.As(err, &wire):
		e.Reason = wire.Reason
	default:
		e.Reason = err.Error()
	}
	if do := advice(e.Code); do != "" && e.Reason != "" {
		e.Reason += "; " + do
	} else if do != "" {
		e.Reason = do
	}
	return e
}

func codeOf(err error) ua.StatusCode {
	var code ua.StatusCode
	var raw *rawvalue.Error
	switch {
	case errors.As(err, &code):
	case errors.As(err, &raw):
		code = raw.Code
	}
	return code
}

// malformedAnswer is the error for a response that cannot be decoded.
func malformedAnswer(service string, err error) error {
	return &Error{Service: service, Code: codeOf(err), Reason: err.Error()}
}

func wrongCount(service string, got, want int) error {
	return &Error{Service: service, Code: ua.StatusBadDecodingError,
		Reason: fmt.Sprintf("server answers %d operations, %d were asked for", got, want)}
}

// mayDivide reports whether requests with fewer operations may succeed where this one
// failed, because of one operation or of their number.
func mayDivide(err error) bool {
	switch codeOf(err) {
	case ua.StatusBadTooManyOperations, ua.StatusBadDecodingError, ua.StatusBadEncodingError,
		ua.StatusBadEncodingLimitsExceeded,
		ua.StatusBadRequestTooLarge, ua.StatusBadResponseTooLarge, ua.StatusBadTCPMessageTooLarge,
		ua.StatusBadInternalError, ua.StatusBadUnexpectedError:
		return true
	}
	return false
}

// advice says what to do about a code that ends a session, "" for other codes.
func advice(code ua.StatusCode) string {
	switch code {
	case ua.StatusBadSessionIDInvalid, ua.StatusBadSessionClosed, ua.StatusBadSessionNotActivated:
		return "the server has dropped the session, or was restarted: connect again"
	case ua.StatusBadSecureChannelClosed, ua.StatusBadSecureChannelIDInvalid, ua.StatusBadTCPSecureChannelUnknown,
		ua.StatusBadSecureChannelTokenUnknown:
		return "the server has closed the secure channel: connect again"
	case ua.StatusBadConnectionClosed, ua.StatusBadNotConnected, ua.StatusBadServerNotConnected:
		return "the connection is lost: connect again"
	case ua.StatusBadServerHalted, ua.StatusBadShutdown:
		return "the server is shutting down: connect again when it is back"
	case ua.StatusBadSecurityChecksFailed:
		return "the server gives no reason: see its log, and trust our certificate there"
	case ua.StatusBadUserAccessDenied, ua.StatusBadIdentityTokenRejected, ua.StatusBadIdentityTokenInvalid:
		return "the server refused the user: check user name and password, or certificate"
	case ua.StatusBadTooManySessions:
		return "the server has no room for another session: close one, or raise its limit"
	}
	return ""
}
