package main

import (
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reopening opens the link's device again.
func reopening() map[string]attempt {
	all := map[string]attempt{}
	for name, path := range map[string]func() (string, error){
		"/proc/self/fd/3":       func() (string, error) { return "/proc/self/fd/3", nil },
		"/proc/thread-self":     func() (string, error) { return "/proc/thread-self/fd/3", nil },
		"the device's own path": func() (string, error) { return os.Readlink("/proc/self/fd/3") },
		"a path descriptor of it": func() (string, error) {
			fd, err := unix.Open("/proc/self/fd/3", unix.O_PATH, 0)
			return fmt.Sprintf("/proc/self/fd/%d", fd), err
		},
		"a link to it": func() (string, error) {
			path := filepath.Join(argument(0), "device")
			return path, os.Symlink("/proc/self/fd/3", path)
		},
	} {
		for suffix, mode := range map[string]int{"": unix.O_RDONLY, ", both ways": unix.O_RDWR, " out": unix.O_WRONLY} {
			all["open "+name+suffix] = func() ([]byte, error) {
				p, err := path()
				if err != nil {
					return nil, err
				}
				fd, err := unix.Open(p, mode|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
				if err != nil {
					return nil, err
				}
				if mode == unix.O_WRONLY {
					return nil, write(unix.SYS_WRITE, uintptr(fd))
				}
				return read(unix.SYS_READ, uintptr(fd))
			}
		}
	}
	all["open_by_handle_at"] = func() ([]byte, error) {
		h, _, err := unix.NameToHandleAt(int(link), "", unix.AT_EMPTY_PATH)
		if err != nil {
			return nil, err
		}
		fd, err := unix.OpenByHandleAt(number(2), h, unix.O_RDONLY)
		if err != nil {
			return nil, err
		}
		return read(unix.SYS_READ, uintptr(fd))
	}
	all["a node of its own"] = func() ([]byte, error) {
		var s unix.Stat_t
		if err := unix.Fstat(int(link), &s); err != nil {
			return nil, err
		}
		return nil, unix.Mknod(filepath.Join(argument(0), "node"), unix.S_IFCHR|0o666, int(s.Rdev))
	}
	return all
}

// asking learns something of the link, or changes it, without a transfer.
func asking() map[string]attempt {
	ioctl := func(fd, request uintptr) attempt {
		return func() ([]byte, error) {
			b := [256]byte{'x'}
			_, err := call(unix.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(&b)))
			return nil, err
		}
	}
	option := func(number uintptr, level, option int) attempt {
		return func() ([]byte, error) {
			var b [64]byte
			size := uintptr(4)
			length := uint32(len(b))
			if number == unix.SYS_GETSOCKOPT {
				size = uintptr(unsafe.Pointer(&length))
			}
			_, _, errno := unix.Syscall6(number, link, uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&b)),
				size, 0)
			return nil, fail(errno)
		}
	}
	return map[string]attempt{
		"FIONREAD":             ioctl(link, unix.TIOCINQ),
		"FIONREAD, upper half": ioctl(upper, 1<<32|unix.TIOCINQ),
		"TIOCSTI":              ioctl(link, unix.TIOCSTI),
		"TCGETS":               ioctl(link, unix.TCGETS),
		"TCSBRK":               ioctl(link, unix.TCSBRK),
		"TCXONC": func() ([]byte, error) {
			_, err := call(unix.SYS_IOCTL, link, unix.TCXONC, unix.TCIOFF)
			return nil, err
		},
		"TIOCOUTQ":   ioctl(link, unix.TIOCOUTQ),
		"SO_MEMINFO": option(unix.SYS_GETSOCKOPT, unix.SOL_SOCKET, unix.SO_MEMINFO),
		"SO_RCVBUF":  option(unix.SYS_SETSOCKOPT, unix.SOL_SOCKET, unix.SO_RCVBUF),
		"shutdown":   func() ([]byte, error) { return nil, unix.Shutdown(int(link), unix.SHUT_RD) },
		"O_ASYNC": func() ([]byte, error) {
			_, err := call(unix.SYS_FCNTL, link, unix.F_SETFL, unix.O_ASYNC)
			return nil, err
		},
		"F_SETOWN": func() ([]byte, error) {
			_, err := call(unix.SYS_FCNTL, link, unix.F_SETOWN, uintptr(os.Getpid()))
			return nil, err
		},
	}
}

// reach says "done" when a call got as far as the kernel's own code.
func reach(number uintptr, arguments ...uintptr) attempt {
	return func() ([]byte, error) {
		var a [6]uintptr
		copy(a[:], arguments)
		_, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
		if errno == unix.EPERM || errno == unix.ENOSYS || errno == unix.EACCES {
			return nil, errno
		}
		return nil, nil
	}
}

