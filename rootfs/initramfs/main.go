// Program initramfs is the first program that the kernel starts on a board. It counts
// the start, checks that the root slot is the one that it was built with, and starts
// the PID 1 in it; or it starts the trial of an update, or rolls back to the other set
// (see package update).
//
//	/init         this program
//	/root.json    what the root filesystem must be: size and SHA-256
//	/dev/console  the kernel's console
//
// It reads only the card, and refuses to start a shell. When nothing boots it reports
// that on the console and restarts after half a minute.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"heliograph/firmware/platform/release"
	"heliograph/rootfs/bootloader"
	"heliograph/rootfs/update"
)

const (
	discovery = 30 * time.Second // until the kernel has found the card
	pause     = 30 * time.Second // before a board that cannot boot tries again
	newRoot   = "/root"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "initramfs: this starts a board, and does nothing elsewhere")
		os.Exit(2)
	}
	slot, action, err := decide()
	if err != nil {
		say(err.Error())
	}
	if advice := bootloader.Read(os.DirFS("/")).Advice(); advice != "" && (err != nil || action == update.Try) {
		say(advice)
	}
	switch action {
	case update.Start:
		say("cannot hand over: " + handOver(slot).Error())
		restart("")
	case update.Try:
		say("an update is tried")
		restart(update.TryArgument)
	case update.Restart:
		restart("")
	}
	say("NOTHING BOOTS FROM THIS CARD: write it again. Restarting in half a minute.")
	time.Sleep(pause)
	restart("")
}

// say writes to the console, which shows nothing else with a quiet kernel.
func say(text string) { fmt.Println("initramfs: " + text) }

// decide finds the card and asks package update. The device is the running
// set's root slot.
func decide() (slot string, action update.Action, err error) {
	for _, m := range []struct{ kind, at string }{{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}} {
		if err := unix.Mount(m.kind, m.at, m.kind, unix.MS_NOSUID|unix.MS_NOEXEC, ""); err != nil {
			return "", update.Stuck, fmt.Errorf("mounting %s: %v", m.at, err)
		}
	}
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return "", update.Stuck, err
	}
	signature, set, err := update.Running(string(line))
	if err != nil {
		return "", update.Stuck, err
	}
	root, err := built()
	if err != nil {
		return "", update.Stuck, err
	}
	disk, slot, err := find("/sys/class/block", "/dev", signature, set, time.Now().Add(discovery))
	if err != nil {
		return "", update.Stuck, err
	}
	d, err := update.OpenDevice(disk, false)
	if err != nil {
		return "", update.Stuck, err
	}
	defer d.Close()
	card, err := update.Open(d, set)
	if err != nil {
		return "", update.Stuck, err
	}
	action, err = card.Boot(root)
	if s, fault := card.State(); fault == nil && s.Trying {
		err = errors.Join(err, os.Setenv(update.TrialVariable, "1")) // handOver gives it to PID 1
	}
	return slot, action, err
}

// built reads what the image was built with.
func built() (release.Part, error) {
	b, err := os.ReadFile("/root.json")
	if err != nil {
		return release.Part{}, err
	}
	var root release.Part
	if err := json.Unmarshal(b, &root); err != nil {
		return release.Part{}, fmt.Errorf("/root.json: %v", err)
	}
	return root, nil
}

// handOver makes the slot the root and starts its PID 1; it returns only when
// that fails. What is left of this program's filesystem is freed.
func handOver(slot string) error {
	if err := unix.Mount(slot, newRoot, "squashfs", unix.MS_RDONLY|unix.MS_NODEV, ""); err != nil {
		return fmt.Errorf("mounting %s: %v", slot, err)
	}
	for _, at := range []string{"/sys", "/proc", "/dev"} {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting %s: %v", at, err)
		}
	}
	if err := os.Remove("/init"); err != nil {
		return err
	}
	if err := unix.Chdir(newRoot); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("moving the root: %v", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return unix.Exec("/init", []string{"/init"}, os.Environ())
}

// restart gives the firmware an argument; the kernel prints it.
func restart(argument string) {
	unix.Sync()
	command, text := unix.LINUX_REBOOT_CMD_RESTART, []byte(argument+"\x00")
	if argument != "" {
		command = unix.LINUX_REBOOT_CMD_RESTART2
	}
	_, _, err := unix.Syscall6(unix.SYS_REBOOT, unix.LINUX_REBOOT_MAGIC1, unix.LINUX_REBOOT_MAGIC2,
		uintptr(command), uintptr(unsafe.Pointer(&text[0])), 0, 0)
	runtime.KeepAlive(text)
	say("restarting: " + err.Error())
	select {} // the kernel panics, and restarts, when its first program ends
}
