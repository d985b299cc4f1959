package sandbox

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"heliograph/ci/await"
)

// try is one way around the sandbox, over one kind of link, and what the
// sandbox answers. Without the sandbox the same succeeds.
type try struct{ kind, attempt, want string }

const killed = "SIGSYS"

func TestATransmitterCannotReadItsLink(t *testing.T) {
	root(t)
	for _, c := range []try{
		{"socket", "read", killed},
		{"socket", "read, upper half set", killed},
		{"socket", "read, fd sign bits", killed},
		{"socket", "readv", killed},
		{"socket", "preadv2", killed},
		{"socket", "recvfrom", killed},
		{"socket", "recvfrom, upper half", killed},
		{"socket", "recvmsg", killed},
		{"socket", "recvmmsg", killed},
		{"socket", "read on a new thread", killed},
		{"socket", "epoll, then read", killed},
		{"socket", "fork, then read", "EPERM"},
		{"socket", "clone3, then read", "ENOSYS"},
		{"socket", "another program reads", "EPERM"},
		{"socket", "exec itself, then read", killed},
		{"socket", "dup", killed},
		{"socket", "dup, upper half", killed},
		{"socket", "dup3", killed},
		{"socket", "F_DUPFD", killed},
		{"socket", "F_DUPFD_CLOEXEC", killed},
		{"socket", "F_DUPFD, upper half", killed},
		{"socket", "pidfd_getfd", killed},
		{"socket", "SCM_RIGHTS", "EPERM"},
		{"socket", "splice", "EINVAL"},
		{"socket", "io_submit", killed},
		{"socket", "io_uring", killed},
		{"tty", "read", killed},
		{"tty", "open /proc/self/fd/3", "EACCES"},
		{"tty", "open /proc/self/fd/3, both ways", "EACCES"},
		{"tty", "open /proc/thread-self", "EACCES"},
		{"tty", "open the device's own path", "EACCES"},
		{"tty", "open a path descriptor of it", "EACCES"},
		{"tty", "open a link to it", "EPERM"},
		{"file", "read", killed},
		{"file", "pread64", killed},
		{"file", "preadv", killed},
		{"file", "mmap", killed},
		{"file", "mmap, upper half", killed},
		{"file", "sendfile", "EINVAL"},
		{"file", "copy_file_range", "EINVAL"},
		{"file", "io_submit", killed},
		{"file", "io_uring", killed},
		{"file", "open /proc/self/fd/3", "EACCES"},
		{"file", "open_by_handle_at", killed},
	} {
		t.Run(c.kind+": "+c.attempt, func(t *testing.T) {
			t.Parallel()
			if got := hostile(t, newWire(t, c.kind, "secret\n"), Transmit, true, c.attempt); got != c.want {
				t.Errorf("in the sandbox: %q, want %q", got, c.want)
			}
			if got := hostile(t, newWire(t, c.kind, "secret\n"), Transmit, false, c.attempt); !strings.HasPrefix(got,
				"secre") {
				t.Errorf("without it: %q, want the secret: this row proves nothing", got)
			}
		})
	}
}

func TestAReceiverCannotWriteItsLink(t *testing.T) {
	root(t)
	for _, c := range []try{
		{"socket", "write", killed},
		{"socket", "write, upper half set", killed},
		{"socket", "writev", killed},
		{"socket", "pwritev2", killed},
		{"socket", "sendto", killed},
		{"socket", "sendto, upper half", killed},
		{"socket", "sendmsg", killed},
		{"socket", "sendmmsg", killed},
		{"socket", "another program writes", "EPERM"},
		{"socket", "exec itself, then write", killed},
		{"socket", "dup out", killed},
		{"socket", "dup, upper half out", killed},
		{"socket", "dup3 out", killed},
		{"socket", "F_DUPFD out", killed},
		{"socket", "F_DUPFD_CLOEXEC out", killed},
		{"socket", "pidfd_getfd out", killed},
		{"socket", "SCM_RIGHTS out", "EPERM"},
		{"socket", "splice out", "EINVAL"},
		{"socket", "sendfile out", "EINVAL"},
		{"socket", "io_submit out", killed},
		{"socket", "io_uring out", killed},
		{"tty", "write", killed},
		{"tty", "TIOCSTI", killed},
		{"tty", "TCXONC", killed},
		{"tty", "open /proc/self/fd/3 out", "EACCES"},
		{"tty", "open the device's own path out", "EACCES"},
		{"tty", "open a path descriptor of it out", "EACCES"},
		{"tty", "open a link to it out", "EPERM"},
		{"file", "pwrite64", killed},
		{"file", "pwritev", killed},
		{"file", "mmap, write", killed},
		{"file", "copy_file_range out", "EINVAL"},
		{"pipe", "vmsplice out", killed},
		{"pipe", "tee out", killed},
	} {
		t.Run(c.kind+": "+c.attempt, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, c.kind, "")
			if got := hostile(t, w, Receive, true, c.attempt); got != c.want {
				t.Errorf("in the sandbox: %q, want %q", got, c.want)
			}
			if got := w.arrived(t, 20*time.Millisecond); got != "" {
				t.Errorf("in the sandbox: %q left, want nothing", got)
			}
			w = newWire(t, c.kind, "")
			got := hostile(t, w, Receive, false, c.attempt)
			if left := w.arrived(t, await.Bound); left == "" {
				t.Errorf("without it: %q, nothing left: this row proves nothing", got)
			}
		})
	}
}

