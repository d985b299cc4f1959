package sandbox

import "golang.org/x/sys/unix"

// x32 marks numbers of amd64's 32-bit ABI (__X32_SYSCALL_BIT).
const x32 = 0x4000_0000

func architectures() map[string]uint32 {
	return map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}
}

// rules is the whole policy, most frequent calls first.
func rules(d Direction, pid int) []rule {
	wrong, right := reads(), writes()
	getsockopt := unlessLink(0)
	if d == Receive {
		wrong, right = right, wrong
		getsockopt = nil // it counts what the kernel had no room for
	}
	var all []rule
	add := func(tests []test, final verdict, numbers ...uintptr) {
		for _, n := range numbers {
			all = append(all, rule{number: n, tests: tests, final: final})
		}
	}
	for _, n := range wrong {
		add(append(unlessLink(0), unlessOpening(n)...), allow, n)
	}
	for _, n := range right {
		add(unlessOpening(n), allow, n)
	}
	add(nil, allow, memoryAndThreads()...)
	add(nil, allow, files()...)
	add(nil, allow, sockets()...)
	add(unlessLink(0), allow, linkSetup()...)
	add([]test{{argument: 0, values: []uint32{LinkDescriptor}, then: pretend}}, allow, unix.SYS_CLOSE)
	add(unlessLink(0), allow, unix.SYS_DUP)
	add(append(unlessLink(0), unlessLink(1)...), allow, unix.SYS_DUP3)
	add(getsockopt, allow, unix.SYS_GETSOCKOPT)
	add(descriptorFlags(), allow, unix.SYS_FCNTL)
	add(control(d), deny, unix.SYS_IOCTL)
	add(mapping(), allow, unix.SYS_MMAP)
	add([]test{{argument: 2, mask: unix.PROT_EXEC, values: []uint32{unix.PROT_EXEC}, then: deny}}, allow,
		unix.SYS_MPROTECT)
	add([]test{{argument: 0, mask: unix.CLONE_THREAD, values: []uint32{unix.CLONE_THREAD}, then: allow}}, deny,
		unix.SYS_CLONE)
	add([]test{{argument: 0, values: []uint32{uint32(pid)}, then: allow}}, deny, unix.SYS_TGKILL, unix.SYS_KILL)
	add([]test{{argument: 0, values: []uint32{0}, then: allow}}, deny, unix.SYS_PRLIMIT64)
	add([]test{{argument: 0, values: []uint32{unix.PR_SET_VMA}, then: allow}}, deny, unix.SYS_PRCTL)
	all = append(all, newSocket())
	all = append(all, machine()...)
	add(nil, other, unix.SYS_SPLICE, unix.SYS_SENDFILE, unix.SYS_COPY_FILE_RANGE)
	add(nil, old, unix.SYS_CLONE3) // its flags are in memory
	add(nil, kill, never()...)
	return all
}

// unlessLink kills when an argument is the link.
func unlessLink(argument uint32) []test {
	return []test{{argument: argument, values: []uint32{LinkDescriptor}, then: kill}}
}

// reads take from their first argument.
func reads() []uintptr {
	return []uintptr{
		unix.SYS_READ, unix.SYS_READV, unix.SYS_PREAD64, unix.SYS_PREADV, unix.SYS_PREADV2,
		unix.SYS_RECVFROM, unix.SYS_RECVMSG, unix.SYS_RECVMMSG,
	}
}

// writes give to their first argument.
func writes() []uintptr {
	return []uintptr{
		unix.SYS_WRITE, unix.SYS_WRITEV, unix.SYS_PWRITE64, unix.SYS_PWRITEV, unix.SYS_PWRITEV2,
		unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG,
	}
}

// unlessOpening refuses to open a connection by sending (TCP Fast Open), which
// Landlock does not see.
func unlessOpening(number uintptr) []test {
	flags, sends := map[uintptr]uint32{unix.SYS_SENDTO: 3, unix.SYS_SENDMSG: 2, unix.SYS_SENDMMSG: 3}[number]
	if !sends {
		return nil
	}
	return []test{{argument: flags, mask: unix.MSG_FASTOPEN, values: []uint32{unix.MSG_FASTOPEN}, then: deny}}
}

func memoryAndThreads() []uintptr {
	return []uintptr{
		unix.SYS_FUTEX, unix.SYS_EPOLL_PWAIT, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME,
		unix.SYS_CLOCK_GETRES, unix.SYS_GETTIMEOFDAY, unix.SYS_MADVISE, unix.SYS_MUNMAP, unix.SYS_MINCORE, unix.SYS_BRK,
		unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_RT_SIGRETURN, unix.SYS_RT_SIGPROCMASK,
		unix.SYS_RT_SIGACTION, unix.SYS_SIGALTSTACK, unix.SYS_SETITIMER, unix.SYS_TIMER_CREATE, unix.SYS_TIMER_SETTIME,
		unix.SYS_TIMER_DELETE, unix.SYS_RESTART_SYSCALL, unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
		unix.SYS_GETPID, unix.SYS_GETPPID, unix.SYS_GETTID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID,
		unix.SYS_GETEGID, unix.SYS_GETGROUPS, unix.SYS_GETRUSAGE, unix.SYS_GETRANDOM, unix.SYS_UNAME, unix.SYS_SYSINFO,
		unix.SYS_ADJTIMEX, // to ask how good the clock is; to set it takes a capability
		unix.SYS_EXECVE,   // the stage becomes the role; Landlock leaves no other program
	}
}

