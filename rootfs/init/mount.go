package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"heliograph/rootfs/storage"
)

// Partitions of the card.
const (
	bootPartition = "1"
	dataPartition = "4"
)

const inert = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// lazy makes a record that is written each second cost the card only its own sectors:
// updating the file's time would take a commit of the journal.
const lazy = unix.MS_NOATIME | unix.MS_LAZYTIME

// mountSystem mounts what the kernel serves. There is no log yet.
func mountSystem() error {
	var all error
	for _, m := range []struct {
		kind, at string
		flags    uintptr
		options  string
	}{
		{"devtmpfs", "/dev", unix.MS_NOSUID | unix.MS_NOEXEC, ""},
		{"proc", "/proc", inert, ""},
		{"sysfs", "/sys", inert, ""},
		{"tmpfs", "/run", inert, "mode=755,size=16m"},
		{"tmpfs", "/tmp", inert, "mode=1777,size=16m"},
	} {
		// The kernel may have mounted /dev itself.
		if err := unix.Mount(m.kind, m.at, m.kind, m.flags, m.options); err != nil && !errors.Is(err, unix.EBUSY) {
			all = errors.Join(all, fmt.Errorf("mounting %s: %v", m.at, err))
		}
	}
	return all
}

// mountBoot mounts the boot partition of a disk.
func mountBoot(log *slog.Logger, disk string) {
	err := storage.MountBoot(log, func() error {
		return mountPartition(disk, bootPartition, "/boot", "vfat", unix.MS_RDONLY|inert, storage.BootOptions)
	})
	if err != nil {
		log.Error("boot partition not mounted", "error", err)
	}
}

func mountPartition(disk, number, at, kind string, flags uintptr, options string) error {
	device, err := partition(disk, number)
	if err != nil {
		return err
	}
	if err := unix.Mount(device, at, kind, flags, options); err != nil {
		return fmt.Errorf("mounting %s on %s: %w", device, at, err)
	}
	return nil
}

// rootDisk returns the disk in /sys that carries the filesystem at path.
func rootDisk(path string) (string, error) {
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil {
		return "", err
	}
	name := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(s.Dev), unix.Minor(s.Dev))
	part, err := filepath.EvalSymlinks(name)
	if err != nil {
		return "", err
	}
	return filepath.Dir(part), nil
}

// partition returns the device of a disk's partition by its number.
func partition(disk, number string) (string, error) {
	names, err := filepath.Glob(filepath.Join(disk, "*", "partition"))
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if b, err := os.ReadFile(name); err == nil && strings.TrimSpace(string(b)) == number {
			return filepath.Join("/dev", filepath.Base(filepath.Dir(name))), nil
		}
	}
	return "", fmt.Errorf("%s has no partition %s", disk, number)
}

// unmount writes all to the card, before the power goes off.
func unmount(log *slog.Logger) {
	unix.Sync()
	for _, at := range []string{"/data", "/boot"} {
		if err := unix.Unmount(at, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			log.Error("not unmounted", "error", err, "path", at)
		}
	}
}
