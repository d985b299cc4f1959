package selftest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"heliograph/boards"
)

// From linux/gpio.h: struct gpio_v2_line_info, struct gpiochip_info and the requests
// that fill them.
const (
	chipInfoRequest = 0x8044B401 // GPIO_GET_CHIPINFO_IOCTL
	lineInfoRequest = 0xC100B405 // GPIO_V2_GET_LINEINFO_IOCTL
	lineOutput      = 1 << 3     // GPIO_V2_LINE_FLAG_OUTPUT
	lineUsed        = 1 << 0     // GPIO_V2_LINE_FLAG_USED
)

type lineInfo struct {
	name, consumer     [32]byte
	offset, attributes uint32
	flags              uint64
	_                  [256 - 32 - 32 - 4 - 4 - 8]byte
}

type chipInfo struct {
	name, label [32]byte
	lines       uint32
}

// openChip opens a GPIO chip that is named by its device or by its label.
func openChip(name string) (*os.File, error) {
	if strings.HasPrefix(name, "/dev/") {
		return os.Open(name)
	}
	devices, err := filepath.Glob("/dev/gpiochip*")
	if err != nil {
		return nil, err
	}
	for _, device := range devices {
		chip, err := os.Open(device)
		if err != nil {
			continue
		}
		var info chipInfo
		_, _, e := unix.Syscall(unix.SYS_IOCTL, chip.Fd(), chipInfoRequest, uintptr(unsafe.Pointer(&info)))
		if e == 0 && unix.ByteSliceToString(info.label[:]) == name {
			return chip, nil
		}
		_ = chip.Close()
	}
	return nil, fmt.Errorf("no GPIO chip is labelled %s", name)
}

// output reports whether a program holds a line as an output. It does not take the
// line: that would fail, or disturb the program that has it.
func output(l boards.Line) (bool, error) {
	chip, err := openChip(l.Chip)
	if err != nil {
		return false, err
	}
	defer chip.Close()
	info := lineInfo{offset: uint32(l.Number)}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, chip.Fd(), lineInfoRequest, uintptr(unsafe.Pointer(&info))); e != 0 {
		return false, fmt.Errorf("%s, line %d: %v", l.Chip, l.Number, e)
	}
	return info.flags&(lineUsed|lineOutput) == lineUsed|lineOutput, nil
}

// room returns what a filesystem has left for others than root, and its size.
func room(folder string) (free, size uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, 0, fmt.Errorf("%s: %v", folder, err)
	}
	return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
}
