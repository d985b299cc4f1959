// Package qemu boots the images that tools/image writes on an emulated board
// with the kernel that runs on the real ones.
//
// The emulator has no firmware that reads the boot partition, so the test plays
// it: kernel and command line come out of the image's FAT, by mtools. What only
// the Pi's firmware does (config.txt, overlays, os_prefix) is not proved here.
package qemu

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/boards"
	"heliograph/ci/await"
	"heliograph/firmware/config/pairkey"
	"heliograph/tools/image"
)

const configuration = `pair = "press-hall"

[link]
medium   = "udp"
address  = "10.0.2.2:17000"
key_file = "pair.key"

[status]
listen = "0.0.0.0:9464"

[[syslog]]
channel = "syslog"
listen  = ["udp://0.0.0.0:514"]
`

// address is the one that the emulator's user network expects of its guest.
const address = `interface = "eth0"
address = "10.0.2.15/24"
gateway = "10.0.2.2"
`

// leased has the emulator's own DHCP server give the same.
const leased = `interface = "eth0"
address = "dhcp"
`

func TestImageBootsIntoItsRole(t *testing.T) {
	need(t, "qemu-system-aarch64")
	need(t, "mcopy")
	board, _ := boards.ByName("virt")
	card := fromBase(t, optionsFor(t, board, "tx", configuration, leased, ""))
	if direct := buildFor(t, board, "tx", configuration, leased, ""); digest(t, direct) != digest(t, card) {
		t.Errorf("a build and a base image that was configured differ: %s and %s", direct, card)
	}
	for _, c := range []struct {
		name      string
		formatted bool
	}{{"first boot", true}, {"boot after a power cut", false}} {
		t.Run(c.name, func(t *testing.T) {
			status := fmt.Sprintf("127.0.0.1:%d", await.FreePort(t))
			m := boot(t, card, wiring{status: status, link: "null"})
			m.shows(t, "msg=starting program=heliotx", 1)
			m.answers(t, "http://"+status+"/healthz")
			for text, want := range map[string]bool{"data partition formatted": c.formatted, "KEPT IN MEMORY": false,
				"level=ERROR": false} {
				if got := strings.Contains(m.screen.String(), text); got != want {
					t.Errorf("console says %q: got %v, want %v:\n%s", text, got, want, m.screen.String())
				}
			}
		})
	}
}

func need(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("not proved: an image boots, because %s is not installed", name)
	}
}

// build makes a role's image for the emulated board in a folder of its own.
func build(t *testing.T, role, configuration string) string {
	t.Helper()
	board, _ := boards.ByName("virt")
	return buildFor(t, board, role, configuration, address, "")
}

// fromBase makes a role's image as it is made from a release: a base image without a
// configuration, which is put into it without a checkout.
func fromBase(t *testing.T, o image.Options) string {
	t.Helper()
	name := strings.TrimSuffix(image.BaseName(o.Version, o.Board.Name, o.Role), ".zst")
	base := image.Options{Role: o.Role, Board: o.Board, Source: o.Source, Version: o.Version,
		Output: filepath.Join(t.TempDir(), name)}
	if err := image.Build(base); err != nil {
		t.Fatal(err)
	}
	o.Source, o.Images = "", filepath.Dir(base.Output)
	if err := image.Build(o); err != nil {
		t.Fatal(err)
	}
	return o.Output
}

func buildFor(t *testing.T, board boards.Board, role, configuration, network, updateKey string) string {
	t.Helper()
	o := optionsFor(t, board, role, configuration, network, updateKey)
	if err := image.Build(o); err != nil {
		t.Fatal(err)
	}
	return o.Output
}

func optionsFor(t *testing.T, board boards.Board, role, configuration, network, updateKey string) image.Options {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"role.toml": configuration, "network.toml": network, "pair.key": string(pairkey.Format([pairkey.Size]byte{1})),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return image.Options{
		Role: role, Board: board, Source: "../..", Version: "test", UpdateKey: updateKey,
		Config: filepath.Join(folder, "role.toml"), Network: filepath.Join(folder, "network.toml"),
		Output: filepath.Join(folder, "role.img"),
	}
}

func digest(t *testing.T, name string) [sha256.Size]byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func reader(s string) *bufio.Reader { return bufio.NewReader(strings.NewReader(s)) }
