package main

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of linux/aio_abi.h.
const (
	commandRead  = 0
	commandWrite = 1
)

// control is struct iocb of linux/aio_abi.h on a little-endian machine.
type control struct {
	data           uint64
	key, rwFlags   uint32
	operation      uint16
	priority       int16
	fd             uint32
	buffer, length uint64
	offset         int64
	_              uint64
	flags, eventFD uint32
}

type event struct {
	data, object    uint64
	result, result2 int64
}

func aio(operation uint16) ([]byte, error) {
	var context uintptr
	if _, _, errno := unix.Syscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&context)), 0); errno != 0 {
		return nil, errno
	}
	b := make([]byte, len(leak))
	if operation == commandWrite {
		copy(b, leak)
	}
	c := &control{operation: operation, fd: uint32(link), buffer: uint64(uintptr(unsafe.Pointer(&b[0]))),
		length: uint64(len(b))}
	if _, _, errno := unix.Syscall(unix.SYS_IO_SUBMIT, context, 1, uintptr(unsafe.Pointer(&c))); errno != 0 {
		return nil, errno
	}
	var e event
	if _, _, errno := unix.Syscall6(unix.SYS_IO_GETEVENTS, context, 1, 1, uintptr(unsafe.Pointer(&e)), 0,
		0); errno != 0 {
		return nil, errno
	}
	return answer(b, e.result, operation == commandRead)
}

// Of linux/io_uring.h.
const (
	opRead      = 22
	opWrite     = 23
	enterEvents = 1
	offRing     = 0
	offEntries  = 0x1000_0000
)

type parameters struct {
	entries, completions, flags, thread, idle, features, queue uint32
	_                                                          [3]uint32
	submit                                                     struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	complete struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

type submission struct {
	operation, flags uint8
	priority         uint16
	fd               int32
	offset, buffer   uint64
	length, rwFlags  uint32
	data             uint64
	_                [3]uint64
}

func uring(operation uint8) ([]byte, error) {
	var p parameters
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, errno
	}
	ring, err := syscall.Mmap(int(fd), offRing, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	entries, err := syscall.Mmap(int(fd), offEntries, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	b := make([]byte, len(leak))
	if operation == opWrite {
		copy(b, leak)
	}
	*(*submission)(unsafe.Pointer(&entries[0])) = submission{
		operation: operation, fd: int32(link), offset: ^uint64(0),
		buffer: uint64(uintptr(unsafe.Pointer(&b[0]))), length: uint32(len(b)),
	}
	*(*uint32)(unsafe.Pointer(&ring[p.submit.array])) = 0
	*(*uint32)(unsafe.Pointer(&ring[p.submit.tail])) = 1
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, fd, 1, 1, enterEvents, 0, 0); errno != 0 {
		return nil, errno
	}
	result := *(*int32)(unsafe.Pointer(&ring[p.complete.cqes+8]))
	return answer(b, int64(result), operation == opRead)
}

func answer(b []byte, result int64, reads bool) ([]byte, error) {
	switch {
	case result < 0:
		return nil, syscall.Errno(-result)
	case reads:
		return b[:result], nil
	}
	return nil, nil
}
