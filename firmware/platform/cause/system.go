package cause

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// ofSystem finds the cause in what the standard library returns.
func ofSystem(err error) Cause {
	if c := ofTLS(err); c.Code != "" {
		return c
	}
	op, network := errors.AsType[*net.OpError](err)
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		if name.IsTimeout && !name.IsNotFound {
			return Cause{Code: NameUnknown, Detail: "no nameserver answers"}
		}
		return Cause{Code: NameUnknown}
	}
	code := Code("")
	for _, c := range errnos() {
		if errors.Is(err, c.errno) {
			code = c.code
			break
		}
	}
	switch timeout := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded); {
	case code == StateUnwritable && network && op.Op == "listen":
		code = PortPermission
	case code == StateUnwritable && network: // a firewall of this machine
		code = Unreachable
	case code == "" && (timeout || network && op.Timeout()):
		code = Unreachable
	}
	return Cause{Code: code}
}

// errnos has the cause of each errno that says enough.
func errnos() []struct {
	errno error
	code  Code
} {
	return []struct {
		errno error
		code  Code
	}{
		{syscall.ECONNREFUSED, ConnectionRefused}, {syscall.EHOSTUNREACH, Unreachable},
		{syscall.ENETUNREACH, Unreachable}, {syscall.ETIMEDOUT, Unreachable}, {syscall.EHOSTDOWN, Unreachable},
		{syscall.EADDRINUSE, PortInUse}, {syscall.EADDRNOTAVAIL, Address}, {syscall.ENOSPC, DiskFull},
		{syscall.EROFS, StateUnwritable}, {syscall.ENODEV, DeviceMissing}, {syscall.ENXIO, DeviceMissing},
		{fs.ErrPermission, StateUnwritable},
	}
}

// State returns an error of the state's folder with its cause.
func State(err error) error {
	if Of(err).Code == DiskFull {
		return err
	}
	return With(Cause{Code: StateUnwritable}, err)
}

// Link returns an error of opening a link with its cause.
func Link(err error) error {
	if err != nil && Of(err).Code == "" && errors.Is(err, fs.ErrNotExist) {
		return With(Cause{Code: DeviceMissing}, err)
	}
	return err
}

// Handshake returns the error of a TLS handshake with its cause.
func Handshake(err error) error {
	if err == nil || Of(err).Code != "" {
		return err
	}
	return With(Cause{Code: TLS, Detail: err.Error()}, err)
}

// ofTLS finds the cause of a handshake that failed.
func ofTLS(err error) Cause {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return Cause{Code: TLSUntrusted}
	}
	if host, ok := errors.AsType[x509.HostnameError](err); ok {
		return Cause{Code: HostName, Detail: host.Error()}
	}
	if c, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if c.Reason == x509.Expired {
			return Cause{Code: CertificateTime, Detail: c.Detail}
		}
		return Cause{Code: TLS, Detail: c.Error()}
	}
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok && record.Conn != nil {
		return Cause{Code: TLSOff}
	}
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		return Cause{Code: TLS, Detail: alert.Error()}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "remote error" || op.Op == "local error") {
		return Cause{Code: TLS, Detail: op.Err.Error()}
	}
	if failed, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return Cause{Code: TLS, Detail: failed.Err.Error()}
	}
	return Cause{}
}
