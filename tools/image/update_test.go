package image

import (
	"os"
	"path/filepath"
	"testing"

	"aead.dev/minisign"

	"heliograph/boards"
	"heliograph/rootfs/update"
)

// made makes an update of programs that are none.
func made(t *testing.T, b boards.Board, release uint64, key minisign.PrivateKey) *os.File {
	t.Helper()
	o := Options{Role: "tx", Board: b, Release: release, Source: "../..", Version: "next",
		Output: filepath.Join(t.TempDir(), "tx.update")}
	p := programs{role: []byte("new role"), pid1: []byte("new pid1"), initramfs: []byte("new initramfs"),
		bill: []byte("{}")}
	s, err := assembled(o, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.seal(o, key); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(o.Output)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestUpdateFitsTheImageOfItsBoard(t *testing.T) {
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"rpi4b", "cm5", "virt"} {
		t.Run(name, func(t *testing.T) {
			card := written(t, name)
			b, _ := boards.ByName(name)
			d, err := update.OpenDevice(card, true)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			c, err := update.Open(d, 0)
			if err != nil {
				t.Fatal(err)
			}
			if m, err := c.Check(update.A); err != nil || m.Version != 1 {
				t.Errorf("set a of the image: got release %d, %v; want 1, whole", m.Version, err)
			}
			target, err := c.Target()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Install(made(t, b, 2, private), public, target); err != nil {
				t.Fatal(err)
			}
			if m, err := c.Check(update.B); err != nil || m.Version != 2 {
				t.Errorf("set b after an update: got release %d, %v; want 2, whole", m.Version, err)
			}
			fsck(t, card)
		})
	}
}

// fsck has another project look at the boot partition.
func fsck(t *testing.T, card string) {
	t.Helper()
	from, err := os.Open(card)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	b := make([]byte, bootSize)
	if _, err := from.ReadAt(b, bootStart); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "fat")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	peer(t, "fsck.fat", "-n", name)
}
