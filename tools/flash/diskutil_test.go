package flash

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func contains(err error, want string) bool {
	return err != nil && strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), "\n")
}

// answered answers in diskutil's form, as on a Mac with an APFS system disk, a card in a USB
// reader, one in its slot, a USB disk, a mounted disk image, and a module by rpiboot. It
// was written after diskutil(8), not recorded from one.
func answered(args ...string) ([]byte, error) {
	return os.ReadFile(filepath.Join("testdata", "diskutil", strings.Join(args, "_")+".plist"))
}

func TestMacDrives(t *testing.T) {
	list, err := diskutilDrives(answered)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct{ refusal, text string }{
		"disk0": {"never written", "/dev/disk0: 500.3 GB APPLE SSD AP0512Q, mounted on /, /System/Volumes/Data"},
		"disk3": {"never written", "/dev/disk3: 494.4 GB AppleAPFSMedia, mounted on /, /System/Volumes/Data"},
		"disk4": {"", "/dev/disk4: 31.9 GB STORAGE DEVICE, mounted on /Volumes/bootfs"},
		"disk5": {"", "/dev/disk5: 15.9 GB Built In SDXC Reader"},
		"disk6": {"not removable", "/dev/disk6: 2000.4 GB Elements 25A2, mounted on /Volumes/Backup"},
		"disk7": {"not removable", "/dev/disk7: 45 MB Disk Image, mounted on /Volumes/Installer"},
		"disk8": {"", "/dev/disk8: 7.8 GB Compute Module (its eMMC, by rpiboot) mmcblk0"},
		"disk9": {"read-only", "/dev/disk9: 15.9 GB SD Card Reader"},
	}
	for _, d := range list {
		w := want[d.Name]
		if got := d.String(); got != w.text {
			t.Errorf("got %s, want %s", got, w.text)
		}
		if err := d.Refusal(0, false); (w.refusal == "") != (err == nil) || err != nil && !contains(err, w.refusal) {
			t.Errorf("%s: got %v, want %q", d.Name, err, w.refusal)
		}
	}
	if len(list) != len(want) {
		t.Errorf("got %d drives, want %d", len(list), len(want))
	}
}

func TestMacNames(t *testing.T) {
	t.Chdir(folder(t))
	if err := os.WriteFile("disk5", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	drives := func() ([]Drive, error) { return []Drive{{Name: "disk4", Path: "/dev/disk4"}}, nil }
	for path, want := range map[string]string{
		"/dev/disk4": "disk4 true", "/dev/rdisk4": "disk4 true", "disk4": "disk4 true", "rdisk4": "disk4 true",
		"/dev/disk4s1": "name the whole one, /dev/disk4", "/dev/disk44": "is not a drive",
		"/dev/null": "is not a drive",
		"disk5":     " false", "card.img": " false", "none/card.img": " false", ".": "neither a drive",
	} {
		d, ok, err := diskutilAt(path, drives)
		got := fmt.Sprint(d.Name, " ", ok)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestMacWithoutAnAnswer(t *testing.T) {
	const empty = `<?xml version="1.0"?><plist version="1.0"><dict/></plist>`
	for name, c := range map[string]struct {
		run  func(...string) ([]byte, error)
		want string
	}{
		"error": {func(...string) ([]byte, error) { return nil, errors.New("no such program") },
			"no such program"},
		"garbage": {func(...string) ([]byte, error) { return []byte("<plist><dict>"), nil },
			"diskutil list"},
		"too long": {func(...string) ([]byte, error) { return make([]byte, mostPlist+1), nil },
			"more than"},
		"no disk to run from": {func(...string) ([]byte, error) { return []byte(empty), nil },
			"which disk this computer"},
		"disk without details": {func(a ...string) ([]byte, error) { return answeredOrNot(a) }, "diskutil info"},
	} {
		if _, err := diskutilDrives(c.run); !contains(err, c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func answeredOrNot(args []string) ([]byte, error) {
	if args[0] == "info" {
		return nil, errors.New("exit status 1")
	}
	return answered(args...)
}
