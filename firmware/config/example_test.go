package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/config/users"
)

// folder returns a folder with every file that the examples name.
func folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(pairkey.Create(filepath.Join(dir, "pair.key"), pairkey.New()))
	must(users.Add(filepath.Join(dir, "users"), "anna", "secret"))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	for name, text := range map[string][]byte{
		"ot.password": []byte("s3cret\n"),
		"it.password": []byte("s3cret"),
		"ca.pem":      pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		"own.pem":     pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		"own.key":     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		"user.der":    certificate,
		"user.key":    private,
	} {
		must(os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	return dir
}

func TestExamplesParse(t *testing.T) {
	dir := folder(t)
	documentedTX, err := os.ReadFile("testdata/documented-tx.toml")
	if err != nil {
		t.Fatal(err)
	}
	documentedRX, err := os.ReadFile("testdata/documented-rx.toml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"reference": ReferenceTX(), "minimal": MinimalTX(),
		"documented": string(documentedTX)} {
		t.Run(name+" tx", func(t *testing.T) {
			if _, warnings, err := ParseTX(strings.NewReader(text), dir); err != nil || len(warnings) != 0 {
				t.Errorf("got %v, %v; want neither fault nor warning", err, warnings)
			}
		})
	}
	for name, text := range map[string]string{"reference": ReferenceRX(), "minimal": MinimalRX(),
		"documented": string(documentedRX)} {
		t.Run(name+" rx", func(t *testing.T) {
			if _, warnings, err := ParseRX(strings.NewReader(text), dir); err != nil || len(warnings) != 0 {
				t.Errorf("got %v, %v; want neither fault nor warning", err, warnings)
			}
		})
	}
}

func TestReferencesNameEveryKey(t *testing.T) {
	for text, raw := range map[string]any{ReferenceTX(): rawTX{}, ReferenceRX(): rawRX{}} {
		sections := bySection(text)
		root := reflect.TypeOf(raw)
		for i := range root.NumField() {
			key, kind := root.Field(i).Tag.Get("toml"), root.Field(i).Type
			if kind.Kind() == reflect.Slice {
				kind = kind.Elem()
			}
			if kind.Kind() != reflect.Struct {
				wantKey(t, sections[""], "the top level", key)
				continue
			}
			for j := range kind.NumField() {
				wantKey(t, sections[key], key, kind.Field(j).Tag.Get("toml"))
			}
		}
	}
}

func wantKey(t *testing.T, section, name, key string) {
	t.Helper()
	if !regexp.MustCompile(`(?m)^(# )?` + key + ` *=`).MatchString(section) {
		t.Errorf("%s of the reference does not name the key %q", name, key)
	}
}

func bySection(text string) map[string]string {
	sections, name := map[string]string{}, ""
	header := regexp.MustCompile(`^\[+([a-z]+)\]+`)
	for line := range strings.Lines(text) {
		if m := header.FindStringSubmatch(line); m != nil {
			name = m[1]
		}
		sections[name] += line
	}
	return sections
}
