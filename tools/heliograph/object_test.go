package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/tools/crawl"
)

var jsonName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// object reads what --json printed and fails on what jsonFlag does not allow.
func object(t *testing.T, printed string) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(printed), &o); err != nil {
		t.Fatalf("%v in %q", err, printed)
	}
	var look func(at string, v any)
	look = func(at string, v any) {
		switch v := v.(type) {
		case nil:
			t.Errorf("%s is null", at)
		case map[string]any:
			for name, inner := range v {
				if !jsonName.MatchString(name) {
					t.Errorf("%s has the name %q; want lower case and _", at, name)
				}
				look(at+"."+name, inner)
			}
		case []any:
			for _, inner := range v {
				look(at+"[]", inner)
			}
		}
	}
	look("", o)
	return o
}

func asked(t *testing.T, code int, args ...string) map[string]any {
	t.Helper()
	got, stdout, stderr := call(t, "", append(args, "--json")...)
	if got != code {
		t.Fatalf("%q: code %d, want %d; %s%s", args, got, code, stdout, stderr)
	}
	return object(t, stdout)
}

// has looks for text in an object, as it would be printed again.
func has(t *testing.T, o map[string]any, want ...string) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		if !strings.Contains(string(text), w) {
			t.Errorf("got %s, want %s in it", text, w)
		}
	}
}

func TestAProgramGetsObjects(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{"tx.toml": config.MinimalTX(), "rx.toml": config.MinimalRX(),
		"bad.toml": "pair = 3\n"} {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := pairkey.Create(at("pair.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := call(t, "", "cert", "new", "--config", at("rx.toml"), "--host", "gateway"); code != 0 {
		t.Fatal(stderr)
	}
	has(t, asked(t, 0, "version"), `"version":"unknown"`)
	has(t, asked(t, 0, "check", at("tx.toml"), at("rx.toml")), `"ok":true`, `"faults":[]`, `"warnings":[]`, "rx.toml")
	has(t, asked(t, 78, "check", at("bad.toml")), `"ok":false`, `"line":1`, `"message":"`)
	has(t, asked(t, 0, "key", "show", "--config", at("rx.toml")), `"role":"rx"`, `"used":"`)
	has(t, asked(t, 0, "epoch", "show", "--config", at("rx.toml")), `"role":"rx"`, `"refused":[]`)
	has(t, asked(t, 0, "cert", "show", "--config", at("rx.toml")), `"kind":"own"`, `"thumbprint":"`, `"gateway"`)
	has(t, asked(t, 0, "trust", "list", "--config", at("rx.toml")), `"certificates":[{`, `"expires":"20`)
	has(t, asked(t, 0, "update", "show", smallCard(t, "")), `"set":"a"`, `"committed":true`, `"fault":"`)
	has(t, asked(t, 0, "version", "--image", smallCard(t, "")), `"role":"tx"`, `"board":"virt"`, `"release":1`)
}

func TestAProgramGetsChecksAndDifferences(t *testing.T) {
	text, err := json.Marshal(map[string]any{"checks": boardChecks(
		"pass        sandbox: 12 rules\nFAIL        clock: not set\nnot proved  wire: by eye\n1 passed, 1 failed\n")})
	if err != nil {
		t.Fatal(err)
	}
	has(t, object(t, string(text)), `{"check":"sandbox","found":"12 rules","verdict":"pass"}`, `"verdict":"fail"`,
		`"verdict":"not proved"`)

	var out strings.Builder
	if err := printDifferences(&out, []crawl.Difference{{What: "is at the mirror alone"}}, 5, true); err != nil {
		t.Fatal(err)
	}
	has(t, object(t, out.String()), `"nodes":5`, `"what":"is at the mirror alone"`)
}
