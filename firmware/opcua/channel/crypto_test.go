package channel

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uapolicy"
)

// vector reads a hex value of testdata/golden.txt.
func vector(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if field := strings.Fields(s.Text()); len(field) == 2 && field[0] == name {
			b, err := hex.DecodeString(field[1])
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	t.Fatalf("no golden vector %q", name)
	return nil
}

func TestKeyDerivationEqualsThePublishedVector(t *testing.T) {
	got := pSHA256(vector(t, "p_sha256.secret"), append([]byte("test label"), vector(t, "p_sha256.seed")...), 100)
	if want := vector(t, "p_sha256.output"); !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func TestSealedChunkEqualsTheGoldenVector(t *testing.T) {
	for _, s := range everySecurity[1:] {
		t.Run(name(s), func(t *testing.T) {
			p, _ := policyOf(s.Policy)
			d, err := newDirection(p, s.Mode, bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32), true)
			if err != nil {
				t.Fatal(err)
			}
			chunk := append([]byte(
				"MSGF\x00\x00\x00\x00\x07\x00\x00\x00\x03\x00\x00\x00\x05\x00\x00\x00\x09\x00\x00\x00"), "body"...)
			got := d.seal(append(make([]byte, 0, 200), chunk...))
			if want := vector(t, name(s)); !bytes.Equal(got, want) {
				t.Errorf("got  %x\nwant %x", got, want)
			}
		})
	}
}

func TestLibrarysCryptographyOpensOurChunks(t *testing.T) {
	ours, theirs := Nonce(), Nonce()
	for _, s := range everySecurity[1:] {
		t.Run(name(s), func(t *testing.T) {
			p, _ := policyOf(s.Policy)
			seal, err := newDirection(p, s.Mode, theirs, ours, true)
			if err != nil {
				t.Fatal(err)
			}
			peer, err := uapolicy.Symmetric(s.Policy, theirs, ours)
			if err != nil {
				t.Fatal(err)
			}
			for size := range 40 {
				body := bytes.Repeat([]byte{0xaa}, size)
				b := seal.seal(append(make([]byte, symmetricBody, 200), body...))
				inside := b[symmetricHeader:]
				if s.Mode == ua.MessageSecurityModeSignAndEncrypt {
					if inside, err = peer.Decrypt(inside); err != nil {
						t.Fatal(err)
					}
				}
				clear := append(bytes.Clone(b[:symmetricHeader]), inside...)
				end := len(clear) - signatureSize
				if err := peer.VerifySignature(clear[:end], clear[end:]); err != nil {
					t.Fatalf("%d bytes: %v", size, err)
				}
				if got := clear[symmetricBody:][:size]; !bytes.Equal(got, body) {
					t.Fatalf("%d bytes: got %x", size, got)
				}
			}
		})
	}
}

func TestChunksFillTheirSizeAndNoMore(t *testing.T) {
	for _, s := range everySecurity {
		p, _ := policyOf(s.Policy)
		d, err := newDirection(p, s.Mode, Nonce(), Nonce(), true)
		if err != nil {
			t.Fatal(err)
		}
		for limit := 8192; limit < 8192+33; limit++ {
			n := d.room(limit)
			if got := len(d.seal(make([]byte, symmetricBody+n, 9000))); got > limit || got < limit-16 {
				t.Errorf("%s: room %d of %d makes a chunk of %d", name(s), n, limit, got)
			}
			if got := len(d.seal(make([]byte, symmetricBody+n+1, 9000))); got <= limit &&
				s.Mode != ua.MessageSecurityModeSignAndEncrypt {
				t.Errorf("%s: one more byte would have fitted into %d", name(s), limit)
			}
		}
	}
}
