package storage

import (
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resizeExt4 is EXT4_IOC_RESIZE_FS of fs/ext4/ext4.h, _IOW('f', 16, __u64).
const resizeExt4 = 0x40086610

// Enlarge makes the data partition reach the end of the card, whose device is named,
// and has the kernel take that over although other partitions are in use. It returns
// how many bytes were gained.
func Enlarge(card Disk, device string) (gained int64, err error) {
	f, err := os.Open(device)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	before, after, err := enlarge(card, size)
	if err != nil || after == before {
		return 0, err
	}
	p := unix.BlkpgPartition{Start: after.start * sectorSize, Length: after.size * sectorSize, Pno: dataNumber}
	a := unix.BlkpgIoctlArg{Op: unix.BLKPG_RESIZE_PARTITION, Datalen: int32(unsafe.Sizeof(p)),
		Data: (*byte)(unsafe.Pointer(&p))}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKPG, uintptr(unsafe.Pointer(&a))); errno != 0 {
		return 0, fmt.Errorf("storage: the kernel does not take over the partition before the next restart: %w", errno)
	}
	return (after.size - before.size) * sectorSize, nil
}

// Device is a data partition that the kernel has.
type Device struct {
	Name string // of the block device
	At   string // where it is mounted
	// Flags and options of mount(2).
	Flags uintptr
}

// Mount implements Machine.
func (d Device) Mount() error {
	if err := unix.Mount(d.Name, d.At, "ext4", d.Flags, ""); err != nil {
		return fmt.Errorf("mounting %s on %s: %w", d.Name, d.At, err)
	}
	return nil
}

// IsNew implements Machine.
func (d Device) IsNew() (bool, error) { return isNew(d.Name) }

// Format implements Machine.
func (d Device) Format() error { return format(d.Name) }

// Grow makes the filesystem, which is mounted, as large as its partition. It takes a
// minute or more on a large card; a power cut meanwhile leaves one that grows on. It
// returns how many bytes were gained.
func (d Device) Grow() (gained int64, err error) {
	fs, err := readFilesystem(d.Name)
	if err != nil {
		return 0, err
	}
	f, err := os.Open(d.Name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size/fs.blockSize <= fs.blocks {
		return 0, err
	}
	at, err := os.Open(d.At)
	if err != nil {
		return 0, err
	}
	defer at.Close()
	blocks := uint64(size / fs.blockSize)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, at.Fd(), resizeExt4, uintptr(unsafe.Pointer(&blocks))); errno != 0 {
		return 0, fmt.Errorf("storage: growing the filesystem of %s: %w", d.Name, errno)
	}
	now, err := readFilesystem(d.Name)
	return (now.blocks - fs.blocks) * fs.blockSize, err
}
