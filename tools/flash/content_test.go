package flash

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/tools/image"
)

func TestImagesAreLookedAtFirst(t *testing.T) {
	faulty := configured()
	faulty["heliograph.toml"] = valid + "nonsense = 1\n"
	receiver := configured()
	receiver["heliograph.toml"] = strings.Replace(valid, `listen = ["udp://0.0.0.0:514"]`,
		"forward = \"tcp://h:1\"\nnonsense = 1", 1)
	for name, c := range map[string]struct {
		image func() string
		want  string
	}{
		"not there": {func() string { return "/none.img" }, "file not found"},
		"empty":     {func() string { return holding(t, "") }, "not an image of a heliograph board"},
		"foreign": {func() string { return holding(t, strings.Repeat("\x00", 510)+"\x55\xAA") },
			"not an image of a heliograph board"},
		"a folder":    {func() string { return folder(t) }, "is a folder"},
		"unknown key": {func() string { return tiny(t, faulty) }, "\nheliograph.toml:9: "},
		"of RX":       {func() string { return tiny(t, receiver) }, "nonsense"},
		"key left out": {func() string { return tiny(t, map[string]string{"heliograph.toml": valid}) },
			"file not found: pair.key"},
		"as it ought to": {func() string { return tiny(t, configured()) }, ""},
		"without any":    {func() string { return tiny(t, nil) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := openSource(c.image(), silent)
			if err == nil {
				s.close()
				if c.want != "" {
					t.Errorf("got no error, want %q", c.want)
				}
				return
			}
			if c.want == "" || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "stale_after") {
				t.Errorf("got %q, want %q", err, c.want)
			}
		})
	}
}

func holding(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(folder(t), "f")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestAddedFilesAreThereForOthers(t *testing.T) {
	made := tiny(t, configured())
	f, err := os.OpenFile(made, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const name = "pki/own/certs/Heliograph_tx__press-hall_ [DD20EBDB253CE8C3C46AF922F3C02D98030AE7DA].der"
	want := image.Content{name: []byte(strings.Repeat("certificate", 1000))}
	for _, n := range []int{1, 511, 512, 513, 899, 1708, 2048, 2049, 5000} { // a cluster is 2048
		want[fmt.Sprintf("pki/%d", n)] = bytes.Repeat([]byte{byte(n)}, n)
	}
	if err := image.AddContent(f, want); err != nil {
		t.Fatal(err)
	}
	got, err := image.ReadContent(f)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range configured() {
		want[name] = []byte(text)
	}
	if d := got.Difference(want); d != "" {
		t.Errorf("got another %s, of %d bytes, want %d", d, len(got[d]), len(want[d]))
	}
	fsck, err := exec.LookPath("fsck.fat")
	if err != nil {
		t.Skip("not proved: the volume is sound for others, because fsck.fat is not installed")
	}
	volume := holding(t, read(t, made)[tinyBoot:tinySlot])
	if said, err := exec.Command(fsck, "-n", volume).CombinedOutput(); err != nil {
		t.Errorf("got %v: %s", err, said)
	}
}
