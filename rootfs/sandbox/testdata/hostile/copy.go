package main

import (
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// copying gets at the link through another descriptor or through the kernel.
// Names with "out" write to the link, the others read it.
func copying() map[string]attempt {
	all := map[string]attempt{
		"splice":              func() ([]byte, error) { return throughPipe(splice) },
		"splice out":          func() ([]byte, error) { return nil, outOfPipe(splice) },
		"sendfile":            func() ([]byte, error) { return throughPipe(sendfile) },
		"sendfile out":        func() ([]byte, error) { return nil, outOfFile(sendfile) },
		"copy_file_range":     copyRange,
		"copy_file_range out": func() ([]byte, error) { return nil, outOfFile(copyFileRange) },
		"vmsplice out":        vmsplice,
		"tee out":             func() ([]byte, error) { return nil, outOfPipe(tee) },
		"io_submit":           func() ([]byte, error) { return aio(commandRead) },
		"io_submit out":       func() ([]byte, error) { return aio(commandWrite) },
		"io_uring":            func() ([]byte, error) { return uring(opRead) },
		"io_uring out":        func() ([]byte, error) { return uring(opWrite) },
	}
	for name, second := range map[string]func() (uintptr, error){
		"dup":                 func() (uintptr, error) { return call(unix.SYS_DUP, link, 0, 0) },
		"dup, upper half":     func() (uintptr, error) { return call(unix.SYS_DUP, upper, 0, 0) },
		"dup3":                func() (uintptr, error) { return call(unix.SYS_DUP3, link, 100, 0) },
		"F_DUPFD":             func() (uintptr, error) { return call(unix.SYS_FCNTL, link, unix.F_DUPFD, 50) },
		"F_DUPFD_CLOEXEC":     func() (uintptr, error) { return call(unix.SYS_FCNTL, link, unix.F_DUPFD_CLOEXEC, 50) },
		"F_DUPFD, upper half": func() (uintptr, error) { return call(unix.SYS_FCNTL, upper, 7<<32|unix.F_DUPFD, 50) },
		"pidfd_getfd":         pidfdGetfd,
		"SCM_RIGHTS":          sendToItself,
	} {
		all[name] = func() ([]byte, error) {
			fd, err := second()
			if err != nil {
				return nil, err
			}
			return read(unix.SYS_READ, fd)
		}
		all[name+" out"] = func() ([]byte, error) {
			fd, err := second()
			if err != nil {
				return nil, err
			}
			return nil, write(unix.SYS_WRITE, fd)
		}
	}
	return all
}

func call(number, a, b, c uintptr) (uintptr, error) {
	r, _, errno := unix.Syscall(number, a, b, c)
	return r, fail(errno)
}

func pidfdGetfd() (uintptr, error) {
	me, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		me = 100 // the call itself is what is tried
	}
	return call(unix.SYS_PIDFD_GETFD, uintptr(me), link, 0)
}

func sendToItself() (uintptr, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.Sendmsg(pair[0], []byte("x"), unix.UnixRights(int(link)), nil, 0); err != nil {
		return 0, err
	}
	control := make([]byte, 64)
	_, n, _, _, err := unix.Recvmsg(pair[1], make([]byte, 1), control, 0)
	if err != nil {
		return 0, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil {
		return 0, err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return 0, err
	}
	return uintptr(fds[0]), nil
}

type mover func(from, to uintptr) (uintptr, error)

func splice(from, to uintptr) (uintptr, error) {
	n, _, errno := unix.Syscall6(unix.SYS_SPLICE, from, 0, to, 0, uintptr(len(leak)+1), 0)
	return n, fail(errno)
}

func tee(from, to uintptr) (uintptr, error) {
	n, _, errno := unix.Syscall6(unix.SYS_TEE, from, to, uintptr(len(leak)), 0, 0, 0)
	return n, fail(errno)
}

func sendfile(from, to uintptr) (uintptr, error) {
	n, _, errno := unix.Syscall6(unix.SYS_SENDFILE, to, from, 0, uintptr(len(leak)+1), 0, 0)
	return n, fail(errno)
}

func copyFileRange(from, to uintptr) (uintptr, error) {
	n, _, errno := unix.Syscall6(unix.SYS_COPY_FILE_RANGE, from, 0, to, 0, uintptr(len(leak)+1), 0)
	return n, fail(errno)
}

func throughPipe(move mover) ([]byte, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	if _, err := move(link, w.Fd()); err != nil {
		return nil, err
	}
	return read(unix.SYS_READ, r.Fd())
}

func outOfPipe(move mover) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	if _, err := w.WriteString(leak); err != nil {
		return err
	}
	_, err = move(r.Fd(), link)
	return err
}

// scratch is a file in the state folder.
func scratch(content string) (*os.File, error) {
	f, err := os.Create(filepath.Join(argument(0), "scratch"))
	if err != nil {
		return nil, err
	}
	if _, err := f.WriteString(content); err != nil {
		return nil, err
	}
	_, err = f.Seek(0, 0)
	return f, err
}

func outOfFile(move mover) error {
	f, err := scratch(leak)
	if err != nil {
		return err
	}
	_, err = move(f.Fd(), link)
	return err
}

func copyRange() ([]byte, error) {
	f, err := scratch("")
	if err != nil {
		return nil, err
	}
	if _, err := copyFileRange(link, f.Fd()); err != nil {
		return nil, err
	}
	b := make([]byte, 64)
	n, err := f.ReadAt(b, 0)
	if n > 0 {
		err = nil
	}
	return b[:n], err
}

func vmsplice() ([]byte, error) {
	b := []byte(leak)
	v := unix.Iovec{Base: &b[0]}
	v.SetLen(len(b))
	_, _, errno := unix.Syscall6(unix.SYS_VMSPLICE, link, uintptr(unsafe.Pointer(&v)), 1, 0, 0, 0)
	runtime.KeepAlive(b)
	return nil, fail(errno)
}