func TestTheLinkAnswersNoQuestions(t *testing.T) {
	root(t)
	for _, c := range []struct{ kind, attempt, tx, rx string }{
		{"tty", "FIONREAD", killed, killed},
		{"tty", "FIONREAD, upper half", killed, killed},
		{"tty", "TCGETS", killed, killed},
		{"tty", "TCSBRK", killed, killed},
		{"tty", "TIOCOUTQ", "done", killed},
		{"tty", "O_ASYNC", killed, killed},
		{"tty", "F_SETOWN", killed, killed},
		{"tty", "a node of its own", killed, killed},
		{"socket", "SO_MEMINFO", killed, "done"},
		{"socket", "SO_RCVBUF", killed, killed},
		{"socket", "shutdown", killed, killed},
	} {
		t.Run(c.attempt, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, c.kind, "")
			if got := hostile(t, w, Transmit, true, c.attempt); got != c.tx {
				t.Errorf("transmitter: %q, want %q", got, c.tx)
			}
			if got := hostile(t, w, Receive, true, c.attempt); got != c.rx {
				t.Errorf("receiver: %q, want %q", got, c.rx)
			}
			if got := hostile(t, w, Receive, false, c.attempt); got != "done" {
				t.Errorf("without the sandbox: %q, want \"done\": this row proves nothing", got)
			}
		})
	}
}

func TestARoleStaysWhereItIs(t *testing.T) {
	root(t)
	for _, c := range []struct{ attempt, want string }{
		{"ptrace", killed},
		{"process_vm_readv", killed},
		{"process_vm_writev", killed},
		{"bpf", killed},
		{"perf_event_open", killed},
		{"userfaultfd", killed},
		{"unshare", killed},
		{"setns", killed},
		{"mount", killed},
		{"open_tree", killed},
		{"chroot", killed},
		{"pivot_root", killed},
		{"kexec_load", killed},
		{"finit_module", killed},
		{"delete_module", killed},
		{"seccomp", killed},
		{"memfd_create", killed},
		{"keyctl", killed},
		{"clock_settime", killed},
		{"adjtimex", "EPERM"},
		{"setresuid", killed},
		{"reboot", killed},
		{"pidfd_open", "EPERM"},
		{"prctl", "EPERM"},
		{"prlimit of others", "EPERM"},
		{"signal to PID 1", "EPERM"},
		{"new code", "EPERM"},
		{"memory made code", "EPERM"},
		{"exec another program", "EACCES"},
		{"exec what it wrote", "EACCES"},
		{"packet socket", "EPERM"},
		{"Unix socket", "EPERM"},
		{"netlink, socket diagnosis", "EPERM"},
		{"AF_ALG", "EPERM"},
		{"read another file", "EACCES"},
		{"list the root", "EACCES"},
		{"open /dev/null", "EACCES"},
		{"open /proc/self/mem", "EACCES"},
		{"open a parent's maps", "EACCES"},
		{"open /sys", "EACCES"},
		{"write beside its state", "EACCES"},
		{"write what it may read", "EACCES"},
	} {
		t.Run(c.attempt, func(t *testing.T) {
			t.Parallel()
			for _, d := range []Direction{Transmit, Receive} {
				if got := hostile(t, newWire(t, "socket", ""), d, true, c.attempt); got != c.want {
					t.Errorf("direction %d: %q, want %q", d, got, c.want)
				}
			}
			got := hostile(t, newWire(t, "socket", ""), Transmit, false, c.attempt)
			if absent := []string{"ENOSYS", "EAFNOSUPPORT"}; got != "done" && got != "" &&
				!slices.Contains(absent, got) {
				t.Errorf("without the sandbox: %q, want \"done\", or a kernel without it: this row proves nothing", got)
			}
		})
	}
}

// A descriptor's owner gets a signal of the role's choice, which the filter
// cannot see; Landlock's scope is what holds it back.
func TestASignalDoesNotLeaveTheSandbox(t *testing.T) {
	root(t)
	for _, inside := range []bool{true, false} {
		victim := exec.Command("sleep", "60")
		victim.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user},
			Pdeathsig: syscall.SIGKILL}
		if err := victim.Start(); err != nil {
			t.Fatal(err)
		}
		s := spec(folder(t), Transmit, newWire(t, "socket", "").near)
		s.Arguments = []string{"signal through a pipe", s.State, "-", strconv.Itoa(victim.Process.Pid)}
		c := exec.Command(s.Program, s.Arguments...)
		if inside {
			var err error
			if c, err = command(s); err != nil {
				t.Fatal(err)
			}
			c.Path = bench + "/stage"
		}
		if out, err := c.Output(); string(out) != "done\n" {
			t.Errorf("in the sandbox %v: %q, %v; want \"done\"", inside, out, err)
		}
		// What the role did not kill dies of this.
		_ = victim.Process.Signal(syscall.SIGTERM)
		_ = victim.Wait()
		want := syscall.SIGTERM
		if !inside {
			want = syscall.SIGKILL
		}
		if got := victim.ProcessState.Sys().(syscall.WaitStatus).Signal(); got != want {
			t.Errorf("in the sandbox %v: the other process died of %v, want %v", inside, got, want)
		}
	}
}

func TestARoleCanWork(t *testing.T) {
	root(t)
	for _, d := range []Direction{Transmit, Receive} {
		if got := hostile(t, newWire(t, "socket", ""), d, true, "work"); got != "done" {
			t.Errorf("direction %d: %q, want \"done\"", d, got)
		}
	}
}
