package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestLinksOfTheArchiveLeadSomewhere follows every link of what the tool's archive and its
// package have to read, and looks for what an engineer without the checkout needs.
func TestLinksOfTheArchiveLeadSomewhere(t *testing.T) {
	archive, installed := t.TempDir(), t.TempDir()
	name := "heliograph_" + testVersion
	asked(t, "tar", "-C", archive, "-xzf", filepath.Join(built(t), name+"_linux_"+runtime.GOARCH+".tar.gz"))
	asked(t, "dpkg-deb", "--extract", filepath.Join(built(t), name+"_"+runtime.GOARCH+".deb"), installed)
	for _, root := range []string{filepath.Join(archive, name+"_linux_"+runtime.GOARCH),
		filepath.Join(installed, "usr/share/doc/heliograph")} {
		for _, want := range []string{"README.md", "firmware/config/reference-tx.toml",
			"firmware/config/reference-rx.toml", "firmware/config/minimal-tx.toml", "firmware/config/minimal-rx.toml",
			"boards/README.md", "boards/wiring.md", "boards/compute-module.md", "boards/hardware-checklist.md",
			"tools/wireshark/README.md", "tools/wireshark/heliograph.lua",
			"tools/monitoring/grafana-dashboard.json", "tools/monitoring/prometheus-rules.yaml"} {
			if _, err := os.Stat(filepath.Join(root, want)); err != nil {
				t.Error(err)
			}
		}
		followed := 0
		err := filepath.WalkDir(root, func(at string, d os.DirEntry, err error) error {
			if err != nil || filepath.Ext(at) != ".md" {
				return err
			}
			document, err := filepath.Rel(root, at)
			if err != nil {
				return err
			}
			for _, m := range link.FindAllStringSubmatch(string(read(t, at)), -1) {
				target, ok := inCheckout(document, m[2])
				if !ok {
					if !strings.HasPrefix(m[2], "https://") && !strings.HasPrefix(m[2], "#") {
						t.Errorf("%s links %s", document, m[2])
					}
					continue
				}
				followed++
				if _, err := os.Stat(filepath.Join(root, target)); err != nil {
					t.Errorf("%s links %s: %v", document, m[2], err)
				}
			}
			return nil
		})
		if err != nil || followed < 10 {
			t.Errorf("%d links were followed, %v; want more", followed, err)
		}
	}
}

func TestLinksToCodeBecomeText(t *testing.T) {
	const text = "[a](a.md#top) [b](../cmd/main.go)\n[c](https://example.org/c) [d](#d) [e](../../up.md) " +
		"[of two\nlines](gone/)"
	const want = "[a](a.md#top) b\n[c](https://example.org/c) [d](#d) [e](../../up.md) of two\nlines"
	got := string(unlinked("docs/x.md", []byte(text), func(target string) bool { return target == "docs/a.md" }))
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
