package accept

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/statement"
	"heliograph/firmware/platform/status"
)

// signer is a receiver on whose link 100 frames a second arrive, and which signs. Its fibre is out from
// second 70 to 80.
type signer struct {
	own    *pki.Own
	change func(*status.Statement) // of what it signs
}

// text is what it signs some seconds after the start.
func (r signer) text(t *testing.T, nonce string, seconds float64) []byte {
	t.Helper()
	dark := min(max(seconds-70, 0), 10)
	f := figures{medium: "ethernet", expected: uint64(100 * seconds), missing: uint64(100 * dark), burst: 1000}
	f.repaired = f.missing
	s := f.at(seconds)
	state := status.Statement{Format: 1, Nonce: nonce, Time: start.Add(time.Duration(seconds * 1e9)), Role: "rx",
		Pair: "hall", Version: "2", UptimeSeconds: s.Uptime, Link: s.Link, Measurement: &s.Measurement,
		Transmitter: map[string]string{"version": "2", "link": `{"overhead":0.25,"bytes_per_second":12500000}`,
			"link_received": fmt.Sprintf(`{"interface":0,"reading":%d}`, int(seconds/2))}}
	if r.change != nil {
		r.change(&state)
	}
	b, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// answer is the one to a nonce.
func (r signer) answer(t *testing.T, nonce string, seconds float64) []byte {
	t.Helper()
	text := r.text(t, nonce, seconds)
	s, err := statement.Sign(statement.Measurement, text, r.own.Key, r.own.Certificate.Raw)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(statement.Statement{Text: string(text), Signature: s})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// report takes an acceptance of a minute, with probe and carrier test.
func (r signer) report(t *testing.T, challenge byte) *Report {
	t.Helper()
	w := NewWitness([16]byte{challenge})
	ask := func(seconds float64) Sample {
		s, err := w.Answer(start.Add(time.Duration(seconds*1e9)), r.answer(t, w.Nonce(), seconds))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	var light []Sample
	for seconds := 0.0; seconds <= 60; seconds += 5 {
		light = append(light, ask(seconds))
		unsigned := figures{medium: "ethernet", expected: uint64(100 * (seconds + 1))}.at(seconds + 1)
		if seconds < 60 {
			light = append(light, unsigned)
		}
	}
	reverse := Reverse{Sent: []Means{{Name: "ARP request", Count: 100}}, Left: counter(100)}
	sent, now := ask(62), ask(67)
	reverse.Counted(&light[len(light)-1], &sent, &now)
	before, after := ask(70), ask(81)
	report, err := New("test", light, reverse, JudgeCarrier(light, &before, &after))
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// another is the key of another board.
var another = sync.OnceValues(func() (*pki.Own, error) {
	dir, err := os.MkdirTemp("", "accept")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := pki.Open(pki.Config{Directory: dir, Application: pki.Application{URI: "urn:y", Name: "another"}})
	if err != nil {
		return nil, err
	}
	return s.Own(), nil
})

// rx is a receiver with the board's key.
func rx(t *testing.T) signer {
	t.Helper()
	own, err := board()
	if err != nil {
		t.Fatal(err)
	}
	return signer{own: own}
}

// filed returns a report as it is read from its file.
func filed(t *testing.T, r *Report, own *pki.Own) []byte {
	t.Helper()
	s, err := Sign(r, own)
	if err != nil {
		t.Fatal(err)
	}
	return s.JSON
}

// verdictOf is what verifying a file says.
func verdictOf(file []byte) (*Verified, error) {
	v, err := Verify(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	return v, v.VerifyTexts()
}

func TestAReportThatRXHasSignedVerifies(t *testing.T) {
	r := rx(t)
	for name, own := range map[string]*pki.Own{"without a key": nil, "with the board's key": r.own} {
		t.Run(name, func(t *testing.T) {
			report := r.report(t, 1)
			if report.Verdict != VerdictPass || report.Evidence.Statements() != 13+2+2 {
				t.Fatalf("got %s, %d statements, %+v", report.Verdict, report.Evidence.Statements(), report.Findings)
			}
			v, err := verdictOf(filed(t, report, own))
			if err != nil {
				t.Fatal(err)
			}
			if v.Measured.Subject.CommonName != r.own.Certificate.Subject.CommonName ||
				(v.Certificate == nil) != (own == nil) ||
				v.Judged() != VerdictPass || v.Window.Expected != 6000 || !v.Carrier.Passed {
				t.Errorf("got %+v", v)
			}
			last := v.Findings[len(v.Findings)-1]
			if !strings.Contains(last.Text, "measured and signed by RX") || !strings.Contains(last.Text,
				pki.Thumbprint(r.own.Certificate.Raw)) {
				t.Errorf("got %+v", last)
			}
		})
	}
}

// Each figure is found when it is another one, and so is each word that follows from them. The page
// and its hash are made again, as one who changes a report would.
func TestEachFigureFollowsFromWhatRXHasSigned(t *testing.T) {
	maker := []string{"tool", "page_sha256", "measured.silent_seconds", "reverse_probe.sent", "reverse_probe.left"}
	good, err := json.Marshal(rx(t).report(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	changed := 0
	for _, path := range leaves(t, good) {
		is := func(part string) bool { return strings.HasPrefix(path, part) }
		var report Report
		if is("evidence.") || slices.ContainsFunc(maker, is) || json.Unmarshal(alter(t, good, path), &report) != nil {
			continue // what its maker alone knows, and a time that is none
		}
		changed++
		v, err := Verify(bytes.NewReader(filed(t, &report, nil)))
		if err == nil && slices.ContainsFunc(judged(), is) {
			err = v.VerifyTexts()
		}
		if err == nil {
			t.Errorf("%s: another one is not found", path)
		}
	}
	if changed < 150 {
		t.Errorf("only %d leaves were changed", changed)
	}
}

// leaves are the paths of all values of a JSON text that hold no others.
func leaves(t *testing.T, text []byte) (paths []string) {
	t.Helper()
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	walk(tree, "", func(path string, v any) any { paths = append(paths, path); return v })
	return paths
}

// alter returns the text with another value at a path.
func alter(t *testing.T, text []byte, at string) []byte {
	t.Helper()
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	tree = walk(tree, "", func(path string, v any) any {
		if path != at {
			return v
		}
		switch v := v.(type) {
		case float64:
			return v + 1
		case bool:
			return !v
		case string:
			if moment, err := time.Parse(time.RFC3339Nano, v); err == nil {
				return moment.Add(time.Hour)
			}
			return v + "x"
		}
		return "x"
	})
	b, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// walk replaces the leaves of a tree.
func walk(tree any, path string, leaf func(path string, v any) any) any {
	switch tree := tree.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(tree)) {
			tree[key] = walk(tree[key], strings.TrimPrefix(path+"."+key, "."), leaf)
		}
		return tree
	case []any:
		for i := range tree {
			tree[i] = walk(tree[i], fmt.Sprintf("%s[%d]", path, i), leaf)
		}
		return tree
	}
	return leaf(path, tree)
}

func TestWhatRXDidNotSignIsFound(t *testing.T) {
	r := rx(t)
	foreign, err := another()
	if err != nil {
		t.Fatal(err)
	}
	other := r.report(t, 3).Evidence
	later := signer{r.own, func(s *status.Statement) { s.Format = 2 }}
	for name, c := range map[string]struct {
		change func(*Evidence)
		want   string
	}{
		"the text of a statement": {func(e *Evidence) {
			e.Light[3].Text = strings.Replace(e.Light[3].Text, `"missing":0`, `"missing":9`, 1)
		}, "statement 4 was not signed"},
		"a space in a statement": {func(e *Evidence) { e.Light[3].Text += " " }, "statement 4 was not signed"},
		"two signatures": {func(e *Evidence) {
			e.Light[1].Signature, e.Light[2].Signature = e.Light[2].Signature, e.Light[1].Signature
		}, "statement 2 was not signed"},
		"a signature cut short": {func(e *Evidence) { e.Dark[0].Signature = e.Dark[0].Signature[1:] },
			"statement 16 was not signed"},
		"a statement twice": {func(e *Evidence) { e.Light[2] = e.Light[1] }, "not in the order"},
		"a statement twice, with another number": {func(e *Evidence) {
			e.Light[2] = Proof{e.Light[2].Number, e.Light[1].Text, e.Light[1].Signature}
		},
			"another nonce"},
		"two statements in another order": {func(e *Evidence) { e.Light[1], e.Light[2] = e.Light[2], e.Light[1] },
			"not in the order"},
		"a statement of another report": {func(e *Evidence) { e.Light[4] = other.Light[4] }, "another nonce"},
		"another report's statements": {func(e *Evidence) {
			e.Light, e.Probe, e.Dark = other.Light, other.Probe,
				other.Dark
		}, "another nonce"},
		"another challenge": {func(e *Evidence) { e.Challenge = hex.EncodeToString(make([]byte, 16)) },
			"another nonce"},
		"another certificate": {func(e *Evidence) { e.Certificate = foreign.Certificate.Raw },
			"was not signed by the key"},
		"a large certificate of the same key": {func(e *Evidence) { e.Certificate = padded(t, r.own) }, "malformed"},
		"no certificate":                      {func(e *Evidence) { e.Certificate = nil }, "malformed"},
		"no statements":                       {func(e *Evidence) { e.Light = nil }, "not the statements"},
		"the end cut off":                     {func(e *Evidence) { e.Light = e.Light[:7] }, "does not follow"},
		"the beginning cut off":               {func(e *Evidence) { e.Light = e.Light[1:] }, "does not follow"},
		"no probe":                            {func(e *Evidence) { e.Probe = nil }, "reverse probe"},
		"a probe cut off":                     {func(e *Evidence) { e.Probe = e.Probe[:1] }, "does not follow"},
		"no carrier test":                     {func(e *Evidence) { e.Dark = nil }, "carrier_test"},
		"half a carrier test":                 {func(e *Evidence) { e.Dark = e.Dark[:1] }, "carrier test"},
		"a statement that is large": {func(e *Evidence) {
			e.Light[1].Text = strings.Repeat("x",
				statement.MaxText+1)
		}, "not signed"},
		"too many statements": {func(e *Evidence) { e.Light = make([]Proof, mostProofs) },
			"not the statements"},
		"a later format": {func(e *Evidence) {
			p := &e.Dark[1]
			p.Text = string(later.text(t, nonce(e.Challenge, p.Number), 81))
			s, err := statement.Sign(statement.Measurement, []byte(p.Text), r.own.Key, r.own.Certificate.Raw)
			if err != nil {
				t.Fatal(err)
			}
			p.Signature = s.Value
		}, "use a newer one"},
	} {
		t.Run(name, func(t *testing.T) {
			report := r.report(t, 4)
			c.change(report.Evidence)
			if _, err := verdictOf(filed(t, report, nil)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// padded is a certificate of a key that is larger than any that signs.
func padded(t *testing.T, own *pki.Own) []byte {
	t.Helper()
	c := *own.Certificate
	c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte,
		statement.MaxCertificate)}}
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, &own.Key.PublicKey, own.Key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// What the maker alone knows may not be better than what RX has signed.
func TestASilenceMayOnlyBeLonger(t *testing.T) {
	report := rx(t).report(t, 5)
	report.Window.Silent = 30
	report.Judge()
	if report.Verdict != VerdictFail {
		t.Fatalf("got %s", report.Verdict)
	}
	if _, err := verdictOf(filed(t, report, nil)); err != nil {
		t.Error(err)
	}
	stuck := rx(t)
	stuck.change = func(s *status.Statement) { s.Link.Frames = 1 }
	report = stuck.report(t, 6)
	report.Window.Silent = 0
	report.Judge()
	if _, err := verdictOf(filed(t, report, nil)); err == nil || !strings.Contains(err.Error(), "was 60 s") {
		t.Errorf("got %v", err)
	}
}

// Statements with light show nothing of what TX does in the dark.
func TestTheFibreMustHaveBeenOut(t *testing.T) {
	lit := rx(t)
	lit.change = func(s *status.Statement) { s.Link.Frames = s.Measurement.Sequence }
	report := lit.report(t, 11)
	if c := report.Carrier; c.Done || !strings.Contains(c.Reason, "1100 of the 1100 frames of these 11 s arrived") {
		t.Errorf("got passed %t, %q", c.Passed, c.Reason)
	}
	if _, err := verdictOf(filed(t, report, nil)); err != nil || report.Verdict != VerdictRemarks {
		t.Errorf("got %s, %v", report.Verdict, err)
	}
}

// A link over the loopback is one that RX calls so, where it signs: the maker's word makes no FAIL a remark.
func TestOneMachineIsWhatRXSigned(t *testing.T) {
	for name, c := range map[string]struct {
		loopback bool
		verdict  string
	}{"its maker's word": {false, VerdictFail}, "RX's too": {true, VerdictRemarks}} {
		r := rx(t)
		r.change = func(s *status.Statement) {
			s.Link.Loopback = c.loopback
			s.Transmitter["link_received"] = `{"interface":100,"reading":9}`
		}
		report := r.report(t, 12)
		report.Reverse.OneMachine = true
		v, err := Verify(bytes.NewReader(filed(t, report, nil)))
		if err != nil || v.Judged() != c.verdict {
			t.Errorf("%s: got %v, want %s", name, err, c.verdict)
		}
	}
}

func TestTheReportNamesAClockThatIsWrong(t *testing.T) {
	r := rx(t)
	r.change = func(s *status.Statement) { s.Time = s.Time.Add(-time.Hour) }
	report := r.report(t, 7)
	last := report.Findings[len(report.Findings)-1]
	if last.Level != Remark || !strings.Contains(last.Text, "2026-11-29 11:00:00") {
		t.Errorf("got %+v", last)
	}
	if _, err := verdictOf(filed(t, report, nil)); err != nil {
		t.Error(err)
	}
}

// Uptimes are float64: 4.1 s and a minute later are 59.999999999 s apart.
func TestAMinuteOfRXIsAMinute(t *testing.T) {
	for start := range 1000 {
		w := NewWitness([16]byte{})
		first := Sample{At: time.Unix(1e9, 0), Uptime: float64(start) / 10}
		w.Place(&first)
		later := Sample{Uptime: float64(start+600) / 10}
		w.Place(&later)
		if passed := later.At.Sub(first.At); passed != time.Minute {
			t.Errorf("from %v to %v: %s", first.Uptime, later.Uptime, passed)
		}
	}
}

func TestAWitnessRefuses(t *testing.T) {
	r := rx(t)
	foreign, err := another()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		answer func(nonce string) []byte
		want   string
	}{
		"no statement":    {func(string) []byte { return []byte("<html>") }, "not a signed statement"},
		"another's nonce": {func(string) []byte { return r.answer(t, strings.Repeat("0", 32), 1) }, "another nonce"},
		"another's answer": {func(n string) []byte { return signer{own: foreign}.answer(t, n, 1) },
			"another certificate now"},
		"heliotx": {func(n string) []byte {
			return signer{r.own, func(s *status.Statement) { s.Role = "tx" }}.answer(t, n, 1)
		}, "heliotx"},
	} {
		t.Run(name, func(t *testing.T) {
			w := NewWitness([16]byte{9})
			if _, err := w.Answer(start, r.answer(t, w.Nonce(), 0)); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Answer(start, c.answer(w.Nonce())); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// What RX's board sends as probes is among what it signs, and what anyone else claims is not.
func TestABoardSignsWhatItSent(t *testing.T) {
	r := rx(t)
	r.change = func(s *status.Statement) {
		p := &machine.Probe{Key: "v"}
		if s.UptimeSeconds > 71 && s.Version != "quiet" { // sent after the measurement
			p.Time, p.Sent, p.Left = start, []machine.Means{{Name: "ARP request", Count: 90}}, counter(90)
			p.Reason = "interrupted"
		}
		s.Boards = []status.Board{{Role: "rx", Facts: machine.Facts{Probe: p}}}
	}
	report := r.report(t, 8)
	if r := report.Reverse; r.probes() != 90 || r.Limit != "interrupted" {
		t.Errorf("got %+v, want the 90 probes of the board", r)
	}
	if _, err := verdictOf(filed(t, report, nil)); err != nil {
		t.Error(err)
	}
	quiet := rx(t)
	quiet.change = func(s *status.Statement) { s.Version = "quiet"; r.change(s) }
	report = quiet.report(t, 8)
	if n := report.Reverse.probes(); n != 0 {
		t.Errorf("got %d probes of a board that sent none", n)
	}
	report.Reverse.Sent = []Means{{Name: "ARP request", Count: 100}}
	report.Judge()
	if _, err := verdictOf(filed(t, report, nil)); err == nil || !strings.Contains(err.Error(), "reverse_probe") {
		t.Errorf("probes that no board sent: got %v", err)
	}
	for name, change := range map[string]func(*Reverse){
		"more probes":         func(r *Reverse) { r.Sent = []Means{{Name: "ARP request", Count: 100}} },
		"more that have left": func(r *Reverse) { r.Left = counter(100) },
		"another kind":        func(r *Reverse) { r.Sent = []Means{{Name: "UDP", Count: 90}} },
		"no limit":            func(r *Reverse) { r.Limit = "" },
	} {
		report := r.report(t, 8)
		change(&report.Reverse)
		report.Judge()
		if _, err := verdictOf(filed(t, report, nil)); err == nil || !strings.Contains(err.Error(), "reverse_probe") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

var update = flag.Bool("update", false, "sign the golden report again, with a new key")

const goldenReport = "testdata/report.json"

// golden is the report that is on file.
func golden(t testing.TB) ([]byte, *Verified) {
	t.Helper()
	b, err := os.ReadFile(goldenReport)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Verify(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return b, v
}

// A report that was filed stays one that verifies: its figures are a contract.
func TestTheGoldenReportVerifies(t *testing.T) {
	if *update {
		if err := os.WriteFile(goldenReport, filed(t, rx(t).report(t, 10), nil), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, v := golden(t); v.Verdict != VerdictPass || v.Evidence.Statements() != 17 || v.Window.Expected != 6000 {
		t.Errorf("got %s, %d statements, %+v", v.Verdict, v.Evidence.Statements(), v.Window)
	}
}

// FuzzEvidence has no figure verify that RX has not signed.
func FuzzEvidence(f *testing.F) {
	b, good := golden(f)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Verify(bytes.NewReader(b))
		if err != nil {
			return
		}
		if v.Measured == nil || !v.Measured.Equal(good.Measured) {
			t.Fatalf("verifies by %v", v.Measured)
		}
		v.Window.Silent = good.Window.Silent // may be longer
		if !reflect.DeepEqual(v.Window, good.Window) || !reflect.DeepEqual(v.Errors, good.Errors) ||
			v.Pair != good.Pair || v.Carrier.Passed != good.Carrier.Passed {
			t.Errorf("verifies: %+v", v.Report)
		}
	})
}
