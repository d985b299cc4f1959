package image

import (
	"fmt"
	"path/filepath"
	"testing"
)

func TestProgramsLookBesideThemselvesAndAboveAndInThePackage(t *testing.T) {
	got := fmt.Sprint(beside(filepath.FromSlash("/r/heliograph_1_linux_amd64/heliograph")))
	want := fmt.Sprint([]string{filepath.FromSlash("/r/heliograph_1_linux_amd64"),
		filepath.FromSlash("/r/heliograph_1_linux_amd64/images"), filepath.FromSlash("/r"), packageFolder})
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
