package channel

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uapolicy"
)

func TestSignaturesHoldForTheirNonceAndCertificateOnly(t *testing.T) {
	server, client := pair(2048)
	for _, s := range everySecurity[1:] {
		if s.Mode != ua.MessageSecurityModeSign {
			continue
		}
		t.Run(name(s), func(t *testing.T) {
			nonce := Nonce()
			sig, err := Sign(s.Policy, client.Key, server.Certificate, nonce)
			if err != nil {
				t.Fatal(err)
			}
			verify := func(peer, own, nonce []byte, sig *ua.SignatureData) error {
				return Verify(s.Policy, peer, own, nonce, sig, ua.StatusBadApplicationSignatureInvalid)
			}
			if err := verify(client.Certificate, server.Certificate, nonce, sig); err != nil {
				t.Errorf("good: %v", err)
			}
			chain := append(bytes.Clone(server.Certificate), client.Certificate...)
			if err := verify(client.Certificate, chain, nonce, sig); err != nil {
				t.Errorf("we sent a chain, the peer signed its leaf: %v", err)
			}
			old, err := uapolicy.Asymmetric(s.Policy, client.Key, nil)
			if err != nil {
				t.Fatal(err)
			}
			sum, err := old.Signature(append(bytes.Clone(chain), nonce...))
			if err != nil {
				t.Fatal(err)
			}
			if err := verify(client.Certificate, chain, nonce,
				&ua.SignatureData{Algorithm: old.SignatureURI(), Signature: sum}); err != nil {
				t.Errorf("an old peer signed the whole chain: %v", err)
			}
			for what, err := range map[string]error{
				"another nonce":       verify(client.Certificate, server.Certificate, Nonce(), sig),
				"no nonce":            verify(client.Certificate, server.Certificate, nil, sig),
				"another certificate": verify(client.Certificate, client.Certificate, nonce, sig),
				"another signer":      verify(server.Certificate, server.Certificate, nonce, sig),
				"no signature":        verify(client.Certificate, server.Certificate, nonce, nil),
				"empty signature":     verify(client.Certificate, server.Certificate, nonce, &ua.SignatureData{}),
				"another algorithm": verify(client.Certificate, server.Certificate, nonce,
					&ua.SignatureData{Algorithm: "x", Signature: sig.Signature}),
			} {
				if !errors.Is(err, ua.StatusBadApplicationSignatureInvalid) {
					t.Errorf("%s: got %v, want Bad_ApplicationSignatureInvalid", what, err)
				}
			}
		})
	}
}

func TestPasswordRoundTripAndTampering(t *testing.T) {
	for _, bits := range []int{2048, 3072} {
		server, _ := pair(bits)
		for _, uri := range []string{ua.SecurityPolicyURIBasic256Sha256, ua.SecurityPolicyURIAes128Sha256RsaOaep,
			ua.SecurityPolicyURIAes256Sha256RsaPss} {
			nonce := Nonce()
			for _, password := range []string{"", "secret", strings.Repeat("long", 100)} {
				alg, secret, err := EncryptPassword(uri, server.Certificate, nonce, []byte(password))
				if err != nil {
					t.Fatal(err)
				}
				got, err := DecryptPassword(uri, server.Key, nonce, alg, secret)
				if err != nil || string(got) != password {
					t.Errorf("%s: got %q, %v; want %q", uri, got, err, password)
				}
				noise := make([]byte, len(secret))
				_, _ = rand.Read(noise)
				noise[0] = 0
				first := ""
				for what, try := range map[string]func() ([]byte, error){
					"a replay with another nonce": func() ([]byte, error) {
						return DecryptPassword(uri, server.Key, Nonce(), alg, secret)
					},
					"noise": func() ([]byte, error) {
						return DecryptPassword(uri, server.Key, nonce, alg, noise)
					},
					"cut short": func() ([]byte, error) {
						return DecryptPassword(uri, server.Key, nonce, alg, secret[:len(secret)-1])
					},
					"nothing": func() ([]byte, error) {
						return DecryptPassword(uri, server.Key, nonce, alg, nil)
					},
					"endless": func() ([]byte, error) {
						return DecryptPassword(uri, server.Key, nonce, alg, make([]byte, 1<<20))
					},
					"in the clear": func() ([]byte, error) {
						return DecryptPassword(uri, server.Key, nonce, "", []byte(password))
					},
					"PKCS#1 v1.5": func() ([]byte, error) {
						return DecryptPassword(uri, server.Key, nonce, "http://www.w3.org/2001/04/xmlenc#rsa-1_5",
							secret)
					},
					"no nonce was given": func() ([]byte, error) {
						return DecryptPassword(uri, server.Key, nil, alg, secret)
					},
				} {
					_, err := try()
					if !errors.Is(err, ua.StatusBadIdentityTokenInvalid) {
						t.Fatalf("%s: got %v, want Bad_IdentityTokenInvalid", what, err)
					}
					if first == "" {
						first = err.Error()
					}
					if err.Error() != first {
						t.Errorf("%s: %q differs from %q", what, err, first)
					}
				}
			}
		}
	}
}

func TestLeafIsFoundInAChain(t *testing.T) {
	server, client := pair(2048)
	chain := append(bytes.Clone(server.Certificate), client.Certificate...)
	if got := LeafCertificate(chain); !bytes.Equal(got, server.Certificate) {
		t.Errorf("got %d bytes, want %d", len(got), len(server.Certificate))
	}
	certs, err := ParseChain(chain)
	if err != nil || len(certs) != 2 || !bytes.Equal(Thumbprint(chain), Thumbprint(certs[0].Raw)) {
		t.Errorf("got %d certificates, %v", len(certs), err)
	}
	for _, odd := range [][]byte{nil, {0x30}, {0x30, 0x82, 0xff, 0xff}, {0x30, 0x84, 1, 2, 3},
		bytes.Repeat([]byte{0x30}, maxChainBytes+1)} {
		_ = LeafCertificate(odd)
		if _, err := ParseChain(odd); err == nil {
			t.Errorf("%.8x was taken for a certificate", odd)
		}
	}
	if _, err := ParseChain(newIdentity(1024 + 512).Certificate); !errors.Is(err,
		ua.StatusBadCertificatePolicyCheckFailed) {
		t.Errorf("small key: got %v, want Bad_CertificatePolicyCheckFailed", err)
	}
}

func TestAParsedChainDoesNotAliasItsBytes(t *testing.T) {
	id := newIdentity(2048)
	der := bytes.Clone(id.Certificate)
	certs, err := ParseChain(der)
	if err != nil {
		t.Fatal(err)
	}
	clear(der)
	if !bytes.Equal(certs[0].Raw, id.Certificate) {
		t.Error("a parsed certificate changes with the buffer that it came in")
	}
}
