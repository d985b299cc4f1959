package archtest

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const root = "../.." // tests run in their package's folder

// The sources are opened by this process, so that a change to any of them, or
// a new one, makes a cached result void.
func TestThisTree(t *testing.T) {
	faults, err := Check(os.DirFS(root), "heliograph")
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults {
		t.Error(fault)
	}
}

func TestEachRuleCanFail(t *testing.T) {
	long := "// Package p is long.\npackage p\n" + strings.Repeat("\n// x\n", 250)
	file := func(rest string) string {
		return strings.TrimRight("// Package p is a package.\npackage p\n\n"+rest, "\n") + "\n"
	}
	cases := map[string]struct {
		files map[string]string
		want  string // part of the one fault; "" for none
	}{
		"nothing wrong": {map[string]string{
			"firmware/tx/send/a.go": file("import \"heliograph/firmware/conduit/wire\"\n")}, ""},
		"no rule": {map[string]string{"drivers2/new/a.go": file("")}, "drivers2/new: no rule"},
		"import not allowed": {map[string]string{
			"firmware/opcua/pki/a.go": file("import \"heliograph/firmware/conduit/wire\"\n")},
			"which the rule for firmware/opcua/pki does not allow"},
		"driver imports config": {map[string]string{
			"drivers/uart/a.go": file("import \"heliograph/firmware/config\"\n")}, "does not allow"},
		"lower imports higher": {map[string]string{
			"firmware/tx/send/a.go": file("import \"heliograph/firmware/tx/pipeline\"\n")}, "does not allow"},
		"source imports pipeline": {map[string]string{
			"firmware/tx/source/mqtt/a.go": file("import \"heliograph/firmware/tx/pipeline\"\n")},
			"does not allow"},
		"a node names a source": {map[string]string{
			"firmware/tx/node/a.go": file("import \"heliograph/firmware/tx/source/mqtt\"\n")},
			"which the rule for firmware/tx/node does not allow"},
		"a node names a driver": {map[string]string{
			"firmware/tx/node/a.go": file("import \"heliograph/drivers/udp\"\n")},
			"which the rule for firmware/tx/node does not allow"},
		"behaviour in a main": {map[string]string{"firmware/cmd/heliotx/a.go": file(strings.Repeat("// x\n", 100)),
			"firmware/cmd/heliotx/b.go": file(strings.Repeat("// x\n", 100))},
			"firmware/cmd/heliotx: 206 lines without tests"},
		"rx node names a sink": {map[string]string{
			"firmware/rx/node/a.go": file("import \"heliograph/firmware/rx/sink/mqtt\"\n")}, "does not allow"},
		"rx node names a driver": {map[string]string{
			"firmware/rx/node/a.go": file("import \"heliograph/drivers/udp\"\n")}, "does not allow"},
		"pure imports os": {map[string]string{"firmware/conduit/wire/a.go": file("import \"os\"\n")},
			"imports os, but the package is pure"},
		"pure imports slog": {map[string]string{"firmware/conduit/wire/a.go": file("import \"log/slog\"\n")},
			"imports log/slog, but"},
		"pure imports net": {map[string]string{"firmware/rx/mirror/a.go": file("import \"net\"\n")},
			"imports net, but"},
		"pure may netip": {map[string]string{"firmware/conduit/payload/x/a.go": file("import \"net/netip\"\n")},
			""},
		"pure asks the time": {map[string]string{
			"firmware/rx/mirror/a.go": file("import clock \"time\"\n\nvar x = clock.Now()\n")}, "uses time.Now"},
		"pure waits": {map[string]string{
			"firmware/rx/mirror/a.go": file("import \"time\"\n\nfunc f() { time.Sleep(1) }\n")}, "uses time.Sleep"},
		"clock by a dot": {map[string]string{
			"firmware/rx/mirror/a.go": file("import . \"time\"\n\nvar x = Now()\n")}, "with a dot"},
		"pure has durations": {map[string]string{
			"firmware/rx/mirror/a.go": file("import \"time\"\n\nconst x = time.Second\n")}, ""},
		"pure runs goroutines": {map[string]string{"firmware/rx/mirror/a.go": file("func f() { go f() }\n")},
			"starts a goroutine"},
		"no doc comment": {map[string]string{"firmware/platform/task/a.go": "package task\n"},
			"firmware/platform/task: no doc comment"},
		"doc in another file": {map[string]string{"firmware/platform/task/a.go": "package task\n",
			"firmware/platform/task/doc.go": file("")}, ""},
		"init": {map[string]string{"firmware/platform/task/a.go": file("func init() {}\n")},
			"init function"},
		"method named init": {map[string]string{
			"firmware/platform/task/a.go": file("type t struct{}\n\nfunc (t) init() {}\n")}, ""},
		"rename unsynced": {map[string]string{"rootfs/init/a.go": file("import \"os\"\n\nvar x = os.Rename\n")},
			"uses os.Rename"},
		"rename in a tool": {map[string]string{"tools/image/a.go": file("import \"os\"\n\nvar x = os.Rename\n")},
			""},
		"long file": {map[string]string{"firmware/platform/task/a.go": long}, "502 lines"},
		"long test": {map[string]string{"firmware/platform/task/a.go": file(""),
			"firmware/platform/task/a_test.go": long}, ""},
		"source with a fake port": {map[string]string{
			"firmware/tx/source/opcua/a.go": file("import \"heliograph/firmware/tx/source/sourcetest\"\n")},
			"imports heliograph/firmware/tx/source/sourcetest, which is for tests"},
		"fake port in a test": {map[string]string{"firmware/tx/source/mqtt/a.go": file(""),
			"firmware/tx/source/mqtt/a_test.go": file("import \"heliograph/firmware/tx/source/sourcetest\"\n")}, ""},
		"tool that waits as tests do": {map[string]string{
			"tools/demo/a.go": file("import \"heliograph/ci/await\"\n")}, "heliograph/ci/await, which is for tests"},
		"tool with a simulated link": {map[string]string{
			"tools/demo/a.go": file("import \"heliograph/firmware/conduit/linktest/relay\"\n")}, ""},
		"program with testing": {map[string]string{
			"rootfs/init/a.go": file("import \"testing\"\n")}, "imports testing, which is for tests"},
		"what tests import may": {map[string]string{
			"ci/rig/a.go": file("import (\n\t\"heliograph/ci/await\"\n\t\"testing\"\n)\n")}, ""},
		"unformatted": {map[string]string{"firmware/platform/task/a.go": file("var  x = 1\n")},
			"not gofmt'ed"},
		"the wall, in a test": {map[string]string{
			"firmware/rx/mirror/a_test.go": file("import \"heliograph/firmware/tx/send\"\n")},
			"the wall is broken: firmware/rx/mirror → firmware/tx/send"},
		"the wall, by a root": {map[string]string{
			"firmware/cmd/heliotx/main.go": file("import \"heliograph/firmware/rx/sink\"\n")},
			"the wall is broken: firmware/cmd/heliotx → firmware/rx/sink"},
		"another's test is not linked": {map[string]string{
			"firmware/cmd/heliotx/main.go":     file("import \"heliograph/firmware/platform/task\"\n"),
			"firmware/platform/task/a.go":      file(""),
			"firmware/platform/task/a_test.go": file("import \"heliograph/firmware/rx/sink\"\n")}, ""},
		"testdata is not a package": {map[string]string{"firmware/platform/task/testdata/a.go": "package x\n"}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			tree := fstest.MapFS{}
			for path, text := range c.files {
				tree[path] = &fstest.MapFile{Data: []byte(text)}
			}
			got, err := Check(tree, "heliograph")
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestTheWallHoldsOverThirdPackages(t *testing.T) {
	text := func(imported string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("// Package p is a package.\npackage p\n\nimport \"heliograph/" + imported +
			"\"\n")}
	}
	got, err := Check(fstest.MapFS{
		"firmware/tx/pipeline/a.go":    text("firmware/platform/task"),
		"firmware/platform/task/a.go":  text("firmware/platform/store"),
		"firmware/platform/store/a.go": text("firmware/rx/mirror"),
		"firmware/cmd/heliorx/a.go":    text("drivers/ethernet"),
		"drivers/ethernet/a.go":        text("drivers/probe"),
	}, "heliograph")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"firmware/tx/pipeline → firmware/platform/task → firmware/platform/store → firmware/rx/mirror",
		"firmware/cmd/heliorx → drivers/ethernet → drivers/probe",
	} {
		if want = "the wall is broken: " + want; !slices.Contains(got, want) {
			t.Errorf("got %q, want %q among them", got, want)
		}
	}
}

func TestBrokenSourceIsAnError(t *testing.T) {
	if _, err := Check(fstest.MapFS{"a.go": &fstest.MapFile{Data: []byte("package")}}, "heliograph"); err == nil {
		t.Error("got nil, want the parser's error")
	}
}
