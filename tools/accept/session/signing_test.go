package session

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"heliograph/firmware/platform/statement"
	"heliograph/tools/accept"
)

// identity is a key with its certificate.
type identity struct {
	key *rsa.PrivateKey
	der []byte
}

func newIdentity() identity {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	c := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return identity{key, der}
}

// identities are those of two boards.
var identities = sync.OnceValue(func() [2]identity { return [2]identity{newIdentity(), newIdentity()} })

// signer is a receiver that signs.
type signer struct {
	*pair
	own    identity
	last   time.Time                // when it has signed
	asked  int                      // for statements
	refuse func(asked int) error    // nil, or why it does not sign
	use    func(asked int) identity // nil, or another identity
}

// statement is what it answers to a nonce.
func (s *signer) statement(ctx context.Context, nonce string) ([]byte, error) {
	s.asked++
	if s.refuse != nil {
		if err := s.refuse(s.asked); err != nil {
			return nil, err
		}
	}
	if wait := 2*time.Second - time.Since(s.last); wait > 0 && !s.last.IsZero() {
		return nil, Busy{wait}
	}
	s.last = time.Now()
	body, err := s.get(ctx)
	if err != nil {
		return nil, err
	}
	var state map[string]any
	if err := json.Unmarshal(body, &state); err != nil {
		return nil, err
	}
	state["format"], state["nonce"], state["time"] = 1, nonce, time.Now()
	text, err := json.Marshal(state)
	if err != nil {
		return nil, err
	}
	own := s.own
	if s.use != nil {
		own = s.use(s.asked)
	}
	signature, err := statement.Sign(statement.Measurement, text, own.key, own.der)
	if err != nil {
		return nil, err
	}
	return json.Marshal(statement.Statement{Text: string(text), Signature: signature})
}

// runSigned takes a receiver that signs through an acceptance.
func runSigned(t *testing.T, s *signer, change func(*Config)) (*accept.Report, string, error) {
	t.Helper()
	s.own = identities()[0]
	return run(t, s.pair, func(c *Config) {
		c.Statement, c.Challenge = s.statement, [16]byte{1}
		if change != nil {
			change(c)
		}
	})
}

