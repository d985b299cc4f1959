// Package sandbox runs a role where a compromised one stays one-way: it cannot
// read the link that it transmits on, nor write the one that it receives from,
// nor get another descriptor of it, nor become or start another program.
//
// Command makes PID 1's own binary run once more as a stage, which takes every
// privilege away and then becomes the role. The role needs no code for it:
//
//	PID 1 ── Command, Start ──▶ stage: Main ── execve ──▶ role
//	  0 stdin, 1 stdout, 2 stderr      close all but 0 to 4
//	  3 the link                       limits: core 0, files, threads
//	  4 a pipe with the pair keys      bounding set, groups, GID, UID, capabilities
//	                                   no_new_privs
//	                                   Landlock: files, TCP ports, signals, abstract sockets
//	                                   seccomp, on all threads
//
// # Files
//
// Landlock (ABI 6, Linux 6.12) grants the program (execute), what Spec.Read
// names (read) and the state folder (all but devices, FIFOs, sockets, links).
// Nothing else opens: no device, so not the link's either, no /proc, no /sys.
// A grant holds for the file as it is at the start: one that is replaced by
// rename, such as resolv.conf, needs its folder granted. Landlock does not hide
// names: stat and readlink answer.
//
// # Network
//
// Landlock grants to listen on the TCP ports of Spec.Bind and to connect to those
// of Spec.Connect, which PID 1 takes from the configuration: the listeners'
// and the peers' ports. Port 0, one that the kernel picks, is granted too: Go uses
// it to find out whether there is IPv6. Other protocols, over which a connection would go past
// Landlock, are refused.
//
// # System calls
//
// The filter reads the architecture, the number and then at most two
// arguments; every rule ends in a verdict of its own:
//
//	arch ≠ ours, x32 ───────────────────────────────▶ kill
//	read, readv, preadv, recvmsg … ─ fd = 3 on TX ──▶ kill ─ else ▶ allow
//	write, writev, sendmmsg …  ───── fd = 3 on RX ──▶ kill ─ else ▶ allow
//	dup, dup3, setsockopt, connect … fd = 3 ────────▶ kill ─ else ▶ allow
//	close ───────────────────────── fd = 3 ─────────▶ nothing, 0 ─ else ▶ allow
//	getsockopt ───────────────────── fd = 3 on TX ──▶ kill ─ else ▶ allow
//	fcntl ──────── fd = 3, not F_GETFL, F_[GS]ETFD ─▶ kill ─ else ▶ allow
//	ioctl ──────── fd = 3, not TX's TIOCOUTQ,
//	               not RX's TIOCGICOUNT ────────────▶ kill ─ SIOCOUTQ ▶ allow ─ else ▶ EPERM
//	mmap ───────── a file, fd = 3 ──────────────────▶ kill ─ executable ▶ EPERM ─ else ▶ allow
//	sendto, sendmsg, sendmmsg ───────── MSG_FASTOPEN ▶ EPERM ─ else as above
//	socket ─────── protocol not 0, TCP, UDP ────────▶ EPERM
//	               AF_INET, AF_INET6, NETLINK_ROUTE ▶ allow ─ else ▶ EPERM
//	clone ──────── CLONE_THREAD ────────────────────▶ allow ─ else ▶ EPERM
//	tgkill, kill ─ itself ──────────────────────────▶ allow ─ else ▶ EPERM
//	what Go and its standard library need ──────────▶ allow
//	ptrace, bpf, io_uring_setup, splice, mount … ───▶ kill
//	anything else ──────────────────────────────────▶ EPERM
//
// To kill means SIGSYS for the whole process: no correct role ever does these,
// so PID 1 sees an intrusion, not a restart. Unix sockets are refused because
// SCM_RIGHTS hands over a second descriptor of the link, under a number that no
// filter knows; so the stage refuses a standard stream that is a socket.
//
// A link is never really closed: the next file would get its number, and an
// honest role die of reading it.
//
// Registers are 64 bit wide, but the kernel declares every argument tested
// here as int or unsigned int, or narrows it before use (flags of clone, fd of
// mmap): what it takes is the lower half. The filter compares that half alone,
// so 0x1_0000_0003 is fd 3 here as it is there. Nothing behind a pointer can be
// read: no rule relies on it (clone3, with its flags in memory, gets EPERM).
//
// The program is generated here and not by github.com/elastic/go-seccomp-bpf
// v1.6.0. After an argument did not match, its code compares the
// argument, still in the accumulator, with the numbers that follow: a forbidden
// read of descriptor 3 is let through as number 3, close. Neither can it
// compare half of an argument.
//
// # What it does not promise
//
//   - Bugs of the kernel, the link's driver and the hardware. A wire that is
//     not there stays the guarantee.
//   - Epoll on the link, which Go needs. It says when something arrived, not
//     what; CREAD off on a UART, and the filter that drops all on a socket,
//     leave it nothing to report.
//   - The network beyond TCP ports. Landlock has no rules for addresses and, before ABI
//     10, no UDP: a role reaches a named port on any host and sends datagrams to
//     any, may bind a socket to any interface that it finds, and can listen on a
//     port that the kernel picks. So drivers/ethernet takes a link's
//     interface into a network namespace where no role is, and PID 1 a UDP link's
//     where [link] names it; any other UDP link can be reached, and what keeps it
//     one-way is the diode alone.
//   - Pipes as links: Landlock cannot keep /proc/self/fd from opening one
//     again. CheckLink refuses them.
//   - Dynamically linked programs: no file can be mapped executable.
//
// Terms follow landlock(7) and seccomp(2).
package sandbox
