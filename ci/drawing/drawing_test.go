package main

import (
	"encoding/xml"
	"io"
	"os"
	"strings"
	"testing"
)

func TestAScreenIsDrawnInItsColours(t *testing.T) {
	got := draw("first\x1b[1mA <b>\x1b[0m  \x1b[31mred\x1b[39m\n" +
		"\x1b[48;5;22m \x1b[m \x1b[7mback\x1b[0m \x1b[38;2;1;2;3mx\x1b[2K\n")
	for _, want := range []string{`font-weight="bold"`, ">first</text>", ">A &lt;b&gt;</text>", `fill="#e06c6c"`, ">red</text>",
		`height="17" fill="#005f00"`, `fill="#14181d"`, ">back</text>", `fill="#010203"`} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "\x1b") {
		t.Errorf("a sequence is left in %q", got)
	}
	for d := xml.NewDecoder(strings.NewReader(got)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestDrawingsOfDocumentsAreSmall bounds what the repository carries.
func TestDrawingsOfDocumentsAreSmall(t *testing.T) {
	sum := int64(0)
	for _, name := range []string{"demo.svg", "console.svg"} {
		f, err := os.Stat(name)
		if err != nil {
			t.Fatalf("%v: run ci/drawing.sh", err)
		}
		if f.Size() < 2<<10 {
			t.Errorf("%s has %d bytes, which is not a screen", name, f.Size())
		}
		sum += f.Size()
	}
	if sum > 100<<10 {
		t.Errorf("the drawings have %d bytes, want 100 KiB at most", sum)
	}
}
