package archtest

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The wall, read from what the linker left. The result may be cached: TestThisTree
// opens every source, so that a change to one makes the cache void.
func TestBinariesHoldOneSideOnly(t *testing.T) {
	for role, side := range map[string][2]string{
		"heliotx": {"heliograph/firmware/tx/", "heliograph/firmware/rx/"},
		"heliorx": {"heliograph/firmware/rx/", "heliograph/firmware/tx/"},
	} {
		t.Run(role, func(t *testing.T) {
			folder := filepath.Join(root, "firmware/cmd", role)
			own, other := symbols(t, folder, side[0]), symbols(t, folder, side[1])
			if len(own) == 0 {
				t.Errorf("no symbol of %s: this test sees nothing", side[0])
			}
			if len(other) > 0 {
				t.Errorf("got %d symbols of %s, such as %s; want none", len(other), side[1], other[0])
			}
		})
	}
}

func TestSymbolsAreFound(t *testing.T) {
	if got := symbols(t, filepath.Join(root, "tools/heliograph"), "heliograph/firmware/config."); len(got) == 0 {
		t.Error("a package that is linked was not found")
	}
}

// symbols builds a program and returns its symbols that hold the text.
func symbols(t *testing.T, folder, text string) []string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", binary, ".")
	build.Dir = folder
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	f, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, s := range all {
		if strings.Contains(s.Name, text) {
			found = append(found, s.Name)
		}
	}
	return found
}
