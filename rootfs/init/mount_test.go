package main

import (
	"os"
	"path/filepath"
	"testing"
)

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