// reaching attacks the kernel, other processes, or files.
func reaching() map[string]attempt {
	socket := func(family, kind, protocol int) attempt {
		return func() ([]byte, error) { _, err := unix.Socket(family, kind, protocol); return nil, err }
	}
	open := func(path string, mode int) attempt {
		return func() ([]byte, error) { _, err := unix.Open(path, mode, 0o600); return nil, err }
	}
	const bad = ^uintptr(0)
	return map[string]attempt{
		"ptrace":            reach(unix.SYS_PTRACE, unix.PTRACE_TRACEME),
		"process_vm_readv":  reach(unix.SYS_PROCESS_VM_READV, uintptr(os.Getppid()), 0, 0, 0, 0, 0),
		"process_vm_writev": reach(unix.SYS_PROCESS_VM_WRITEV, uintptr(os.Getppid()), 0, 0, 0, 0, 0),
		"bpf":               reach(unix.SYS_BPF, bad),
		"perf_event_open":   reach(unix.SYS_PERF_EVENT_OPEN, 0, 0, bad, bad, bad),
		"userfaultfd":       reach(unix.SYS_USERFAULTFD, 0),
		"unshare":           reach(unix.SYS_UNSHARE, unix.CLONE_NEWUSER|unix.CLONE_NEWNET),
		"setns":             reach(unix.SYS_SETNS, bad, 0),
		"mount":             reach(unix.SYS_MOUNT, 0, 0, 0, 0, 0),
		"open_tree":         reach(unix.SYS_OPEN_TREE, link, 0, unix.AT_EMPTY_PATH),
		"chroot":            reach(unix.SYS_CHROOT, 0),
		"pivot_root":        reach(unix.SYS_PIVOT_ROOT, 0, 0),
		"kexec_load":        reach(unix.SYS_KEXEC_LOAD, 0, bad, 0, bad),
		"finit_module":      reach(unix.SYS_FINIT_MODULE, bad, 0, 0),
		"delete_module":     reach(unix.SYS_DELETE_MODULE, 0, 0),
		"seccomp":           reach(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, 0),
		"memfd_create":      reach(unix.SYS_MEMFD_CREATE, 0, 0),
		"keyctl":            reach(unix.SYS_KEYCTL, 0, bad),
		"adjtimex": func() ([]byte, error) {
			// a tick of 0, which is none
			if _, err := unix.Adjtimex(&unix.Timex{Modes: unix.ADJ_TICK}); err != unix.EINVAL {
				return nil, err
			}
			return nil, nil
		},
		"clock_settime":     reach(unix.SYS_CLOCK_SETTIME, 0, 0),
		"setresuid":         reach(unix.SYS_SETRESUID, 0, 0, 0),
		"reboot":            reach(unix.SYS_REBOOT, 0),
		"pidfd_open":        reach(unix.SYS_PIDFD_OPEN, uintptr(os.Getppid()), 0),
		"prctl":             reach(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1),
		"prlimit of others": reach(unix.SYS_PRLIMIT64, uintptr(os.Getppid()), unix.RLIMIT_NOFILE, 0, 0),
		"signal to PID 1":   func() ([]byte, error) { return nil, unix.Kill(os.Getppid(), 0) },
		"new code": reach(unix.SYS_MMAP, 0, 4096, unix.PROT_EXEC|unix.PROT_READ,
			unix.MAP_ANONYMOUS|unix.MAP_PRIVATE, bad, 0),
		"memory made code":          madeCode,
		"x32 read":                  reach(0x4000_0000|unix.SYS_READ, link, 0, 0),
		"packet socket":             socket(unix.AF_PACKET, unix.SOCK_RAW, 0),
		"Unix socket":               socket(unix.AF_UNIX, unix.SOCK_STREAM, 0),
		"netlink, socket diagnosis": socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_SOCK_DIAG),
		"AF_ALG":                    socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0),
		"read another file":         open("/etc/passwd", unix.O_RDONLY),
		"list the root":             open("/", unix.O_RDONLY|unix.O_DIRECTORY),
		"open /dev/null":            open("/dev/null", unix.O_RDWR),
		"open /proc/self/mem":       open("/proc/self/mem", unix.O_RDWR),
		"open a parent's maps":      open(fmt.Sprintf("/proc/%d/maps", os.Getppid()), unix.O_RDONLY),
		"open /sys":                 open("/sys/kernel/uevent_seqnum", unix.O_RDONLY),
		"exec what it wrote": func() ([]byte, error) {
			b, err := os.ReadFile(os.Args[0])
			if err != nil {
				return nil, err
			}
			path := filepath.Join(argument(0), "program")
			if err := os.WriteFile(path, b, 0o700); err != nil {
				return nil, err
			}
			return nil, unix.Exec(path, append([]string{path, "prctl"}, os.Args[2:]...), nil)
		},
		"signal through a pipe": func() ([]byte, error) {
			var p [2]int
			if err := unix.Pipe2(p[:], unix.O_NONBLOCK); err != nil {
				return nil, err
			}
			for _, set := range [][2]uintptr{{unix.F_SETOWN, uintptr(number(2))},
				{unix.F_SETSIG, uintptr(unix.SIGKILL)}, {unix.F_SETFL, unix.O_ASYNC | unix.O_NONBLOCK}} {
				if _, err := call(unix.SYS_FCNTL, uintptr(p[0]), set[0], set[1]); err != nil {
					return nil, err
				}
			}
			_, err := unix.Write(p[1], []byte("x"))
			return nil, err
		},
		"write beside its state": func() ([]byte, error) {
			return nil, os.WriteFile(filepath.Join(filepath.Dir(argument(0)), "beside"), nil, 0o600)
		},
		"write what it may read": func() ([]byte, error) {
			_, err := unix.Open(argument(1), unix.O_WRONLY|unix.O_TRUNC, 0)
			return nil, err
		},
	}
}

func madeCode() ([]byte, error) {
	b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	return nil, unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC)
}
