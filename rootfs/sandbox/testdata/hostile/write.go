package main

import (
	"os"
	"os/exec"
	"unsafe"

	"golang.org/x/sys/unix"
)

const leak = "leak\n"

func writing() map[string]attempt {
	give := func(number, fd uintptr) attempt { return func() ([]byte, error) { return nil, write(number, fd) } }
	return map[string]attempt{
		"write":                 give(unix.SYS_WRITE, link),
		"write, upper half set": give(unix.SYS_WRITE, upper),
		"pwrite64":              give(unix.SYS_PWRITE64, link),
		"sendto":                give(unix.SYS_SENDTO, link),
		"sendto, upper half":    give(unix.SYS_SENDTO, upper),
		"writev":                func() ([]byte, error) { return nil, writev(unix.SYS_WRITEV, 0) },
		"pwritev":               func() ([]byte, error) { return nil, writev(unix.SYS_PWRITEV, 0) },
		"pwritev2":              func() ([]byte, error) { return nil, writev(unix.SYS_PWRITEV2, ^uintptr(0)) },
		"sendmsg": func() ([]byte, error) {
			_, _, errno := unix.Syscall(unix.SYS_SENDMSG, link, uintptr(unsafe.Pointer(message([]byte(leak)))), 0)
			return nil, fail(errno)
		},
		"sendmmsg": func() ([]byte, error) {
			m := several{header: *message([]byte(leak))}
			_, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, link, uintptr(unsafe.Pointer(&m)), 1, 0, 0, 0)
			return nil, fail(errno)
		},
		"mmap, write": func() ([]byte, error) {
			if err := unix.Ftruncate(int(link), int64(len(leak))); err != nil {
				return nil, err
			}
			p, _, errno := unix.Syscall6(unix.SYS_MMAP, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED, link,
				0)
			if errno != 0 {
				return nil, errno
			}
			copy(unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&p))), len(leak)), leak)
			return nil, nil
		},
		"another program writes": func() ([]byte, error) {
			c := exec.Command("/bin/echo", "leak")
			c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.NewFile(link, "link"), os.Stderr
			return nil, c.Run()
		},
		"exec itself, then write": func() ([]byte, error) {
			return nil, unix.Exec(os.Args[0], append([]string{os.Args[0], "write"}, os.Args[2:]...), nil)
		},
	}
}

func write(number, fd uintptr) error {
	b := []byte(leak)
	_, _, errno := unix.Syscall6(number, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return fail(errno)
}

func writev(number, offset uintptr) error {
	b := []byte(leak)
	v := unix.Iovec{Base: &b[0]}
	v.SetLen(len(b))
	_, _, errno := unix.Syscall6(number, link, uintptr(unsafe.Pointer(&v)), 1, offset, offset, 0)
	return fail(errno)
}
