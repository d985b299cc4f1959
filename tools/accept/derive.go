package accept

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"heliograph/firmware/platform/statement"
)

// Our own choices.
const (
	mostProofs = 4000
	// rounding is the share by which a figure may differ that another processor has computed:
	// some multiply and add in one step.
	rounding = 1e-9
)

// derived makes a report again of what RX has signed, and of what only the computer that
// asked knows: when it was, what it sent, the longest silence between two statements, and why a
// step was not done.
func (r *Report) derived() (*Report, *x509.Certificate, error) {
	e := r.Evidence
	if len(e.Light) < 2 || e.Statements() > mostProofs {
		return nil, nil, errors.New("the report has not the statements of RX that a measurement takes")
	}
	if len(e.Certificate) > statement.MaxCertificate {
		return nil, nil, statement.ErrCertificate
	}
	c, err := x509.ParseCertificate(e.Certificate)
	if err != nil {
		return nil, nil, statement.ErrCertificate
	}
	w := &Witness{challenge: e.Challenge, certificate: c}
	var light, probe, dark []Sample
	for _, part := range []struct {
		proofs []Proof
		to     *[]Sample
	}{{e.Light, &light}, {e.Probe, &probe}, {e.Dark, &dark}} {
		for _, p := range part.proofs {
			s, err := w.verified(r, p)
			if err != nil {
				return nil, nil, err
			}
			*part.to = append(*part.to, s)
		}
	}
	silence := r.Window.Silent
	if signed := silent(light); silence < signed*(1-rounding) {
		return nil, nil, fmt.Errorf("the report says that no frame arrived for %v s at most, and by what RX signed it "+
			"was %v s", silence, signed)
	}
	reverse, carrier := r.Reverse, Carrier{Reason: r.Carrier.Reason}
	if len(probe) == 0 || len(probe) > 2 || len(dark) != 0 && len(dark) != 2 {
		return nil, nil, errors.New("the report has not the statements of RX that the reverse probe and the carrier " +
			"test take")
	}
	reverse.Counted(&light[len(light)-1], &probe[0], &probe[len(probe)-1])
	if len(dark) == 2 {
		carrier = JudgeCarrier(light, &dark[0], &dark[1])
	}
	d, err := newReport(r.Tool, light, silence, reverse, carrier)
	return d, c, err
}

// verified reads the next proof of a report.
func (w *Witness) verified(r *Report, p Proof) (Sample, error) {
	if p.Number <= w.asked {
		return Sample{}, errors.New("the statements of RX are not in the order in which it was asked")
	}
	w.asked = p.Number
	if len(p.Text) > statement.MaxText ||
		statement.VerifyBy(w.certificate, statement.Measurement, []byte(p.Text), p.Signature) != nil {
		return Sample{}, fmt.Errorf("statement %d was not signed by the key of the certificate: it was changed, or is "+
			"of another board", p.Number)
	}
	s, err := w.read(r.From, p)
	if err != nil {
		return s, fmt.Errorf("statement %d of RX: %w", p.Number, err)
	}
	return s, nil
}

// judged are the parts of a report that another version of this program may word, judge or
// recommend in another way. All others are figures.
func judged() []string { return []string{"findings", "verdict", "recommendation", "repeat_by"} }

// follows returns which part of a report is another one in the report that was derived: among
// the figures, or among all.
func (r *Report) follows(d *Report, all bool) error {
	var trees [2]map[string]any
	for i, one := range []Report{*r, *d} {
		one.Evidence, one.Page, one.Signer, one.Unsigned = nil, "", "", ""
		b, err := json.Marshal(one)
		if err != nil {
			return err
		}
		numbers := json.NewDecoder(bytes.NewReader(b))
		numbers.UseNumber()
		if err := numbers.Decode(&trees[i]); err != nil {
			return err
		}
		for _, key := range judged() {
			if !all {
				delete(trees[i], key)
			}
		}
	}
	if path := differs(trees[0], trees[1]); path != "" {
		return fmt.Errorf("%s in the report does not follow from what RX signed", path[1:])
	}
	return nil
}

// differs returns the path of the first value that is not in both trees, "" for none.
func differs(a, b any) string {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok {
			return "."
		}
		keys := maps.Clone(a)
		maps.Copy(keys, b)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if path := differs(a[key], b[key]); path != "" {
				return "." + key + strings.TrimSuffix(path, ".")
			}
		}
		return ""
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return "."
		}
		for i := range a {
			if path := differs(a[i], b[i]); path != "" {
				return fmt.Sprintf("[%d]%s", i, strings.TrimSuffix(path, "."))
			}
		}
		return ""
	case json.Number:
		if b, ok := b.(json.Number); ok && alike(a.String(), b.String()) {
			return ""
		}
		return "."
	}
	if a != b {
		return "."
	}
	return ""
}

// alike says whether two numbers are equal, but for the rounding of those that are no counts.
func alike(a, b string) bool {
	if a == b || !strings.ContainsAny(a+b, ".e") {
		return a == b
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && math.Abs(x-y) <= rounding*max(math.Abs(x), math.Abs(y))
}
