package flash

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// removable is this machine with every drive in a card reader.
type removable struct {
	fs.FS
	cards string // how many there were so far
}

func (r *removable) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, "/diskseq") {
		return fstest.MapFS{name: {Data: []byte(r.cards)}}.Open(name)
	}
	if strings.HasSuffix(name, "/removable") {
		return fstest.MapFS{name: {Data: []byte("1\n")}}.Open(name)
	}
	return r.FS.Open(name)
}

// loop makes a drive of a file of old bytes.
func loop(t *testing.T, size int64) (device, file string) {
	t.Helper()
	file = filepath.Join(folder(t), "medium")
	if err := os.WriteFile(file, bytes.Repeat([]byte{0xEE}, int(size)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", file).Output()
	if err != nil {
		t.Skipf("not proved: a drive is written and read back, because losetup makes none here: %v", err)
	}
	device = strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if err := exec.Command("losetup", "--detach", device).Run(); err != nil {
			t.Errorf("detaching %s: %v", device, err)
		}
	})
	return device, file
}

func TestDriveBecomesTheImage(t *testing.T) {
	image := tiny(t, configured())
	want := read(t, image)
	device, medium := loop(t, int64(len(want))+chunk-sector)
	var out strings.Builder
	d := writer(t, &out)
	root := &removable{os.DirFS("/"), "1"}
	d.Machine = Linux{root}
	answer, swapped := "sda", ""
	d.Ask = func(_ context.Context, question string) (string, error) {
		if !strings.Contains(question, device+": ") {
			t.Errorf("got the question %q, want it to name %s", question, device)
		}
		root.cards += swapped
		return answer, nil
	}
	refused := func(d Writer, want string) {
		t.Helper()
		if err := d.Card(t.Context(), image, device); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if got := read(t, medium)[:sector]; got != strings.Repeat("\xEE", sector) {
			t.Fatal("got the drive written in spite of that")
		}
	}
	refused(d, "nothing was written")
	answer = filepath.Base(device)
	fixed := d
	fixed.Machine = Local()
	refused(fixed, "not removable")
	swapped = "1"
	refused(d, "changed while you were asked")
	swapped = ""
	holder, err := os.OpenFile(device, os.O_RDONLY|os.O_EXCL, 0)
	if err != nil {
		t.Fatal(err)
	}
	refused(d, "something uses "+device)
	holder.Close()

	if err := d.Card(t.Context(), image, device); err != nil {
		t.Fatal(err)
	}
	got := read(t, medium)
	if got[:len(want)] != want {
		t.Error("got other bytes on the drive, want the image's, zeros included")
	}
	if rest := got[len(want):]; strings.Count(rest, "\xEE") != len(rest) {
		t.Error("got changes behind the image, want none")
	}
}

func TestTargetsThatAreNone(t *testing.T) {
	image := tiny(t, configured())
	if err := os.Symlink(image, image+".link"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ target, want string }{
		"mistyped drive":      {"/dev/sdzz", "/dev/sdzz is not a drive"},
		"character device":    {"/dev/null", "neither a drive nor a plain file"},
		"folder":              {folder(t), "neither a drive nor a plain file"},
		"the image":           {image, "is the image itself"},
		"link to the image":   {image + ".link", "is the image itself"},
		"folder not there":    {"/none/card", "no such file"},
		"file as a folder":    {image + "/card", "not a directory"},
		"in a missing folder": {filepath.Join(folder(t), "none", "card"), "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			d := writer(t, &out)
			d.Machine = Linux{fstest.MapFS{}}
			err := d.Card(t.Context(), image, c.target)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
		})
	}
	if _, err := os.Stat(image); err != nil {
		t.Errorf("got no image any more: %v", err)
	}
}

func TestCardSwappedWhileAskedIsNoticed(t *testing.T) {
	before := target{path: "/dev/sdb", drive: drive(t, machine(), "sdb")}
	m := machine()
	m["sys/devices/pci0/usb1/1-2/1-2:1.0/host6/block/sdb/diskseq"] = &fstest.MapFile{Data: []byte("8\n")}
	after := target{path: "/dev/sdb", drive: drive(t, m, "sdb")}
	if before.same(after) {
		t.Error("got the same drive after another card came, want another")
	}
	if !before.same(target{path: "/dev/sdb", drive: drive(t, machine(), "sdb")}) {
		t.Error("got another drive though nothing changed")
	}
}
