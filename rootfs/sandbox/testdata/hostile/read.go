package main

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func reading() map[string]attempt {
	take := func(number, fd uintptr) attempt { return func() ([]byte, error) { return read(number, fd) } }
	return map[string]attempt{
		"read":                 take(unix.SYS_READ, link),
		"read, upper half set": take(unix.SYS_READ, upper),
		"read, fd sign bits":   take(unix.SYS_READ, 0xffff_ffff_0000_0003),
		"pread64":              take(unix.SYS_PREAD64, link),
		"recvfrom":             take(unix.SYS_RECVFROM, link),
		"recvfrom, upper half": take(unix.SYS_RECVFROM, upper),
		"readv":                func() ([]byte, error) { return readv(unix.SYS_READV, 0) },
		"preadv":               func() ([]byte, error) { return readv(unix.SYS_PREADV, 0) },
		"preadv2":              func() ([]byte, error) { return readv(unix.SYS_PREADV2, ^uintptr(0)) },
		"recvmsg":              recvmsg,
		"recvmmsg":             recvmmsg,
		"read on a new thread": func() (b []byte, err error) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				runtime.LockOSThread()
				b, err = read(unix.SYS_READ, link)
			}()
			<-done
			return b, err
		},
		"epoll, then read": epollRead,
		"mmap":             mapLink,
		"mmap, upper half": func() ([]byte, error) { return mapFD(upper) },
		"fork, then read":  func() ([]byte, error) { return fork(false) },
		"clone3, then read": func() ([]byte, error) {
			return fork(true)
		},
		"another program reads": func() ([]byte, error) {
			c := exec.Command("/usr/bin/head", "-c", "7")
			c.Stdin = os.NewFile(link, "link")
			return c.Output()
		},
		"exec itself, then read": func() ([]byte, error) {
			return nil, unix.Exec(os.Args[0], append([]string{os.Args[0], "read"}, os.Args[2:]...), nil)
		},
		"exec another program": func() ([]byte, error) { return nil, unix.Exec("/bin/true", []string{"true"}, nil) },
	}
}

func read(number, fd uintptr) ([]byte, error) {
	b := make([]byte, 64)
	n, _, errno := unix.Syscall6(number, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	if errno != 0 {
		return nil, errno
	}
	return b[:n], nil
}

func readv(number, offset uintptr) ([]byte, error) {
	b := make([]byte, 64)
	v := unix.Iovec{Base: &b[0]}
	v.SetLen(len(b))
	n, _, errno := unix.Syscall6(number, link, uintptr(unsafe.Pointer(&v)), 1, offset, offset, 0)
	if errno != 0 {
		return nil, errno
	}
	return b[:n], nil
}

func message(b []byte) *unix.Msghdr {
	v := &unix.Iovec{Base: &b[0]}
	v.SetLen(len(b))
	h := &unix.Msghdr{Iov: v}
	h.SetIovlen(1)
	return h
}

func recvmsg() ([]byte, error) {
	b := make([]byte, 64)
	n, _, errno := unix.Syscall(unix.SYS_RECVMSG, link, uintptr(unsafe.Pointer(message(b))), 0)
	return b[:max(0, int(n))], fail(errno)
}

type several struct {
	header unix.Msghdr
	length uint32
}

func recvmmsg() ([]byte, error) {
	b := make([]byte, 64)
	m := several{header: *message(b)}
	_, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, link, uintptr(unsafe.Pointer(&m)), 1, 0, 0, 0)
	return b[:m.length], fail(errno)
}

func epollRead() ([]byte, error) {
	e, err := unix.EpollCreate1(0)
	if err != nil {
		return nil, err
	}
	if err := unix.EpollCtl(e, unix.EPOLL_CTL_ADD, int(link), &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
		return nil, err
	}
	if _, err := unix.EpollWait(e, make([]unix.EpollEvent, 1), 1000); err != nil && err != unix.EPERM {
		return nil, err
	}
	return read(unix.SYS_READ, link)
}

func mapLink() ([]byte, error) { return mapFD(link) }

func mapFD(fd uintptr) ([]byte, error) {
	p, _, errno := unix.Syscall6(unix.SYS_MMAP, 0, 4096, unix.PROT_READ, unix.MAP_SHARED, fd, 0)
	if errno != 0 {
		return nil, errno
	}
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&p))), len("secret")), nil
}

// cloneArguments is struct clone_args of linux/sched.h, in its first version.
type cloneArguments struct{ flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls uint64 }

// fork makes a process that reads the link and writes what it read to standard
// output. Between fork and exit it stays clear of the runtime.
func fork(three bool) ([]byte, error) {
	runtime.LockOSThread()
	b := make([]byte, 64)
	arguments := cloneArguments{exitSignal: uint64(unix.SIGCHLD)}
	syscall.ForkLock.Lock()
	var pid uintptr
	var errno syscall.Errno
	if three {
		pid, _, errno = unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&arguments)), unsafe.Sizeof(arguments),
			0)
	} else {
		pid, _, errno = unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	}
	if errno == 0 && pid == 0 {
		n, _, _ := unix.RawSyscall(unix.SYS_READ, link, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		unix.RawSyscall(unix.SYS_WRITE, 1, uintptr(unsafe.Pointer(&b[0])), n)
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	syscall.ForkLock.Unlock()
	if errno != 0 {
		return nil, errno
	}
	_, err := unix.Wait4(int(pid), nil, 0, nil)
	return nil, err
}
