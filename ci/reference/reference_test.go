package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"heliograph/firmware/platform/audit"
)

const root = "../.."

func TestTheReferenceIsFresh(t *testing.T) {
	want, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(document)))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) == want {
		return
	}
	old, now := strings.Split(string(got), "\n"), strings.Split(want, "\n")
	for i := range min(len(old), len(now)) {
		if old[i] != now[i] {
			t.Fatalf("%s is stale: run \"make reference\". Line %d is\n%s\nwant\n%s", document, i+1, old[i], now[i])
		}
	}
	t.Fatalf("%s is stale: run \"make reference\". It has %d lines, want %d", document, len(old), len(now))
}

// TestTheReferenceHasEachKindOfThing names one of each, so that a section that finds
// nothing does not pass for a fresh one.
func TestTheReferenceHasEachKindOfThing(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(document)))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| `[replay] memory` | `\"64MiB\"` |", "| `stale_after` |",
		"| `[mqtt] late_prefix` |", "| `channels.NAME.holes[].", "| `notes[].event` | string |",
		"| `heliograph_channel_sent_records_total` | channel |",
		"| `heliograph_opcua_server_sessions` | channel |", "| `heliograph_link_", "| `heliograph_medium_",
		"| 5 flashes | `LINK LOST` |", "| lit, blinks once a second | `GOOD` |", "| `epoch_regressed` |", "| 78 |"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("there is no %q", want)
		}
	}
}

// kindOf finds what names a kind of event: the first text that a function gets which notes one.
var (
	noting = regexp.MustCompile(`^(Add|AddCount|AddOnce|audit|Audit|auditRepeated|once)$`)
	word   = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
)

func TestEveryAuditEventOfTheCodeIsInTheReference(t *testing.T) {
	known := map[string]bool{}
	for _, k := range audit.Kinds() {
		known[k.Event] = true
		if k.Meaning == "" {
			t.Errorf("%s has no meaning", k.Event)
		}
	}
	found := 0
	for at, kind := range noted(t) {
		found++
		if !known[kind] {
			t.Errorf("%s: %q is not in audit.Kinds", at, kind)
		}
	}
	if found < 25 {
		t.Errorf("found %d events in the code, which cannot be all", found)
	}
}

// noted are the kinds of events that the firmware names, by position.
func noted(t *testing.T) map[string]string {
	kinds, positions := map[string]string{}, token.NewFileSet()
	err := filepath.WalkDir(filepath.Join(root, "firmware"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(p) != ".go" || strings.HasSuffix(p, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(positions, p, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for n := range ast.Preorder(file) {
			call, ok := n.(*ast.CallExpr)
			if !ok || !noting.MatchString(nameOf(call.Fun)) {
				continue
			}
			i := slices.IndexFunc(call.Args, func(e ast.Expr) bool { _, is := e.(*ast.BasicLit); return is })
			if i < 0 || i > 1 || i+1 == len(call.Args) {
				continue
			}
			if kind, ok := text(call.Args[i]); ok && word.MatchString(kind) {
				kinds[positions.Position(call.Pos()).String()] = kind
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return kinds
}

func TestGapsOfAReferenceFileAreNamed(t *testing.T) {
	list := documented("pair = \"a#b\" # the name\n[link]\nmedium = \"udp\" # udp |\n" + strings.Repeat(" ", 12) +
		"# uart\n# Default: udp\nraw = 1 # needs\n" + strings.Repeat(" ", 12) +
		"# CAP_NET_ADMIN\n" + strings.Repeat(" ", 12) + "# Off\nbaud = 1\n" +
		"[[mqtt]]\n# broker = \"x\" # URL\n[[mqtt]]\nbroker = \"y\" # another\n")
	want := []key{{"", "pair", `"a#b"`, "the name"}, {"link", "medium", `"udp"`, "udp | uart"}, {"link", "raw", "1",
		"needs CAP_NET_ADMIN. Off"}, {"link", "baud", "1", ""},
		{"mqtt", "broker", `"x"`, "URL"}}
	if !slices.Equal(list, want) {
		t.Errorf("got %q\nwant %q", list, want)
	}
	if err := complete(root, "rawReplay", list); err == nil ||
		!strings.Contains(err.Error(), "[link] baud has no comment") ||
		!strings.Contains(err.Error(), "[] memory is not described") {
		t.Errorf("got %v; want the keys that are not described", err)
	}
}
