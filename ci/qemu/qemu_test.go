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
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/boards"
	"heliograph/ci/await"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/status"
	"heliograph/tools/image"
)

const configuration = `pair = "press-hall"

[link]
medium   = "udp"
address  = "10.0.2.2:17000"
key_file = "Paarschlüssel.key"

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
	t.Parallel()
	for _, name := range []string{"qemu-system-aarch64", "mcopy", "e2fsck"} {
		need(t, name)
	}
	board, _ := boards.ByName("virt")
	configuration := configuration + "\n[[mqtt]]\nchannel = \"cell\"\nbroker = \"mqtt://broker.plant.example\"\n"
	card := fromBase(t, optionsFor(t, board, "tx", configuration, leased, ""))
	if direct := buildFor(t, board, "tx", configuration, leased, ""); digest(t, direct) != digest(t, card) {
		t.Errorf("a build and a base image that was configured differ: %s and %s", direct, card)
	}
	const enlarged, made, formatted = "data partition enlarged", "data partition made", "DATA PARTITION FORMATTED"
	for _, c := range []struct {
		name   string
		before func(t *testing.T, card string)
		size   int64 // of the card
		says   []string
		starts int
		event  string // of the audit trail
	}{
		{"first boot of a card larger than the image", nothing, 2 << 30, []string{enlarged, made}, 1, ""},
		{"boot after a power cut", nothing, 2 << 30, nil, 1, ""},
		{"boot of a copy on a larger card", nothing, 3 << 30, []string{enlarged}, 1, ""},
		{"boot with a damaged data partition", loseSuperblock, 3 << 30, []string{formatted}, 2, "data_formatted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.before(t, card)
			if err := os.Truncate(card, c.size); err != nil {
				t.Fatal(err)
			}
			address := fmt.Sprintf("127.0.0.1:%d", await.FreePort(t))
			m := boot(t, card, wiring{status: address, link: "null"})
			m.shows(t, "msg=starting program=heliotx", 1)
			m.answers(t, "http://"+address+"/healthz")
			m.until(t, "the data partition has all of the card", func() error {
				s, err := statusOf(address)
				if want := uint64(c.size - 388<<20); err == nil && (s.Disk == nil || s.Disk.Bytes < want/100*95) {
					err = fmt.Errorf("got disk %+v, want nearly %d bytes", s.Disk, want)
				}
				if err == nil && c.event != "" && !strings.Contains(fmt.Sprint(s.Notes), c.event) {
					err = fmt.Errorf("got notes %v, want %s", s.Notes, c.event)
				}
				return err
			})
			m.until(t, "the leased nameserver is asked", func() error { // the role may have started before the lease
				s, err := statusOf(address)
				if got := s.Channels["cell"].SourceReason; err == nil && !strings.Contains(got, "on 10.0.2.3:53") {
					err = fmt.Errorf("got %q", got)
				}
				return err
			})
			screen := m.screen.String()
			for _, text := range []string{enlarged, made, formatted, "KEPT IN MEMORY"} {
				if got, want := strings.Contains(screen, text), slices.Contains(c.says, text); got != want {
					t.Errorf("console says %q: got %v, want %v:\n%s", text, got, want, screen)
				}
			}
			if got := strings.Count(screen, `msg="board up"`); got != c.starts {
				t.Errorf("got %d starts, want %d:\n%s", got, c.starts, screen)
			}
			if c.starts == 1 && strings.Contains(screen, "level=ERROR") {
				t.Errorf("console says something went wrong:\n%s", screen)
			}
			m.cut()
			checkData(t, card)
		})
	}
}

func nothing(*testing.T, string) {}

// statusOf reads the board's /status.json.
func statusOf(address string) (s status.Snapshot, err error) {
	client := http.Client{Timeout: 5 * time.Second}
	r, err := client.Get("http://" + address + "/status.json")
	if err != nil {
		return s, err
	}
	defer r.Body.Close()
	return s, json.NewDecoder(r.Body).Decode(&s)
}

const dataAt = 388 << 20 // of the data partition

// loseSuperblock takes the superblock of the data partition away.
func loseSuperblock(t *testing.T, card string) {
	t.Helper()
	f, err := os.OpenFile(card, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 4096), dataAt); err != nil {
		t.Fatal(err)
	}
}

// checkData has e2fsck check the data partition, whose journal a power cut has left.
func checkData(t *testing.T, card string) {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	run(t, "dd", "if="+card, "of="+data, "bs=4M", fmt.Sprintf("skip=%d", dataAt>>22), "conv=sparse", "status=none")
	said, err := exec.Command("e2fsck", "-fp", data).CombinedOutput()
	if e, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || e.ExitCode() > 1) { // 1: it was repaired
		t.Errorf("e2fsck: %v\n%s", err, said)
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
		"role.toml": configuration, "network.toml": network,
		"Paarschlüssel.key": string(pairkey.Format([pairkey.Size]byte{1})), // not ASCII: the kernel has to show it so
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

func reader(s string) *bufio.Reader { return bufio.NewReader(strings.NewReader(s)) }
