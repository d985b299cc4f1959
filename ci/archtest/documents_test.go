package archtest

import (
	"os"
	"slices"
	"testing"
	"testing/fstest"
)

func TestDocumentsNameWhatIsThere(t *testing.T) {
	faults, err := CheckDocuments(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
}

func TestRulesOfDocumentsCanFail(t *testing.T) {
	root := fstest.MapFS{
		"a/a_test.go": {Data: []byte("package a\n\nfunc TestThere(t *testing.T) {}\n")},
		"a/README.md": {Data: []byte("TestThere, [a](a_test.go), [up](../b.md#part), [web](https://example.org/x)\n" +
			"by `TestGone`\n[b](gone.md)\n")},
		"b.md":     {Data: []byte("make thing\n`make all X=1`\n")},
		"Makefile": {Data: []byte("all: a\n\tb\n")},
	}
	got, err := CheckDocuments(root)
	want := []string{"a/README.md:2: no test is named TestGone", "a/README.md:3: a link to gone.md, which is not there",
		"b.md:1: make has no target thing"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}
