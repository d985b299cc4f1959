package archtest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestEachRuleOfStyleCanFail(t *testing.T) {
	file := func(rest string) string { return "// Package p is a package.\npackage p\n\n" + rest + "\n" }
	tag := "type t struct {\n\tfield int `help:\"" + strings.Repeat("x", maxColumns) + "\"`\n}"
	for name, c := range map[string]struct{ path, text, want string }{
		"short lines":      {"tools/x/a.go", file("// " + strings.Repeat("x", maxColumns-3)), ""},
		"long line":        {"tools/x/a.go", file("// " + strings.Repeat("x", maxColumns-2)), "a.go:4: 121 columns"},
		"long line, runes": {"tools/x/a.go", file("// " + strings.Repeat("▶", maxColumns-3)), ""},
		"long line, tabs": {"tools/x/a.go", file("func f() {\n\t// " + strings.Repeat("x", maxColumns-6) + "\n}"),
			"a.go:5: 121"},
		"long line in test": {"tools/x/a_test.go", file("// " + strings.Repeat("x", maxColumns)), "columns"},
		"long struct tag":   {"tools/x/a.go", file(tag), ""},
		"long function": {"tools/x/a.go", file("func f() {\n" + strings.Repeat("\tf()\n", maxBody-1) + "}"),
			"a.go:4: f has 61 lines"},
		"function of a screen": {"tools/x/a.go", file("func f() {\n" + strings.Repeat("\tf()\n", maxBody-2) + "}"), ""},
		"three results":        {"tools/x/a.go", file("func f() (a, b int, err error) { return }"), ""},
		"four results": {"tools/x/a.go", file("func f() (a, b, c int, err error) { return }"),
			"a.go:4: a function with 4"},
		"four results in test": {"tools/x/a_test.go", file("func f() (a, b, c int, err error) { return }"),
			"a_test.go:4: a function with 4"},
		"results of a value": {
			"tools/x/a.go", file("var f func() (int, int, int, error)"), "a function with 4 results",
		},
		"log": {"tools/x/a.go",
			file(`func f() { log.Warn("a", "channel", c, "state", s, "error", err, "retry", w, "peer", p) }`), ""},
		"log, error behind": {"tools/x/a.go", file(`func f() { log.Error("a", "peer", p, "error", err) }`),
			`a.go:4: attribute "error" of a log stands after "peer"`},
		"log, disorder":         {"tools/x/a.go", file(`func f() { log.Info("a", "state", s, "channel", c) }`), `after "state"`},
		"log of a level":        {"tools/x/a.go", file(`func f() { log.Log(ctx, l, "a", "b", 1, "retry", w) }`), `"retry"`},
		"log with a reason":     {"tools/x/a.go", file(`func f() { log.Debug("a", "reason", err) }`), "say error"},
		"log that is made up":   {"tools/x/a.go", file(`func f() { log.Warn("ntp: " + s) }`), "is not constant"},
		"beside the rooms":      {"firmware/clock/a.go", file(""), "not in a room of firmware"},
		"word in a comment":     {"tools/x/a.go", file("// The LED winks."), `"winks": say blink`},
		"word in a text":        {"tools/x/a_test.go", file("const s = \"a mended link\""), `"mended": say fix`},
		"word within one":       {"tools/x/a.go", file("// An amendment."), ""},
		"word in a name":        {"tools/x/a.go", file("func lastHeard() {}"), `"Heard": say receive`},
		"word in a test's name": {"tools/x/a_test.go", file("func TestItSpeaksOnce() {}"), `"Speaks": say send`},
		"word across two":       {"tools/x/a_test.go", file("func TestANewKey() {}"), ""},
		"word in a field of JSON": {
			"tools/x/a.go", file("type t struct {\n\tfield int `json:\"heard\"`\n}"), "",
		},
		"word in another tag": {
			"tools/x/a.go", file("type t struct {\n\tfield int `help:\"Frames heard.\"`\n}"), `"heard": say receive`,
		},
		"word of text": {"tools/x/a.go", file("// It is written anew."), `"anew": say again`},
		"word of two":  {"tools/x/a.go", file("// The peer is sent away."), `"sent away": say closed`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Check(fstest.MapFS{c.path: &fstest.MapFile{Data: []byte(c.text)}}, "heliograph")
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(got, "\n")
			if c.want == "" && all != "" || !strings.Contains(all, c.want) {
				t.Errorf("got %q, want %q", all, c.want)
			}
		})
	}
}

// TestNoBinaryFileIsTracked: what is made from sources is made again, and what is not
// made from sources cannot be reviewed. Golden vectors in testdata may be binary.
func TestNoBinaryFileIsTracked(t *testing.T) {
	list, err := exec.Command("git", "-C", root, "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("not proved: that no binary file is tracked, because git cannot list the files: %v", err)
	}
	files := strings.Split(strings.Trim(string(list), "\x00"), "\x00")
	for _, name := range files {
		if strings.Contains(name, "/testdata/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			continue // deleted, and not yet committed
		}
		if bytes.IndexByte(text, 0) >= 0 {
			t.Errorf("%s is a binary file; keep its source, or write it as text", name)
		}
	}
	if len(files) < 100 {
		t.Errorf("got %d files: this test sees too little", len(files))
	}
}