func files() []uintptr {
	return []uintptr{
		unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EVENTFD2, unix.SYS_PIPE2,
		unix.SYS_OPENAT, unix.SYS_FSTAT, unix.SYS_STATX, unix.SYS_STATFS, unix.SYS_FSTATFS,
		unix.SYS_LSEEK, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_FLOCK,
		unix.SYS_GETDENTS64, unix.SYS_GETCWD, unix.SYS_READLINKAT, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2,
		unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_FCHMOD, unix.SYS_FCHMODAT,
		unix.SYS_UTIMENSAT, unix.SYS_UMASK,
	}
}

func sockets() []uintptr {
	return []uintptr{unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME}
}

// linkSetup are calls of a socket's life that PID 1 has done for the link: a
// connected one would receive ICMP errors, options open rings and buffers.
func linkSetup() []uintptr {
	return []uintptr{
		unix.SYS_SETSOCKOPT, unix.SYS_BIND, unix.SYS_CONNECT, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4,
		unix.SYS_SHUTDOWN,
	}
}

// newSocket lets through the families that Go's net package uses, but
// unix(7)'s: that one hands over descriptors. Landlock knows the ports of TCP
// alone: Multipath TCP, SCTP and SMC would go past it.
func newSocket() rule {
	return rule{number: unix.SYS_SOCKET, final: deny, tests: []test{
		{argument: 2, not: true, values: []uint32{0, unix.IPPROTO_TCP, unix.IPPROTO_UDP}, then: deny},
		{argument: 0, values: []uint32{unix.AF_INET, unix.AF_INET6}, then: allow},
		{argument: 2, not: true, values: []uint32{unix.NETLINK_ROUTE}, then: deny},
		{argument: 0, values: []uint32{unix.AF_NETLINK}, then: allow},
	}}
}

// descriptorFlags forbids, on the link, a second descriptor (F_DUPFD) and
// signals when something arrives (F_SETFL with O_ASYNC, F_SETOWN).
func descriptorFlags() []test {
	return []test{
		{argument: 1, values: []uint32{unix.F_GETFL, unix.F_GETFD, unix.F_SETFD}, then: allow},
		{argument: 0, values: []uint32{LinkDescriptor}, then: kill},
	}
}

// control leaves a role the length of an output queue: a transmitter its link's, and
// both what a TCP peer has not acknowledged (SIOCOUTQ, which is the same number). A
// receiver may ask what its UART counted, damaged bytes among it. Other requests are
// not worth a death.
func control(d Direction) []test {
	queue := []test{{argument: 1, values: []uint32{unix.TIOCOUTQ}, then: allow}}
	if d == Receive {
		counts := []test{{argument: 1, values: []uint32{unix.TIOCGICOUNT}, then: allow}}
		return append(append(counts, unlessLink(0)...), queue...)
	}
	return append(queue, unlessLink(0)...)
}

// mapping forbids the link, whose driver might show a buffer, and new code.
func mapping() []test {
	return []test{
		{argument: 2, mask: unix.PROT_EXEC, values: []uint32{unix.PROT_EXEC}, then: deny},
		{argument: 3, mask: unix.MAP_ANONYMOUS, values: []uint32{unix.MAP_ANONYMOUS}, then: allow},
		{argument: 4, values: []uint32{LinkDescriptor}, then: kill},
	}
}

// never are calls that no role makes: each reaches into the kernel, another
// process or the link, past the rules above.
func never() []uintptr {
	return []uintptr{
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE,
		unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_KCMP,
		unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_IO_SETUP,
		unix.SYS_IO_SUBMIT,
		unix.SYS_TEE, unix.SYS_VMSPLICE,
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_SECCOMP, unix.SYS_USERFAULTFD, unix.SYS_MEMFD_CREATE,
		unix.SYS_MEMFD_SECRET, unix.SYS_EXECVEAT,
		unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_FANOTIFY_INIT,
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE,
		unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_MKNODAT,
		unix.SYS_UNSHARE, unix.SYS_SETNS,
		unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE,
		unix.SYS_DELETE_MODULE,
		unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_SYSLOG,
		unix.SYS_VHANGUP,
		unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
		unix.SYS_PERSONALITY,
		unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
		unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETREUID, unix.SYS_SETREGID, unix.SYS_SETRESUID, unix.SYS_SETRESGID,
		unix.SYS_SETGROUPS, unix.SYS_CAPSET,
	}
}
