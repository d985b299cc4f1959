// Package qemu boots the images that tools/image writes on an emulated board
// with the kernel that runs on the real ones.
//
// The emulator has no firmware that reads the boot partition, so the test plays
// it: kernel and command line come out of the image's FAT, by mtools. What only
// the Pi's firmware does (config.txt, overlays, os_prefix) is not proved here.
package qemu

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"heliograph/boards"
	"heliograph/firmware/config/pairkey"
	"heliograph/tools/image"
)

// patience is for a machine that does other things too; a boot takes about 5 s.
const patience = 150 * time.Second

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

func TestImageBootsIntoItsRole(t *testing.T) {
	need(t, "qemu-system-aarch64")
	need(t, "mcopy")
	card := build(t, "tx", configuration)
	if again := build(t, "tx", configuration); digest(t, again) != digest(t, card) {
		t.Errorf("two builds in two folders differ: %s and %s", card, again)
	}
	for _, c := range []struct {
		name      string
		formatted bool
	}{{"first boot", true}, {"boot after a power cut", false}} {
		t.Run(c.name, func(t *testing.T) {
			status := fmt.Sprintf("127.0.0.1:%d", freePort(t))
			m := boot(t, card, status, "null")
			m.wait(t, "msg=starting program=heliotx")
			m.poll(t, "http://"+status+"/healthz")
			for text, want := range map[string]bool{"data partition formatted": c.formatted, "KEPT IN MEMORY": false, "level=ERROR": false} {
				if got := strings.Contains(m.console.String(), text); got != want {
					t.Errorf("console says %q: got %v, want %v:\n%s", text, got, want, m.console.String())
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
	folder := t.TempDir()
	for name, text := range map[string]string{
		"role.toml": configuration, "network.toml": address, "pair.key": string(pairkey.Format([pairkey.Size]byte{1})),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	board, _ := boards.ByName("virt")
	o := image.Options{
		Role: role, Board: board, Source: "../..", Version: "test",
		Config: filepath.Join(folder, "role.toml"), Network: filepath.Join(folder, "network.toml"), Output: filepath.Join(folder, "role.img"),
	}
	if err := image.Build(o); err != nil {
		t.Fatal(err)
	}
	return o.Output
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

// machine is a running board.
type machine struct {
	console lines
	ctx     context.Context // ends with the patience, or the machine
}

// boot starts the board from a card image, its status port reachable at an
// address of this host and its link a character device of the emulator. The end of
// the test is a power cut.
func boot(t *testing.T, card, status, link string) *machine {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"vmlinuz", "cmdline.txt"} {
		if said, err := exec.Command("mcopy", "-i", card+"@@4M", "::a/"+name, folder).CombinedOutput(); err != nil {
			t.Fatalf("reading %s out of the image: %v\n%s", name, err, said)
		}
	}
	line, err := os.ReadFile(filepath.Join(folder, "cmdline.txt"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), patience)
	m := &machine{ctx: ctx}
	c := exec.CommandContext(ctx, "qemu-system-aarch64", "-M", "virt,gic-version=2", "-cpu", "cortex-a72", "-smp", "1", "-m", "256",
		"-display", "none", "-monitor", "none", "-no-reboot",
		"-kernel", filepath.Join(folder, "vmlinuz"), "-append", strings.TrimSpace(string(line)),
		"-drive", "if=none,id=card,format=raw,file="+card, "-device", "virtio-blk-pci,drive=card", "-device", "i6300esb",
		"-chardev", link+",id=link", "-serial", "chardev:link", "-chardev", "stdio,id=console", "-device", "pci-serial,chardev=console",
		"-netdev", "user,id=plant,restrict=on,hostfwd=tcp:"+status+"-:9464", "-device", "virtio-net-pci,netdev=plant,romfile=")
	c.Stdout, c.Stderr = &m.console, &m.console
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := c.Wait()
		fmt.Fprintf(&m.console, "emulator ended: %v\n", err)
		stop()
	}()
	t.Cleanup(func() { stop(); <-ended })
	return m
}

// wait returns when the console has shown the text.
func (m *machine) wait(t *testing.T, text string) {
	t.Helper()
	for !strings.Contains(m.console.String(), text) {
		m.pause(t, "the console shows no "+text)
	}
}

// poll returns when the address answers 200.
func (m *machine) poll(t *testing.T, url string) {
	t.Helper()
	client := http.Client{Timeout: 2 * time.Second}
	for {
		r, err := client.Get(url)
		if err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
		m.pause(t, url+" does not answer 200")
	}
}

// pause waits a little, and fails the test when waiting longer is no use.
func (m *machine) pause(t *testing.T, why string) {
	t.Helper()
	select {
	case <-m.ctx.Done():
		t.Fatalf("%s; the console:\n%s", why, m.console.String())
	case <-time.After(100 * time.Millisecond):
	}
}

// lines collects what the console showed.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
