package archtest

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func TestEachRowOfTheDocumentOfRequirementsIsProved(t *testing.T) {
	for document, least := range map[string]int{"ci/requirements.md": 50, "SECURITY.md": 15} {
		faults, rows, err := CheckRequirements(os.DirFS(root), document)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range faults {
			t.Error(f)
		}
		if rows < least {
			t.Errorf("%s has %d rows, want %d and more", document, rows, least)
		}
	}
}

func TestARowOfTheDocumentThatNothingProvesIsFound(t *testing.T) {
	for row, want := range map[string]string{
		"| A1 | x | `TestA` (ci/a) |":                     "",
		"| A1 | x | `TestA`, `TestB` (ci/a) |":            "",
		"| A1 | x | by eye |":                             "no test proves this row",
		"| A1 | x | `TestA` |":                            "no folder follows it",
		"| A1 | x | `TestC` (ci/a) |":                     "ci/a has no test TestC",
		"| A1 | x | `TestA` (ci/a), `TestA` (ci/empty) |": "ci/empty has no test TestA",
	} {
		const tests = "package a\n\nfunc TestA(t *testing.T) {}\n\nfunc TestB(t *testing.T) {}\n"
		files := fstest.MapFS{"r.md": {Data: []byte("| | what | proved by |\n|---|---|---|\n" + row + "\n")},
			"ci/a/a_test.go": {Data: []byte(tests)}}
		faults, rows, err := CheckRequirements(files, "r.md")
		got := strings.Join(faults, "\n")
		if err != nil || rows != 1 || (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, %d rows, %v; want %q", row, got, rows, err, want)
		}
	}
}
