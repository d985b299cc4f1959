package qemu

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"heliograph/boards"
	"heliograph/ci/await"
	"heliograph/rootfs/update"
	"heliograph/tools/image"
)

// prefix reads what the firmware puts before the names of the files of a set.
func prefix(t *testing.T, card, file string) string {
	t.Helper()
	said, err := exec.Command("mtype", "-i", card+"@@4M", "::"+file).CombinedOutput()
	if err != nil {
		t.Fatalf("reading %s: %v\n%s", file, err, said)
	}
	for line := range strings.Lines(string(said)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "os_prefix="); ok {
			return value
		}
	}
	t.Fatalf("%s has no os_prefix:\n%s", file, said)
	return ""
}

// restarts boots a card and plays the firmware whenever the board restarts: asked
// for a trial, it reads the other file, once. It returns the board when it runs,
// which is when it says "board up".
func restarts(t *testing.T, card string, most int) (m *machine, consoles string) {
	t.Helper()
	reads := ""
	for range most {
		m = boot(t, card, wiring{status: fmt.Sprintf("127.0.0.1:%d", await.FreePort(t)), link: "null", reads: reads,
			once: true})
		up := false
		m.settles(t, func(screen string) bool {
			up = strings.Contains(screen, "board up")
			return up
		})
		consoles += m.screen.String()
		if up {
			return m, consoles
		}
		reads = ""
		if strings.Contains(m.screen.String(), "Restarting system with command '"+update.TryArgument+"'") {
			reads = "tryboot.txt"
		}
	}
	t.Fatalf("the board did not come up in %d starts:\n%s", most, consoles)
	return nil, ""
}

// settles waits until the console shows what is looked for, or the board restarts.
func (m *machine) settles(t *testing.T, done func(screen string) bool) {
	t.Helper()
	for end := time.Now().Add(m.bound()); !done(m.screen.String()); {
		select {
		case <-m.ends:
			return
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("the board neither runs nor restarts; the console:\n%s", m.screen.String())
		}
	}
}

func TestUpdateIsTriedAndADamagedSlotFallsBack(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"qemu-system-aarch64", "mcopy"} {
		need(t, name)
	}
	card := build(t, "tx", configuration)
	install(t, card)

	m, console := restarts(t, card, 3)
	m.cut()
	if want := "an update is tried"; !strings.Contains(console, want) {
		t.Errorf("the console does not say %q:\n%s", want, console)
	}
	at(t, card, update.B, func(c *update.Card) {
		if s, err := c.State(); err != nil || !s.Trying || s.Version != 2 {
			t.Errorf("got %+v, %v; want release 2 on trial", s, err)
		}
		if err := c.Commit(); err != nil {
			t.Error(err)
		}
	})

	damage(t, card, update.B)
	m, console = restarts(t, card, 3)
	m.cut()
	if want := "root is damaged"; !strings.Contains(console, want) {
		t.Errorf("the console does not say %q:\n%s", want, console)
	}
	if got := prefix(t, card, "config.txt"); got != "a/" {
		t.Errorf("got set %s after a damaged slot, want a/", got)
	}

	damage(t, card, update.A)
	boot(t, card, wiring{status: fmt.Sprintf("127.0.0.1:%d", await.FreePort(t)), link: "null", once: true}).shows(t,
		"NOTHING BOOTS", 1)
}

// install puts release 2 of the same sources on a card.
func install(t *testing.T, card string) {
	t.Helper()
	d, err := update.OpenDevice(card, true)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	installOn(t, d)
}

func installOn(t *testing.T, d update.Disk) {
	t.Helper()
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	board, _ := boards.ByName("virt")
	name := filepath.Join(t.TempDir(), "tx.update")
	if err := image.BuildUpdate(image.Options{Role: "tx", Board: board, Release: 2, Source: "../..", Version: "next",
		Output: name}, private); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := update.Open(d, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Install(f, public, update.Target{Role: "tx", Board: "virt"}); err != nil {
		t.Fatal(err)
	}
}

// at opens a card that no board runs from.
func at(t *testing.T, card string, running update.Set, do func(*update.Card)) {
	t.Helper()
	d, err := update.OpenDevice(card, true)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c, err := update.Open(d, running)
	if err != nil {
		t.Fatal(err)
	}
	do(c)
}

// damage changes one bit in the middle of a root slot.
func damage(t *testing.T, card string, set update.Set) {
	t.Helper()
	f, err := os.OpenFile(card, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, from := make([]byte, 1), middle(set)
	if _, err := f.ReadAt(b, from); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, from); err != nil {
		t.Fatal(err)
	}
}

// middle is a place within the image in a root slot.
func middle(set update.Set) int64 {
	if set == update.B {
		return (260 + 64 + 1) << 20
	}
	return (260 + 1) << 20
}

func sector(t *testing.T, card string, set update.Set) []byte {
	t.Helper()
	f, err := os.Open(card)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 512)
	if _, err := f.ReadAt(b, middle(set)); err != nil {
		t.Fatal(err)
	}
	return b
}
