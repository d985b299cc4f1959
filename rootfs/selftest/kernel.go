package selftest

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"heliograph/boards"
)

// From linux/gpio.h: struct gpio_v2_line_info and the request that fills it.
const (
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

// output reports whether a program holds a line as an output. It does not take the
// line: that would fail, or disturb the program that has it.
func output(l boards.Line) (bool, error) {
	chip, err := os.Open(l.Chip)
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
