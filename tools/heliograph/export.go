package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"heliograph/firmware/platform/regular"
)

// The kinds of PEM blocks that are exported (RFC 7468).
const (
	pemCertificate = "CERTIFICATE"
	pemRequest     = "CERTIFICATE REQUEST"
	maxExport      = 64 << 10 // bytes of a file that may be replaced
)

// writeDER writes what is exported as DER or, for a .pem, as PEM.
func writeDER(path, kind string, der []byte) error {
	if err := replaceable(path, kind); err != nil {
		return err
	}
	if strings.HasSuffix(path, ".pem") {
		der = pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	return os.WriteFile(path, der, 0o644)
}

// replaceable returns an error where a file has anything but what is written again, an
// earlier export: a wrong name must not cost a key or a configuration.
func replaceable(path, kind string) error {
	data, err := regular.Read(path, maxExport)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if block, _ := pem.Decode(data); block != nil && block.Type == kind {
		return nil
	}
	_, notRequest := x509.ParseCertificateRequest(data)
	_, notCertificate := x509.ParseCertificate(data)
	if kind == pemRequest && notRequest == nil || kind == pemCertificate && notCertificate == nil {
		return nil
	}
	return fmt.Errorf("%s exists, and is not a %s: name another file", path, strings.ToLower(kind))
}
