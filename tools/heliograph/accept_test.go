package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/opcua/pki"
	"heliograph/tools/accept"
)

// receiver is a status port of heliorx, at which 1000 frames arrive with each request, and of
// which some are missing.
func receiver(t *testing.T, missing uint64) *httptest.Server {
	var asked atomic.Uint64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status.json" { // of an older release
			http.NotFound(w, r)
			return
		}
		if name, password, given := r.BasicAuth(); given && (name != "ann" || password != "secret") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		n := asked.Add(1)
		fmt.Fprintf(w,
			`{"role":"rx","pair":"press-hall","uptime_seconds":%d,"link":{"medium":"udp","epoch":1,"frames":%d,"bytes":%d},
			"transmitter":{"link_received":"{\"interface\":0,\"reading\":%d}"},"measurement":{"sequence":%d,"expected":%d,
			"missing":%d,"bursts":{"bounds":[1],"counts":[%d,0]},"delay":{"bounds":[1],"counts":[%d,0]}}}`,
			n, n*(1000-missing), n*1000, n, n*1000, n*1000, n*missing, n*missing, n)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestAcceptWritesAReportOnce(t *testing.T) {
	for name, c := range map[string]struct {
		missing uint64
		code    int
		verdict string
	}{
		"a good link": {0, 0, "PASS WITH REMARKS"},
		"a bad link":  {200, 1, "FAIL"},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := receiver(t, c.missing), t.TempDir()
			page := filepath.Join(dir, "hall.html")
			password := filepath.Join(dir, "password")
			if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"accept", "--rx", strings.Replace(s.URL, "//", "//ann@", 1), "--password-file", password,
				"--length", "1s", "--skip-carrier-test", "-o", page}
			code, stdout, stderr := call(t, "", args...)
			if code != c.code || !strings.Contains(stdout, c.verdict+"\n") || !strings.Contains(stderr, "not signed") {
				t.Errorf("got %d, %s%s; want %d, %s", code, stdout, stderr, c.code, c.verdict)
			}
			if b, err := os.ReadFile(page); err != nil || !strings.Contains(string(b), c.verdict) {
				t.Errorf("the page does not say %s: %v", c.verdict, err)
			}
			if code, _, stderr := call(t, "", args...); code != 1 || !strings.Contains(stderr, "never overwritten") {
				t.Errorf("again: got %d, %s", code, stderr)
			}
			code, _, stderr = call(t, "", "accept", "verify", strings.Replace(page, ".html", ".json", 1))
			if code != 1 || !strings.Contains(stderr, "is not signed") {
				t.Errorf("verify: got %d, %s", code, stderr)
			}
		})
	}
}

func TestAcceptSignsWithTheKeyOfTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	if err := pairkey.Create(filepath.Join(dir, "pair.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("rx.toml"), []byte(config.MinimalRX()), 0o600); err != nil {
		t.Fatal(err)
	}
	s := receiver(t, 0)
	args := []string{"accept", "--config", at("rx.toml"), "--rx", s.URL, "--length", "1s", "--skip-carrier-test", "-o",
		at("hall.html")}
	if code, _, stderr := call(t, "", args...); code != 1 ||
		!strings.Contains(stderr, "heliograph cert new --config "+at("rx.toml")) {
		t.Errorf("without a key: got %d, %s", code, stderr)
	}
	if code, _, stderr := call(t, "", "cert", "new", "--config", at("rx.toml")); code != 0 {
		t.Fatal(stderr)
	}
	if code, _, stderr := call(t, "", args...); code != 0 {
		t.Fatal(stderr)
	}
	for _, name := range []string{"hall.json", "hall.html"} {
		code, stdout, stderr := call(t, "", "accept", "verify", at(name))
		if code != 0 || !strings.Contains(stdout, "thumbprint") {
			t.Errorf("%s: got %d, %s%s", name, code, stdout, stderr)
		}
	}
	_, shown, _ := call(t, "", "cert", "show", "--config", at("rx.toml"))
	own := strings.Fields(strings.Split(shown, "\n")[1])[1]
	for thumbprint, code := range map[string]int{own: 0, strings.ToLower(own[:20]) + ":" + own[20:]: 0,
		strings.Repeat("0", 40): 1, strings.Repeat("0", 64): 1, own[:39]: 2, "x": 2} {
		if got, stdout, stderr := call(t, "", "accept", "verify", "--thumbprint", thumbprint,
			at("hall.json")); got != code {
			t.Errorf("--thumbprint %s: got %d, %s%s; want %d", thumbprint, got, stdout, stderr, code)
		}
	}
	if err := os.WriteFile(at("hall.html"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := call(t, "", "accept", "verify", at("hall.json")); code != 1 ||
		!strings.Contains(stderr, "not the page") {
		t.Errorf("another page: got %d, %s", code, stderr)
	}
}

// TestAcceptNamesAHeliorxOfAnotherPair has one answer at the configuration's own port.
func TestAcceptNamesAHeliorxOfAnotherPair(t *testing.T) {
	s, dir := receiver(t, 0), t.TempDir()
	if err := pairkey.Create(filepath.Join(dir, "pair.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(s.URL, "http://")
	text := strings.Replace(config.MinimalRX(), `"press-hall"`, `"other-hall"`, 1)
	text = regexp.MustCompile(`(?s)(\[status\].*?listen *= *")[^"]*`).ReplaceAllString(text, "${1}"+address)
	file := filepath.Join(dir, "rx.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := call(t, "", "cert", "new", "--config", file); code != 0 {
		t.Fatal(stderr)
	}
	code, _, stderr := call(t, "", "accept", "--config", file, "--length", "1s", "--probes", "0", "--skip-carrier-test",
		"-o", filepath.Join(dir, "hall.html"))
	if code != 1 || !strings.Contains(stderr, `heliorx at `+address+` is of pair "press-hall"`) {
		t.Errorf("got %d, %s; want 1, and its address", code, stderr)
	}
}

func TestAcceptSaysWhatIsWrongWithItsFlags(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "rx.toml")
	if err := os.WriteFile(broken, []byte("[\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	page, tx := filepath.Join(dir, "a.html"), filepath.Join(dir, "tx.toml")
	if err := errors.Join(os.WriteFile(tx, []byte(config.MinimalTX()), 0o600),
		pairkey.Create(filepath.Join(dir, "pair.key"), pairkey.New())); err != nil {
		t.Fatal(err)
	}
	lone := filepath.Join(dir, "alone.html")
	if err := os.WriteFile(lone, []byte("<html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing":                     {nil, 2, "--config FILE"},
		"no file":                     {[]string{"--rx", "rx-1"}, 2, "name the report"},
		"a report without a page":     {[]string{"--rx", "rx-1", "-o", "a.pdf"}, 2, "name the report"},
		"no time":                     {[]string{"--rx", "rx-1", "-o", page, "--minutes", "0"}, 2, "--minutes"},
		"a time that is no number":    {[]string{"--rx", "rx-1", "-o", page, "--minutes", "NaN"}, 2, "from 0.1"},
		"no folder":                   {[]string{"--rx", "rx-1", "-o", dir + "/none/a.html"}, 1, "no file can be made"},
		"the file of heliotx":         {[]string{"--config", tx, "-o", page}, 2, "name heliorx's"},
		"a file without --config":     {[]string{"rx.toml"}, 2, "write --config rx.toml"},
		"probes below 0":              {[]string{"--rx", "rx-1", "-o", page, "--probes", "-1"}, 2, "--probes"},
		"an argument":                 {[]string{"now"}, 2, "unknown command"},
		"an address that is none":     {[]string{"--rx", "ftp://x", "-o", page}, 2, "not known"},
		"a certificate that is none":  {[]string{"--rx", "rx-1", "-o", page, "--trust", "7"}, 2, "--trust"},
		"a configuration with faults": {[]string{"--config", broken, "-o", page}, 78, "not valid TOML"},
		"no configuration":            {[]string{"--config", dir + "/none.toml", "-o", page}, 78, "file not found"},
		"no heliorx":                  {[]string{"--rx", closed.URL, "-o", page}, 1, "connection refused"},
		"verify of nothing":           {[]string{"verify"}, 2, "verify REPORT"},
		"verify of a page alone":      {[]string{"verify", lone}, 1, "the signature is in alone.json"},
		"verify of another file":      {[]string{"verify", broken}, 1, "is not the JSON file of an acceptance"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := call(t, "", append([]string{"accept"}, c.args...)...)
			if code != c.code || !strings.Contains(stdout+stderr, c.want) {
				t.Errorf("got %d, %s%s; want %d, %q", code, stdout, stderr, c.code, c.want)
			}
		})
	}
}

// TestVerifyComparesEachCertificate has another board's key sign the report of what RX has signed.
func TestVerifyComparesEachCertificate(t *testing.T) {
	text, err := os.ReadFile("../accept/testdata/report.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := accept.Verify(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	store, err := pki.Open(pki.Config{Directory: dir, Application: pki.Application{URI: "urn:y", Name: "another"}})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := accept.Sign(&v.Report, store.Own())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "hall.json")
	if err := os.WriteFile(path, signed.JSON, 0o600); err != nil {
		t.Fatal(err)
	}
	another := pki.Thumbprint(store.Own().Certificate.Raw)
	for _, thumbprint := range []string{another, pki.Thumbprint(v.Measured.Raw)} {
		code, stdout, stderr := call(t, "", "accept", "verify", "--thumbprint", thumbprint, path)
		if code != 1 || !strings.Contains(stderr, "and not of "+thumbprint) {
			t.Errorf("--thumbprint %s: got %d, %s%s", thumbprint, code, stdout, stderr)
		}
	}
}

// A report that another version made says who has signed what, and is judged again.
func TestVerifyOfAnotherVersionsReport(t *testing.T) {
	text, err := os.ReadFile("../accept/testdata/report.json")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "hall.json")
	for name, c := range map[string]struct {
		old, new string
		args     []string
		code     int
		want     []string
	}{
		"as it is": {"", "", nil, 0, []string{"PASS of hall",
			"measured and signed by CN=Heliograph rx (hall), thumbprint ",
			": 17 statements, the first at 2026-11-29 12:00:00 UTC by its clock",
			"the figures follow from what was signed",
			"are of heliograph \"test\", and were not compared by unknown, whose verdict is PASS",
			"not signed: the date", "there is no page beside it", "compare the thumbprint"}},
		"for a program": {"", "", []string{"--json"}, 0, []string{`"judged":"PASS"`, `"statements":17`,
			`"texts_compared":false`}},
		"another figure": {`"missing": 0`, `"missing": 3`, nil, 1,
			[]string{"does not follow from what RX signed"}},
		"words of this version": {`"tool": "test"`, `"tool": "unknown"`, nil, 1, []string{"names another page"}},
		"a verdict that is worse": {`"verdict": "PASS"`, `"verdict": "FAIL"`, nil, 0, []string{
			"PASS of hall", "the report itself says FAIL"}},
		"a verdict that is better": {`"silent_seconds": 0`, `"silent_seconds": 30`, nil, 1, []string{
			"FAIL of hall", "the report itself says PASS"}},
		"a better one, for a program": {`"silent_seconds": 0`, `"silent_seconds": 30`, []string{"--json"}, 1,
			[]string{`"verdict":"FAIL"`, `"report_verdict":"PASS"`}},
		"a verdict that is none": {`"verdict": "PASS"`, `"verdict": "PASS of hall\nPASS"`, nil, 1,
			[]string{"is not the JSON file of an acceptance"}},
		"a version that forges a line": {`"tool": "test"`, `"tool": "test\nsigned by\u001b[1m"`, nil, 1,
			[]string{"is not the JSON file of an acceptance"}},
		"the thumbprint of none": {"", "", []string{"--thumbprint", strings.Repeat("0", 64)}, 1,
			[]string{"and not of 00"}},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(string(text), c.old, c.new, 1)
			if c.old != "" && changed == string(text) {
				t.Fatal("the text was not changed")
			}
			if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := call(t, "", append([]string{"accept", "verify", path}, c.args...)...)
			for _, want := range c.want {
				if code != c.code || !strings.Contains(stdout+stderr, want) {
					t.Errorf("got %d, %s%s; want %d, %q", code, stdout, stderr, c.code, want)
				}
			}
		})
	}
}
