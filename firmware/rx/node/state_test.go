package node

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAStateDirectoryIsNew(t *testing.T) {
	for name, c := range map[string]struct {
		make []string
		want bool
	}{
		"that is not there yet":      {nil, true},
		"that is empty":              {[]string{""}, true},
		"with certificates":          {[]string{"pki/own"}, true},
		"of an earlier run":          {[]string{"pki/own", "audit"}, false},
		"of which the runs are left": {[]string{"runs-0a0b0c0d"}, false},
	} {
		dir := filepath.Join(t.TempDir(), "state")
		for _, path := range c.make {
			if err := os.MkdirAll(filepath.Join(dir, path), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if got := isNew(dir); got != c.want {
			t.Errorf("a directory %s: got %t", name, got)
		}
	}
}
