package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestFormattedDevicePassesE2fsck(t *testing.T) {
	name := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 124<<20); err != nil {
		t.Fatal(err)
	}
	if err := format(name); err != nil {
		t.Fatal(err)
	}
	check := "e2fsck"
	if _, err := exec.LookPath(check); err != nil {
		check = "/usr/sbin/e2fsck"
	}
	said, err := exec.Command(check, "-fn", name).CombinedOutput()
	if os.IsNotExist(err) {
		t.Skip("not proved: the data partition's format, because e2fsck is not installed")
	}
	if err != nil {
		t.Errorf("e2fsck: got %v, want none\n%s", err, said)
	}
}

func TestPartitionIsFoundByItsNumber(t *testing.T) {
	disk := t.TempDir()
	for name, number := range map[string]string{"mmcblk0p1": "1\n", "mmcblk0p4": "4\n"} {
		if err := os.Mkdir(filepath.Join(disk, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(disk, name, "partition"), []byte(number), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := partition(disk, "4"); got != "/dev/mmcblk0p4" || err != nil {
		t.Errorf("got %q, %v; want /dev/mmcblk0p4", got, err)
	}
	if got, err := partition(disk, "3"); err == nil {
		t.Errorf("got %q for a partition that is not there, want an error", got)
	}
}
