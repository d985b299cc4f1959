package e2e

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/ci/rig"
)

// clientBound is for a client that makes its own certificate first.
const clientBound = 2 * await.Bound

// foreignClient has node-opcua's client inspect the mirror. Between its
// tries refused is called with the reason.
func foreignClient(t *testing.T, options map[string]string, refused func(why string)) {
	t.Helper()
	script, err := filepath.Abs("../peers/client.js")
	if err != nil {
		t.Fatal(err)
	}
	options["tag"] = tag("Tag1").String()
	if options["pki"] == "" {
		options["pki"] = filepath.Join(t.TempDir(), "pki")
	}
	argument, _ := json.Marshal(options)
	ctx, cancel := context.WithTimeout(t.Context(), clientBound)
	defer cancel()
	got := map[string]any{}
	for {
		out, err := exec.CommandContext(ctx, rig.Program(t, "node", "the whole gateway against node-opcua"), script,
			string(argument)).Output()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		clear(got)
		if jerr := json.Unmarshal([]byte(lines[len(lines)-1]), &got); jerr == nil && got["error"] == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("node-opcua's client, after %s: %v: %s", clientBound, err, out)
		}
		refused(fmt.Sprint(got["error"]))
	}
	for key, want := range map[string]any{
		"root": []any{"Objects", "Types", "Views"}, "translated": 1.0, "state": 0.0, "sourceTimestamp": true,
		"refresh": "Good", "refreshed": true,
		"write": "BadNotWritable", "call": "BadNotExecutable", "history": "BadHistoryOperationUnsupported",
	} {
		if !reflect.DeepEqual(got[key], want) {
			t.Errorf("node-opcua's client: %s is %v, want %v", key, got[key], want)
		}
	}
	if n, _ := got["values"].(float64); n < 1 {
		t.Errorf("node-opcua's client was notified of %v values", got["values"])
	}
}

// TestForeignClientOverEncryption is what UaExpert does: it is refused, its
// certificate is trusted, and it comes in, as a user with a password and as one
// with a certificate.
func TestForeignClientOverEncryption(t *testing.T) {
	t.Parallel()
	p := startPlant(t, map[string]any{"tags": 20, "period": 100, "perTick": 10})
	mirror := await.FreePort(t)
	tx, rx := mirrorTables(p, mirror, true)
	g := newGateway(t, rough, tx, rx)
	rig.Write(t, filepath.Join(g.Dir, "ot.password"), []byte("secret\n"))
	toolWith(t, "geheim\n", "user", "add", filepath.Join(g.Dir, "users"), "ann")
	g.Start()
	trustAll(t, g, "tx")
	g.Ready()
	certificate, key := joan(t)
	rig.Write(t, filepath.Join(g.Dir, "state-rx", "pki", "trusted_users", "certs", "joan.der"),
		rig.Read(t, certificate))

	refusals := 0
	own := filepath.Join(t.TempDir(), "pki") // the same client each time
	for name, options := range map[string]map[string]string{
		"Basic256Sha256, password": {"policy": "Basic256Sha256", "user": "ann", "password": "geheim"},
		"Aes256_Sha256_RsaPss, X.509": {"policy": "Aes256_Sha256_RsaPss", "userCertificate": certificate,
			"userKey": key},
	} {
		options["url"], options["pki"] = fmt.Sprintf("opc.tcp://127.0.0.1:%d", mirror), own
		t.Run(name, func(t *testing.T) {
			foreignClient(t, options, func(why string) {
				refusals++
				t.Logf("refused: %s", why)
				trustRejected(t, g)
			})
		})
	}
	if refusals == 0 {
		t.Error("a client that is not trusted was let in")
	}
}

// trustRejected trusts all that RX has rejected, with the command that its log
// names, and waits until it counts.
func trustRejected(t *testing.T, g *gateway) {
	t.Helper()
	folder := filepath.Join(g.Dir, "state-rx", "pki")
	// a file that is being written is hidden
	files, _ := filepath.Glob(filepath.Join(folder, "rejected", "certs", "[^.]*"))
	for _, f := range files {
		der := rig.Read(t, f)
		file := filepath.Join(t.TempDir(), "rejected.der")
		rig.Write(t, file, der)
		tool(t, "trust", "add", "--pki", folder, file)
	}
	time.Sleep(2 * time.Second) // within which a trusted certificate counts
}

// joan makes a person's certificate and key, and returns their files.
func joan(t *testing.T) (certificate, key string) {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "joan"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	certificate, key = filepath.Join(folder, "joan.der"), filepath.Join(folder, "joan.pem")
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	rig.Write(t, certificate, der)
	rig.Write(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	return certificate, key
}
