package role

import (
	"crypto/x509"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// A board and an empty container have no /etc/ssl.
func TestAuthoritiesOfASystemWithoutAny(t *testing.T) {
	const child = "HELIOGRAPH_TEST_NO_AUTHORITIES"
	if os.Getenv(child) == "" {
		none := t.TempDir()
		c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		c.Env = append(os.Environ(), child+"=1", "SSL_CERT_FILE="+none+"/none", "SSL_CERT_DIR="+none)
		if said, err := c.CombinedOutput(); err != nil {
			t.Errorf("without authorities of the system: %v\n%s", err, said)
		}
		return
	}
	roots := 0
	for r := range bundle.Roots() {
		root, err := x509.ParseCertificate(r.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		// One with a constraint is for certificates of before a date.
		options := x509.VerifyOptions{CurrentTime: root.NotBefore.AddDate(0, 0, 1),
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
		if _, err := root.Verify(options); err != nil && !strings.Contains(err.Error(), "constraint") {
			t.Errorf("%s: %v", root.Subject, err)
		}
		roots++
	}
	if roots < 100 {
		t.Errorf("got %d authorities, want more than 100", roots)
	}
}
