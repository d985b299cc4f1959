package accept

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/statement"
)

// Evidence is what RX has signed of what a report says: RX measures, and this program asks.
//
// The nonce of statement n is made of the challenge and n, so that no statement of another
// report fits, nor one in another place. The challenge is random, and no one else knows it until
// the report is written, so that no answer was recorded earlier.
type Evidence struct {
	Challenge   string  `json:"challenge"`       // hexadecimal
	Certificate []byte  `json:"certificate"`     // DER, of the key that has signed all
	Light       []Proof `json:"light"`           // of the measurement, oldest first
	Probe       []Proof `json:"probe,omitempty"` // after the last probe, and with what TX counted later
	Dark        []Proof `json:"dark,omitempty"`  // carrier test: the last one with light before, and the one after
}

// Proof is a statement of RX.
type Proof struct {
	Number    uint32 `json:"number"` // of its nonce
	Text      string `json:"statement"`
	Signature []byte `json:"signature"`
}

// Thumbprint is that of the certificate.
func (e *Evidence) Thumbprint() string { return pki.Thumbprint(e.Certificate) }

// Statements is how many statements there are.
func (e *Evidence) Statements() int { return len(e.Light) + len(e.Probe) + len(e.Dark) }

// nonce is that of question n.
func nonce(challenge string, n uint32) string {
	sum := sha256.Sum256(binary.BigEndian.AppendUint32([]byte("heliograph acceptance "+challenge+" "), n))
	return hex.EncodeToString(sum[:16])
}

// Witness asks RX for statements, and verifies each.
type Witness struct {
	challenge   string
	asked       uint32
	certificate *x509.Certificate // of the first answer; nil: there was none
	first       *Sample           // which the times of all count from
}

// NewWitness returns one with a challenge of 16 random bytes.
func NewWitness(challenge [16]byte) *Witness {
	return &Witness{challenge: hex.EncodeToString(challenge[:])}
}

// Thumbprint is that of the certificate that signs.
func (w *Witness) Thumbprint() string { return pki.Thumbprint(w.certificate.Raw) }

// Nonce returns the nonce of the next question.
func (w *Witness) Nonce() string {
	w.asked++
	return nonce(w.challenge, w.asked)
}

// Answer reads the answer to the newest question, which came at a time.
func (w *Witness) Answer(at time.Time, answer []byte) (Sample, error) {
	s, err := statement.Decode(answer)
	if err != nil {
		return Sample{}, fmt.Errorf("RX: %w", err)
	}
	c, err := s.Signature.Verify(statement.Measurement, []byte(s.Text))
	if err != nil {
		return Sample{}, fmt.Errorf("a statement of RX does not verify: %w", err)
	}
	if w.certificate != nil && !bytes.Equal(w.certificate.Raw, c.Raw) {
		return Sample{}, fmt.Errorf("RX signs with another certificate now (%s, it was %s): measure again",
			pki.Thumbprint(c.Raw), w.Thumbprint())
	}
	w.certificate = c
	return w.read(at, Proof{w.asked, s.Text, s.Signature.Value})
}

// read returns the sample that a proof is, whose signature was verified.
func (w *Witness) read(at time.Time, p Proof) (Sample, error) {
	head, err := statement.ReadHead(p.Text)
	if err != nil {
		return Sample{}, err
	}
	if head.Nonce != nonce(w.challenge, p.Number) {
		return Sample{}, errors.New("a statement has another nonce than it was asked with: it is of another time, or " +
			"of another report")
	}
	s, err := ParseSample(at, []byte(p.Text))
	if err != nil {
		return Sample{}, err
	}
	s.proof, s.signer, s.clock = &p, w, head.Time
	w.Place(&s)
	return s, nil
}

// Place sets the time of a sample to that of the first one and what RX's own clock says has passed
// since: that is in what it signs, and this computer's clock is not. The difference of two uptimes
// is rounded, since a float64 ends a minute a nanosecond early.
func (w *Witness) Place(s *Sample) {
	if w.first == nil {
		first := *s
		w.first = &first
		return
	}
	passed := time.Duration((s.Uptime - w.first.Uptime) * float64(time.Second))
	s.At = w.first.At.Add(passed.Round(time.Microsecond))
}

// Signed says whether RX has signed a sample.
func (s *Sample) Signed() bool { return s.proof != nil }

// signedOnly are the samples that RX has signed.
func signedOnly(samples []Sample) (list []Sample) {
	for _, s := range samples {
		if s.proof != nil {
			list = append(list, s)
		}
	}
	return list
}

// proofs are what RX has signed of samples.
func proofs(samples ...*Sample) (list []Proof) {
	for _, s := range samples {
		if s != nil && s.proof != nil && (len(list) == 0 || list[len(list)-1].Number != s.proof.Number) {
			list = append(list, *s.proof)
		}
	}
	return list
}

// evidence returns that of a measurement; nil where RX has signed nothing.
func evidence(light []Sample, reverse *Reverse, carrier *Carrier) *Evidence {
	if len(light) == 0 || light[0].proof == nil {
		return nil
	}
	w := light[0].signer
	e := &Evidence{Challenge: w.challenge, Certificate: w.certificate.Raw, Probe: reverse.proofs, Dark: carrier.proofs}
	for i := range light {
		e.Light = append(e.Light, *light[i].proof)
	}
	return e
}
