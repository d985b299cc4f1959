package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/rootfs/update"
)

// machine lays out what /sys and /dev show of two disks, the second one ours.
func machine(t *testing.T) (blocks, devices string) {
	t.Helper()
	folder := t.TempDir()
	blocks, devices = filepath.Join(folder, "block"), filepath.Join(folder, "dev")
	for name, text := range map[string]string{
		"block/sda/sda1/partition":          "1\n",
		"block/mmcblk0/mmcblk0p2/partition": "2\n",
		"block/mmcblk0/mmcblk0p3/partition": "3\n",
		"dev/sda":                           table(0x11111111),
		"dev/mmcblk0":                       table(0x22222222),
		"dev/short":                         "too short",
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(blocks, "short"), 0o700); err != nil {
		t.Fatal(err)
	}
	return blocks, devices
}

func table(signature uint32) string {
	b := make([]byte, 512)
	binary.LittleEndian.PutUint32(b[440:], signature)
	binary.LittleEndian.PutUint16(b[510:], 0xAA55)
	return string(b)
}

func TestFindTakesTheDiskWithTheSignature(t *testing.T) {
	blocks, devices := machine(t)
	for set, want := range map[update.Set]string{update.A: "mmcblk0p2", update.B: "mmcblk0p3"} {
		disk, slot, err := find(blocks, devices, 0x22222222, set, time.Now().Add(time.Minute))
		if err != nil || filepath.Base(disk) != "mmcblk0" || filepath.Base(slot) != want {
			t.Errorf("set %c: got %s, %s, %v; want mmcblk0, %s", set, disk, slot, err, want)
		}
	}
}

func TestFindSaysWhenThereIsNoCard(t *testing.T) {
	blocks, devices := machine(t)
	for name, signature := range map[string]uint32{"another signature": 0x33333333, "no such partition": 0x11111111} {
		if _, _, err := find(blocks, devices, signature, update.A, time.Now()); err == nil ||
			!strings.Contains(err.Error(), "no card") {
			t.Errorf("%s: got %v, want no card", name, err)
		}
	}
}
