package mmsg

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// DropAll attaches a filter that drops all a socket receives (SO_ATTACH_FILTER), and
// locks it, so that it cannot be removed (SO_LOCK_FILTER).
func DropAll(fd int) error {
	reject := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	program := unix.SockFprog{Len: uint16(len(reject)), Filter: &reject[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
		return fmt.Errorf("attaching the filter that drops all: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 1); err != nil {
		return fmt.Errorf("locking the filter: %w", err)
	}
	return nil
}

// ReceiveBuffer asks for a receive buffer past the system's limit where the
// process may (CAP_NET_ADMIN), else up to net.core.rmem_max, and returns what
// it got, in the units of that limit.
func ReceiveBuffer(fd, want int) (got int, err error) {
	return buffer(fd, want, unix.SO_RCVBUF, unix.SO_RCVBUFFORCE)
}

// SendBuffer is the same for net.core.wmem_max.
func SendBuffer(fd, want int) (got int, err error) {
	return buffer(fd, want, unix.SO_SNDBUF, unix.SO_SNDBUFFORCE)
}

func buffer(fd, want, option, force int) (int, error) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, want) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, want); err != nil {
			return 0, fmt.Errorf("setting the socket's buffer: %w", err)
		}
	}
	got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option)
	if err != nil {
		return 0, fmt.Errorf("reading the socket's buffer: %w", err)
	}
	return got / 2, nil // socket(7): the kernel doubles it for its own book-keeping
}

// MemInfo is a part of SO_MEMINFO.
type MemInfo struct {
	Queued uint32 // bytes held for the reader
	Drops  uint32 // datagrams for which there was no room; wraps
}

// Indices into SO_MEMINFO's answer (linux/sock_diag.h).
const (
	memInfoRmemAlloc = 0
	memInfoDrops     = 8
	memInfoVars      = 9
)

// ReadMemInfo reads it.
func ReadMemInfo(fd int) (MemInfo, error) {
	var v [memInfoVars]uint32
	size := uint32(unsafe.Sizeof(v))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&v)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return MemInfo{}, fmt.Errorf("reading SO_MEMINFO: %w", errno)
	}
	return MemInfo{Queued: v[memInfoRmemAlloc], Drops: v[memInfoDrops]}, nil
}

// Drops adds up the kernel's drops, whose own counter wraps at 2³². The zero
// value is ready.
type Drops struct {
	total uint64
	last  uint32
}

// Add takes a reading and returns the total.
func (d *Drops) Add(reading uint32) uint64 {
	d.total += uint64(reading - d.last)
	d.last = reading
	return d.total
}

// Restart says that the next reading is of a new socket.
func (d *Drops) Restart() { d.last = 0 }
