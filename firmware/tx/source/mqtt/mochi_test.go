package mqtt

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"heliograph/ci/await"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source"
)

// door lets those in with the password; "" lets everyone in.
type door struct {
	mochi.HookBase
	password string
}

func (*door) ID() string { return "door" }

func (*door) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}

func (d *door) OnConnectAuthenticate(_ *mochi.Client, pk packets.Packet) bool {
	return d.password == "" || (string(pk.Connect.Username) == "ot" && string(pk.Connect.Password) == d.password)
}

func (*door) OnACLCheck(*mochi.Client, string, bool) bool { return true }

// embedded is an in-process broker, with TLS when c is given.
func embedded(t testing.TB, c *tls.Config, password string) (*mochi.Server, string) {
	t.Helper()
	server := mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	if err := server.AddHook(&door{password: password}, nil); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	if c != nil {
		ln = tls.NewListener(ln, c)
	}
	if err := server.AddListener(listeners.NewNet("test", ln)); err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server, address
}

func TestOtherBrokersWork(t *testing.T) {
	for _, version := range []config.MQTTVersion{config.MQTT5, config.MQTT311} {
		t.Run(string(version), func(t *testing.T) {
			server, address := embedded(t, nil, "")
			_ = server.Publish("r/old", []byte("1"), true, 1)
			p := &port{}
			s, _ := start(t, config.MQTTSource{Broker: "mqtt://" + address, Version: version}, p)
			up(t, s)
			_ = server.Publish("r/old", []byte("2"), true, 1)
			_ = server.Publish("plain", []byte("3"), false, 2)
			want := []string{`plain event q2 "3"`, `r/old event q1 "2" retained key=r/old`,
				`r/old state q1 "1" retained key=r/old`}
			reason := p.Last().String()
			if version == config.MQTT311 {
				// It does not support bridges, so that the flag of live messages is hidden.
				want[1] = `r/old event q1 "2"`
				want = append(want, `r/old state q1 "2" retained key=r/old`) // once it was asked for again
				if !strings.Contains(reason, "asked for each minute") {
					t.Errorf("got %q, want it to say that the flag is hidden", reason)
				}
			}
			await.True(t, "all of it crosses", func() bool { return len(p.lines("")) >= len(want) })
			got := p.lines("")
			slices.Sort(got) // the broker may answer a question before it hands a live message on
			if !slices.Equal(got, want) {
				t.Fatalf("got %q, want %q", got, want)
			}
			_ = server.Publish("r/old", nil, true, 1)
			cleared := `r/old event delete q1 "" retained key=r/old`
			if version == config.MQTT311 {
				cleared = `r/old state delete key=r/old`
			}
			await.True(t, "it is cleared", func() bool { return slices.Contains(p.lines(""), cleared) })
		})
	}
}

// TestWhatIsReadAgainUnchangedDoesNotCross has a broker that hides the retain
// flag of live messages show the same messages several times.
func TestWhatIsReadAgainUnchangedDoesNotCross(t *testing.T) {
	server, address := embedded(t, nil, "")
	for topic := range 3 {
		_ = server.Publish(fmt.Sprint("r/", topic), []byte("1"), true, byte(topic))
	}
	p := &port{}
	s, _ := start(t, config.MQTTSource{Broker: "mqtt://" + address, Version: config.MQTT311}, p)
	up(t, s)
	_ = server.Publish("r/0", []byte("2"), true, 1)
	twice := `r/0 state q1 "2" retained key=r/0`
	await.True(t, "the new value crosses as state", func() bool { return slices.Contains(p.lines("r/0"), twice) })
	before := s.Stats().Skipped.Load()
	await.True(t, "all is read three times more", func() bool { return s.Stats().Skipped.Load() >= before+4*3 })
	got := p.lines("r/0")
	slices.Sort(got) // the broker may answer a question before it hands the live message on
	if want := []string{`r/0 event q1 "2"`, `r/0 state q0 "1" retained key=r/0`, twice}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, topic := range []string{"r/1", "r/2"} {
		if got := p.lines(topic); len(got) != 1 {
			t.Errorf("got %q, want the one value once", got)
		}
	}
}

// pki makes a certificate authority, and what a server and a client of it need.
func pki(t testing.TB) (server *tls.Config, client config.TLS) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	issue := func(serial int64, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: parent == nil,
			KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
		if parent == nil {
			parent, signer = c, k
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &k.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		return der, k
	}
	root, rootKey := issue(1, nil, nil)
	parent, err := x509.ParseCertificate(root)
	if err != nil {
		t.Fatal(err)
	}
	der, k := issue(2, parent, rootKey)
	pool := x509.NewCertPool()
	pool.AddCert(parent)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: k}}, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert}
	clientDER, clientKey := issue(3, parent, rootKey)
	keyDER, err := x509.MarshalECPrivateKey(clientKey)
	if err != nil {
		t.Fatal(err)
	}
	return server, config.TLS{CAFile: write("ca", "CERTIFICATE", root),
		Certificate: write("cert", "CERTIFICATE", clientDER), PrivateKey: write("key", "EC PRIVATE KEY", keyDER)}
}

func TestTLSWithCertificateAndPassword(t *testing.T) {
	server, full := pki(t)
	broker, address := embedded(t, server, "secret")
	for _, test := range []struct {
		name     string
		version  config.MQTTVersion
		tls      config.TLS
		password string
		want     string // in the reason; "" is up
	}{
		{"5", config.MQTT5, full, "secret", ""},
		{"3.1.1", config.MQTT311, full, "secret", ""},
		{"wrong password", config.MQTTAuto, full, "guess", "0x86"},
		{"unknown authority", config.MQTTAuto, config.TLS{Certificate: full.Certificate, PrivateKey: full.PrivateKey},
			"secret", "unknown authority"},
		{"no certificate", config.MQTTAuto, config.TLS{CAFile: full.CAFile}, "secret", "certificate required"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &port{}
			s, _ := start(t, config.MQTTSource{
				Broker: "mqtts://" + address, Version: test.version, TLS: test.tls,
				Username: "ot", Password: []byte(test.password), ClientID: test.name,
			}, p)
			if test.want != "" {
				await.True(t, "the refusal shows", func() bool { return strings.Contains(p.Reports(), test.want) })
				if last := p.Last(); last.State != source.Down || strings.Contains(p.Reports(), "3.1.1") {
					t.Errorf("got %s, want down, and no other version tried", last)
				}
				return
			}
			up(t, s)
			_ = broker.Publish("a", []byte("1"), false, 2)
			p.expect(t, "a", `a event q2 "1"`)
		})
	}
}

func TestBadFilesAreRefusedAtOnce(t *testing.T) {
	for name, files := range map[string]config.TLS{
		"no such authority": {CAFile: "/nonexistent"}, "no certificate in it": {CAFile: os.DevNull},
		"no such key": {Certificate: os.DevNull, PrivateKey: "/nonexistent"},
	} {
		if _, err := New(config.MQTTSource{Broker: "mqtts://x:1", TLS: files}, "", &port{},
			slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
