package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"heliograph/rootfs/update"
)

const poll = 10 * time.Millisecond

// find returns the disk with a signature and its partition with the set's root
// slot, as soon as the kernel has found both.
func find(blocks, devices string, signature uint32, set update.Set, until time.Time) (disk, slot string, err error) {
	for ; ; time.Sleep(poll) {
		names, err := filepath.Glob(filepath.Join(blocks, "*"))
		if err != nil {
			return "", "", err
		}
		for _, name := range names {
			device := filepath.Join(devices, filepath.Base(name))
			if signed(device, signature) {
				if slot, ok := partition(name, set.Partition()); ok {
					return device, filepath.Join(devices, slot), nil
				}
			}
		}
		if time.Now().After(until) {
			return "", "", fmt.Errorf("no card has the disk signature %08x", signature)
		}
	}
}

// signed says whether a device begins with a partition table of this signature.
func signed(device string, signature uint32) bool {
	f, err := os.Open(device)
	if err != nil {
		return false
	}
	defer f.Close()
	b := make([]byte, 512)
	if _, err := f.ReadAt(b, 0); err != nil {
		return false
	}
	return binary.LittleEndian.Uint16(b[510:]) == 0xAA55 && binary.LittleEndian.Uint32(b[440:]) == signature
}

// partition returns the name of a disk's partition by its number.
func partition(disk string, number int) (string, bool) {
	names, err := filepath.Glob(filepath.Join(disk, "*", "partition"))
	if err != nil {
		return "", false
	}
	for _, name := range names {
		if b, err := os.ReadFile(name); err == nil && strings.TrimSpace(string(b)) == strconv.Itoa(number) {
			return filepath.Base(filepath.Dir(name)), true
		}
	}
	return "", false
}
