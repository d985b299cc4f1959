package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strings"
	"time"

	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/config/users"
	"heliograph/firmware/platform/regular"
	"heliograph/firmware/platform/text"
)

// smallFile reads the file that a key names; nil after a fault.
func (r *report) smallFile(a tablePath, key, path string) []byte {
	content, err := regular.Read(path, maxSmallFile)
	if err != nil {
		r.fault(a, key, "%s: %v", key, fileFault(err, path))
		return nil
	}
	return text.TrimMark(content)
}

// NotFound begins the fault of a file that is not there: it may be on the other machine of a pair.
const NotFound = "file not found"

// fileFault describes an error of reading a file.
func fileFault(err error, path string) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return NotFound + ": " + path
	case errors.Is(err, fs.ErrPermission):
		return "no permission to read " + path
	default:
		return err.Error()
	}
}

// warnReadable warns if every user of the machine can read a secret file.
func (r *report) warnReadable(a tablePath, key, path string) {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&worldReadable != 0 {
		r.warn(a, key, "every user of this machine can read %s: run \"%s\"", path, secretCommand(path,
			readerGroup(r.role, ofRoot(info), func(group string) bool {
				_, err := user.LookupGroup(group)
				return err == nil
			})))
	}
}

// readerGroup is the group by which a role of a package reads a secret that root has; "" where the
// owner of the file runs the role.
func readerGroup(role string, roots bool, exists func(group string) bool) string {
	if group := "helio" + role; roots && exists(group) {
		return group
	}
	return ""
}

// secretCommand keeps other users than those of a secret from reading it.
func secretCommand(path, group string) string {
	if group == "" {
		return "chmod 600 " + path
	}
	return fmt.Sprintf("chown root:%s %s && chmod 640 %s", group, path, path)
}

func (r *report) keyFile(raw string) string {
	if raw == "" {
		r.fault("link", "key_file",
			"key_file is missing: run \"heliograph key new pair.key\" and copy the file to both sides")
		return ""
	}
	path := r.path(raw)
	if pairkey.Handed() {
		return path // the role may not read it; the process that hands over the key has checked it
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && r.machine.KeyLater != "" {
		r.warn("link", "key_file", "key_file: file not found: %s: %s", path, r.machine.KeyLater)
		return path
	}
	text := r.smallFile("link", "key_file", path)
	if text == nil {
		return path
	}
	if _, err := pairkey.Parse(text); err != nil {
		r.fault("link", "key_file", "key_file: %s is %v", path, err)
	}
	r.warnReadable("link", "key_file", path)
	return path
}

// password reads a password file. A line end after the password is not part of it.
func (r *report) password(a tablePath, user, file string) []byte {
	if file == "" {
		return nil
	}
	if user == "" {
		r.fault(a, "password_file", "password_file needs a username: add username = \"…\"")
	}
	path := r.path(file)
	text := r.smallFile(a, "password_file", path)
	if text == nil {
		return nil
	}
	r.warnReadable(a, "password_file", path)
	password := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if password == "" || len(password) > maxPassword || strings.ContainsAny(password, "\n\x00") {
		r.fault(a, "password_file", "password_file: %s must hold one line of 1 to %d bytes", path, maxPassword)
	}
	return []byte(password)
}

func (r *report) usersFile(a tablePath, file string) string {
	if file == "" {
		return ""
	}
	path := r.path(file)
	if _, err := users.Load(path); err != nil {
		r.fault(a, "users_file", "users_file: %v", fileFault(err, path))
	}
	r.warnReadable(a, "users_file", path)
	return path
}

// tls checks the files of a TLS peer: they are PEM, and the key is the certificate's.
func (r *report) tls(a tablePath, ca, certificate, key string) TLS {
	files := TLS{CAFile: r.path(ca), Certificate: r.path(certificate), PrivateKey: r.path(key)}
	if ca != "" {
		text := r.smallFile(a, "ca_file", files.CAFile)
		if text != nil && !x509.NewCertPool().AppendCertsFromPEM(text) {
			r.fault(a, "ca_file", "ca_file: %s does not contain a PEM certificate", files.CAFile)
		}
	}
	switch {
	case certificate == "" && key == "":
	case certificate == "":
		r.fault(a, "private_key", "private_key needs a certificate: add certificate = \"own.pem\"")
	case key == "":
		r.fault(a, "certificate", "certificate needs its private_key: add private_key = \"own.key\"")
	default:
		r.keyPair(a, files)
	}
	return files
}

// Words of the warning of a certificate that has ended.
const (
	CertificateEnded   = "ended on"
	CertificateRenewal = "put a new one with its private_key there"
)

func (r *report) keyPair(a tablePath, files TLS) {
	certificate := r.smallFile(a, "certificate", files.Certificate)
	key := r.smallFile(a, "private_key", files.PrivateKey)
	if certificate == nil || key == nil {
		return
	}
	r.warnReadable(a, "private_key", files.PrivateKey)
	for _, file := range []struct {
		key, path string
		content   []byte
	}{{"certificate", files.Certificate, certificate}, {"private_key", files.PrivateKey, key}} {
		if block, _ := pem.Decode(file.content); block == nil {
			r.fault(a, file.key, "%s: %s is not a PEM file: convert it, or name another one", file.key, file.path)
			return
		}
	}
	if pair, err := tls.X509KeyPair(certificate, key); err != nil {
		r.fault(a, "certificate", "certificate and private_key: %s", strings.TrimPrefix(err.Error(), "tls: "))
	} else if end := pair.Leaf.NotAfter; end.Before(time.Now()) {
		r.warn(a, "certificate", "certificate: %s %s %s: peers refuse it; %s", files.Certificate, CertificateEnded,
			end.UTC().Format(time.DateOnly), CertificateRenewal)
	}
}

// userCertificate checks a certificate and its key, each in DER or PEM.
func (r *report) userCertificate(a tablePath, certificate, key string) (string, string) {
	if certificate == "" && key == "" {
		return "", ""
	}
	if certificate == "" || key == "" {
		r.fault(a, "user_certificate", "user_certificate and user_private_key must be given together")
		return "", ""
	}
	certificate, key = r.path(certificate), r.path(key)
	if text := r.smallFile(a, "user_certificate", certificate); text != nil {
		if _, err := x509.ParseCertificate(derOf(text)); err != nil {
			r.fault(a, "user_certificate", "user_certificate: %s is not a certificate in DER or PEM", certificate)
		}
	}
	if text := r.smallFile(a, "user_private_key", key); text != nil {
		r.warnReadable(a, "user_private_key", key)
		if !isPrivateKey(derOf(text)) {
			r.fault(a, "user_private_key",
				"user_private_key: %s is not a private key in DER or PEM (PKCS #1 or #8, without a passphrase)", key)
		}
	}
	return certificate, key
}

func derOf(text []byte) []byte {
	if block, _ := pem.Decode(text); block != nil {
		return block.Bytes
	}
	return text
}

func isPrivateKey(der []byte) bool {
	if _, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return true
	}
	_, err := x509.ParsePKCS1PrivateKey(der)
	return err == nil
}
