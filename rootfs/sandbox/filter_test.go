package sandbox

import (
	"encoding/binary"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const self = 4711 // the role's process

// judge runs a filter outside the kernel. The kernel loads words in its own
// byte order, this machine in the network's.
func judge(t *testing.T, d Direction) func(arch uint32, number uintptr, arguments ...uint64) verdict {
	t.Helper()
	f, err := program(d, self)
	if err != nil {
		t.Fatal(err)
	}
	if most := 4096; len(f) > most { // BPF_MAXINSNS
		t.Fatalf("%d instructions, want at most %d", len(f), most)
	}
	instructions, ok := bpf.Disassemble(f)
	if !ok {
		t.Fatal("the filter holds something that is not an instruction")
	}
	vm, err := bpf.NewVM(instructions)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, offArguments+6*sizeArgument)
	return func(arch uint32, number uintptr, arguments ...uint64) verdict {
		clear(b)
		binary.BigEndian.PutUint32(b[offNumber:], uint32(number))
		binary.BigEndian.PutUint32(b[offArch:], arch)
		for i, a := range arguments {
			binary.BigEndian.PutUint32(b[offArguments+sizeArgument*i:], uint32(a))
			binary.BigEndian.PutUint32(b[offArguments+sizeArgument*i+4:], uint32(a>>32))
		}
		got, err := vm.Run(b)
		if err != nil {
			t.Fatal(err)
		}
		return verdict(uint32(got))
	}
}

func TestVerdicts(t *testing.T) {
	const high = 0xdead_beef << 32
	arch := architectures()[runtime.GOARCH]
	for _, c := range []struct {
		name      string
		number    uintptr
		arguments []uint64
		tx, rx    verdict
	}{
		{"read of the link", unix.SYS_READ, []uint64{3}, kill, allow},
		{"read of the link, rubbish above", unix.SYS_READ, []uint64{3 | high}, kill, allow},
		{"read beside the link", unix.SYS_READ, []uint64{4}, allow, allow},
		{"read, the link's number elsewhere", unix.SYS_READ, []uint64{4, 3, 3}, allow, allow},
		{"read, the link's number above", unix.SYS_READ, []uint64{4 | 3<<32}, allow, allow},
		{"write to the link", unix.SYS_WRITE, []uint64{3}, allow, kill},
		{"write to the link, rubbish above", unix.SYS_WRITE, []uint64{3 | high}, allow, kill},
		{"write beside the link", unix.SYS_WRITE, []uint64{2}, allow, allow},
		{"getsockopt of the link", unix.SYS_GETSOCKOPT, []uint64{3}, kill, allow},
		{"setsockopt of the link", unix.SYS_SETSOCKOPT, []uint64{3}, kill, kill},
		{"setsockopt of another", unix.SYS_SETSOCKOPT, []uint64{7}, allow, allow},
		{"close of the link", unix.SYS_CLOSE, []uint64{3}, pretend, pretend},
		{"close of another", unix.SYS_CLOSE, []uint64{4}, allow, allow},
		{"another in the link's place", unix.SYS_DUP3, []uint64{5, 3}, kill, kill},
		{"F_GETFL of the link", unix.SYS_FCNTL, []uint64{3, unix.F_GETFL}, allow, allow},
		{"F_DUPFD of the link", unix.SYS_FCNTL, []uint64{3, unix.F_DUPFD}, kill, kill},
		{"F_DUPFD of the link, rubbish above", unix.SYS_FCNTL, []uint64{3 | high, unix.F_DUPFD | high}, kill, kill},
		{"F_DUPFD of another", unix.SYS_FCNTL, []uint64{5, unix.F_DUPFD}, allow, allow},
		{"TIOCOUTQ of the link", unix.SYS_IOCTL, []uint64{3, unix.TIOCOUTQ}, allow, kill},
		{"FIONREAD of the link", unix.SYS_IOCTL, []uint64{3, unix.TIOCINQ}, kill, kill},
		{"TIOCGICOUNT of the link", unix.SYS_IOCTL, []uint64{3, unix.TIOCGICOUNT}, kill, allow},
		{"SIOCOUTQ of another", unix.SYS_IOCTL, []uint64{9, unix.SIOCOUTQ}, allow, allow},
		{"ioctl of another", unix.SYS_IOCTL, []uint64{1, unix.TCGETS}, deny, deny},
		{"memory", unix.SYS_MMAP, []uint64{0, 1, unix.PROT_READ, unix.MAP_ANONYMOUS | unix.MAP_PRIVATE, ^uint64(0)},
			allow, allow},
		{"memory, the link named in vain", unix.SYS_MMAP, []uint64{0, 1, unix.PROT_READ, unix.MAP_ANONYMOUS, 3}, allow,
			allow},
		{"a file", unix.SYS_MMAP, []uint64{0, 1, unix.PROT_READ, unix.MAP_SHARED, 8}, allow, allow},
		{"the link in memory", unix.SYS_MMAP, []uint64{0, 1, unix.PROT_READ, unix.MAP_SHARED, 3 | high}, kill, kill},
		{"the link, MAP_ANONYMOUS above", unix.SYS_MMAP, []uint64{0, 1, unix.PROT_READ, unix.MAP_ANONYMOUS << 32, 3},
			kill, kill},
		{"code", unix.SYS_MMAP, []uint64{0, 1, unix.PROT_EXEC, unix.MAP_ANONYMOUS}, deny, deny},
		{"memory made code", unix.SYS_MPROTECT, []uint64{0, 1, unix.PROT_READ | unix.PROT_EXEC}, deny, deny},
		{"memory made readable", unix.SYS_MPROTECT, []uint64{0, 1, unix.PROT_READ}, allow, allow},
		{"TCP", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, 0}, allow, allow},
		{"UDP over IPv6", unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_UDP}, allow, allow},
		{"Multipath TCP", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, deny, deny},
		{"SCTP", unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_SCTP}, deny, deny},
		{"raw IP", unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP}, deny, deny},
		{"TCP Fast Open", unix.SYS_SENDTO, []uint64{9, 0, 0, unix.MSG_FASTOPEN | unix.MSG_NOSIGNAL}, deny, deny},
		{"TCP Fast Open by sendmsg", unix.SYS_SENDMSG, []uint64{9, 0, unix.MSG_FASTOPEN}, deny, deny},
		{"TCP Fast Open by sendmmsg", unix.SYS_SENDMMSG, []uint64{9, 0, 0, unix.MSG_FASTOPEN}, deny, deny},
		{"routing netlink", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, allow,
			allow},
		{"other netlink", unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_SOCK_DIAG}, deny,
			deny},
		{"Unix socket", unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM, 0}, deny, deny},
		{"packet socket", unix.SYS_SOCKET, []uint64{unix.AF_PACKET, unix.SOCK_RAW, 0}, deny, deny},
		{"pair of Unix sockets", unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX}, deny, deny},
		{"thread", unix.SYS_CLONE, []uint64{unix.CLONE_VM | unix.CLONE_THREAD}, allow, allow},
		{"process", unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, deny, deny},
		{"process, CLONE_THREAD above", unix.SYS_CLONE, []uint64{unix.CLONE_THREAD << 32}, deny, deny},
		{"signal to itself", unix.SYS_TGKILL, []uint64{self, 99, 23}, allow, allow},
		{"signal to others", unix.SYS_TGKILL, []uint64{1, 1, 9}, deny, deny},
		{"signal to all", unix.SYS_KILL, []uint64{^uint64(0), 9}, deny, deny},
		{"own limits", unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_NOFILE}, allow, allow},
		{"an unknown call", 999, []uint64{3}, deny, deny},
	} {
		for d, want := range map[Direction]verdict{Transmit: c.tx, Receive: c.rx} {
			if got := judge(t, d)(arch, c.number, c.arguments...); got != want {
				t.Errorf("%s, direction %d: verdict %#x, want %#x", c.name, d, got, want)
			}
		}
	}
}