// verified is the report as it is read from its file.
func verified(t *testing.T, r *accept.Report) (*accept.Verified, error) {
	t.Helper()
	out, err := accept.Sign(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := accept.Verify(bytes.NewReader(out.JSON))
	if err != nil {
		return nil, err
	}
	return v, v.VerifyTexts()
}

func TestAnAcceptanceThatRXSigns(t *testing.T) {
	out := [2]time.Duration{90 * time.Second, 105 * time.Second}
	skip := func(c *Config) { c.NoCarrier = "skipped" }
	for name, c := range map[string]struct {
		pair    pair
		change  func(*Config)
		verdict string
		least   int // statements
	}{
		"a one-way link":       {pair{dark: out}, nil, accept.VerdictPass, 25},
		"a back-channel":       {pair{received: 100}, skip, accept.VerdictFail, 25},
		"TX stops in the dark": {pair{dark: out, stops: true}, nil, accept.VerdictFail, 25},
		"a board":              {pair{board: true}, skip, accept.VerdictRemarks, 25},
		"heliorx is restarted in the dark": {pair{dark: out, restart: 97 * time.Second}, nil,
			accept.VerdictRemarks, 25},
		"TX's counts do not cross":         {pair{stuck: true}, skip, accept.VerdictRemarks, 25},
		"TX is restarted before it counts": {pair{again: true}, skip, accept.VerdictRemarks, 25},
		"an odd length": {pair{}, func(c *Config) { skip(c); c.Length = 61 * time.Second },
			accept.VerdictRemarks, 25},
		"two hours": {pair{}, func(c *Config) { skip(c); c.Length = 2 * time.Hour }, accept.VerdictRemarks,
			signedShare},
	} {
		t.Run(name, func(t *testing.T) {
			length := time.Duration(0)
			r, said, err := runSigned(t, &signer{pair: &c.pair}, func(cfg *Config) {
				if c.change != nil {
					c.change(cfg)
				}
				length = cfg.Length
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := r.To.Sub(r.From); got < length || got > length+5*time.Second {
				t.Errorf("what is signed is of %s, want %s", got, length)
			}
			if n := r.Evidence.Statements(); r.Verdict != c.verdict || n < c.least || n > signedShare+60 {
				t.Errorf("got %s, %d statements, %+v; want %s", r.Verdict, n, r.Findings, c.verdict)
			}
			if !strings.Contains(said, "RX signs what it measures") {
				t.Errorf("the user cannot see it: %s", said)
			}
			if v, err := verified(t, r); err != nil || v.Verdict != c.verdict {
				t.Errorf("verify: %v", err)
			}
		})
	}
}

// Others ask for statements all the time, from the same address: RX signs for one client at a time.
func TestAnRXThatSignsForOthersForATime(t *testing.T) {
	for name, c := range map[string]struct {
		from, to time.Duration // others ask
		want     string        // in the error
		least    int           // statements
	}{
		"at the start":                {0, 25 * time.Second, "", 25},
		"in the middle":               {20 * time.Second, 45 * time.Second, "", 14},
		"at the end":                  {40 * time.Second, 85 * time.Second, "", 18},
		"for more than a measurement": {0, 62 * time.Second, "signed for other clients only", 0},
		"for nearly all of it": {5 * time.Second, 65 * time.Second, "the report takes at " +
			"least 7", 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := &pair{}
			r, _, err := runSigned(t, &signer{pair: p, refuse: func(int) error {
				if gone := time.Since(p.start); gone >= c.from && gone < c.to {
					return Busy{2 * time.Second}
				}
				return nil
			}}, func(c *Config) { c.NoCarrier = "skipped" })
			if c.want != "" || err != nil {
				if err == nil || c.want == "" || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				return
			}
			if n := r.Evidence.Statements(); n < c.least || r.To.Sub(r.From) < time.Minute {
				t.Errorf("got %d statements of %s, want %d of a minute", n, r.To.Sub(r.From), c.least)
			}
			if _, err := verified(t, r); err != nil {
				t.Errorf("verify: %v", err)
			}
		})
	}
}

func TestAnRXThatDoesNotSign(t *testing.T) {
	older := errors.New("connection reset")
	for name, c := range map[string]struct {
		refuse func(asked int) error
		use    func(asked int) identity
		reason string // of the report without a signature
		want   string // in the error
	}{
		"of an older release": {func(int) error { return NoStatement{"an older release"} }, nil, "an older release",
			""},
		"busy at times": {func(asked int) error {
			if asked%3 > 0 {
				return Busy{2 * time.Second}
			}
			return nil
		}, nil, "", ""},
		"busy all the time": {func(int) error { return Busy{time.Second} }, nil, "",
			"signed for other clients only"},
		"not reached at times": {func(asked int) error { return []error{older, nil}[asked%2] }, nil, "", ""},
		"that stops to sign": {func(asked int) error { return []error{nil, NoStatement{"no key"}}[asked/9%2] }, nil,
			"", "no key"},
		"with another key soon": {nil, func(asked int) identity { return identities()[asked/9%2] }, "",
			"another certificate now"},
	} {
		t.Run(name, func(t *testing.T) {
			skip := func(c *Config) { c.NoCarrier = "skipped" }
			r, _, err := runSigned(t, &signer{pair: &pair{}, refuse: c.refuse, use: c.use}, skip)
			if c.want != "" || err != nil {
				if err == nil || c.want == "" || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
				return
			}
			if r.Unsigned != c.reason || (r.Evidence == nil) != (c.reason != "") {
				t.Errorf("got %q, %v; want %q", r.Unsigned, r.Evidence, c.reason)
			}
			if _, err := verified(t, r); (err == nil) != (c.reason == "") {
				t.Errorf("verify: %v", err)
			}
		})
	}
}

// TestAMeasurementEndsWithASignedSample has each answer take a while, so that one that was asked
// for before the end of the measurement comes after it.
func TestAMeasurementEndsWithASignedSample(t *testing.T) {
	for length := 20 * time.Second; length < 24*time.Second; length += 500 * time.Millisecond {
		s := &signer{pair: &pair{}}
		r, said, err := runSigned(t, s, func(c *Config) {
			get := c.Get
			c.NoCarrier, c.Length = "skipped", length
			c.Get = func(ctx context.Context) ([]byte, error) {
				time.Sleep(700 * time.Millisecond)
				return get(ctx)
			}
		})
		if err != nil {
			t.Fatal(err, said)
		}
		if _, err := verified(t, r); err != nil {
			t.Errorf("%s: %v", length, err)
		}
	}
}
