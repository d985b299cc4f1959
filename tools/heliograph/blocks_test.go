package main

import (
	"flag"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"

	"heliograph/firmware/platform/role"
)

var (
	fenced = regexp.MustCompile("(?ms)^ *```(?:sh)?\n(.*?)^ *```$")
	// shellLine is how a command of a document begins; a block without one shows something.
	shellLine = regexp.MustCompile(`(?m)^ *(heliograph|heliotx|heliorx|make|cd|for|export|sudo|curl|kill|tcpdump|go|apt|` +
		`podman|sha256sum|systemctl|install|logger|cp|PATH=\S+)( |$)`)
	roleLine = regexp.MustCompile(`(?m)^ *(heliotx|heliorx) +([^|&#\n]*?)(?: 2>.*|&.*|#.*)?$`)
)

// blockFaults returns what is wrong with the commands of a document: what a shell does not
// parse, and flags that a role does not have.
func blockFaults(document string) (faults []string, blocks int) {
	for _, m := range fenced.FindAllStringSubmatch(document, -1) {
		if !shellLine.MatchString(m[1]) {
			continue
		}
		blocks++
		c := exec.Command("bash", "-n")
		c.Stdin = strings.NewReader(m[1])
		if said, err := c.CombinedOutput(); err != nil {
			faults = append(faults, string(said))
		}
		for _, call := range roleLine.FindAllStringSubmatch(m[1], -1) {
			flags := role.Flags(call[1])
			flags.Init(call[1], flag.ContinueOnError)
			flags.SetOutput(io.Discard)
			if err := flags.Parse(strings.Fields(call[2])); err != nil {
				faults = append(faults, call[0]+": "+err.Error())
			} else if flags.NArg() > 0 {
				faults = append(faults, call[0]+": takes no argument")
			}
		}
	}
	return faults, blocks
}

func TestBlocksOfDocumentsAreCommandsOfAShell(t *testing.T) {
	sum := 0
	err := fs.WalkDir(os.DirFS("../.."), ".", func(p string, d fs.DirEntry, err error) error {
		name := d.Name()
		if d.IsDir() && (name == "node_modules" || name == "testdata" || len(name) > 1 && name[0] == '.') {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || path.Ext(p) != ".md" {
			return err
		}
		text, err := os.ReadFile(path.Join("../..", p))
		faults, blocks := blockFaults(string(text))
		for _, f := range faults {
			t.Errorf("%s: %s", p, f)
		}
		sum += blocks
		return err
	})
	if err != nil || sum < 20 {
		t.Errorf("found %d blocks of commands, %v; there are more", sum, err)
	}
}

func TestTheCheckOfBlocksCanFail(t *testing.T) {
	for text, want := range map[string]string{
		"heliotx --check --config a.toml # why":    "",
		"heliorx --config rx.toml 2>rx.log &":      "",
		"heliotx --chek":                           "not defined: -chek",
		"heliorx rx.toml":                          "takes no argument",
		"cd x\nfor a in b; do echo; don":           "syntax error",
		"heliograph key new \"pair.key":            "unexpected EOF",
		"a screen ( of ( it \" goes":               "",
		"make test PKG=./firmware/tx/... # 'tests": "",
	} {
		faults, _ := blockFaults("```\n" + text + "\n```\n")
		if got := strings.Join(faults, ""); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