func TestAnotherArchitectureIsKilled(t *testing.T) {
	mine := architectures()[runtime.GOARCH]
	decide := judge(t, Transmit)
	for _, arch := range []uint32{unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_ARM, unix.AUDIT_ARCH_X86_64,
		unix.AUDIT_ARCH_AARCH64, 0} {
		if got := decide(arch, unix.SYS_WRITE, 1); (got == kill) == (arch == mine) {
			t.Errorf("architecture %#x: verdict %#x, want it to be killed unless it is %#x", arch, got, mine)
		}
	}
	if got := decide(mine, x32|unix.SYS_WRITE, 1); got != kill {
		t.Errorf("x32: verdict %#x, want %#x", got, kill)
	}
}

// No call may take the link's number from one rule into the next: a verdict
// other than the call's own is what a filter with that fault gives.
func TestNoRuleReachesIntoAnother(t *testing.T) {
	arch := architectures()[runtime.GOARCH]
	for _, d := range []Direction{Transmit, Receive} {
		decide := judge(t, d)
		for _, r := range rules(d, self) {
			possible := []verdict{r.final}
			for _, test := range r.tests {
				possible = append(possible, test.then)
			}
			for argument := range uint64(600) { // every number there is, as an argument
				got := decide(arch, r.number, argument, argument, argument, argument, argument, argument)
				if !slices.Contains(possible, got) {
					t.Fatalf("direction %d, call %d with %d: verdict %#x, want one of %#x", d, r.number, argument, got,
						possible)
				}
			}
		}
	}
}
