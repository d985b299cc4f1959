package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/ci/await"
	"heliograph/drivers/drivertest"
)

// user is one that no account has.
const user = 31337

// bench is where the tests' programs live, which the role's user can reach.
var bench string

func TestMain(m *testing.M) {
	Main()
	code, err := prepare(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox: preparing the tests:", err)
	}
	os.Exit(code)
}

func prepare(m *testing.M) (code int, err error) {
	if bench, err = os.MkdirTemp("", "heliograph-sandbox"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(bench)
	if err := os.Chmod(bench, 0o755); err != nil {
		return 1, err
	}
	build := exec.Command("go", "build", "-o", bench, "./testdata/hostile", "./testdata/stage")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

func root(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("not proved: the sandbox, because only root can become another user")
	}
}

// folder returns a folder that belongs to the role.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(bench, "case")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(dir+"/state", 0o700), os.Chown(dir+"/state", user, user),
		os.WriteFile(dir+"/config", []byte("configuration"), 0o644), os.Chown(dir+"/config", user, user)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func spec(dir string, d Direction, link *os.File) Spec {
	return Spec{
		Program: bench + "/hostile", Link: link, Direction: d, UID: user, GID: user,
		Read: []string{dir + "/config", dir + "/missing"}, State: dir + "/state", Files: 256, Threads: 512,
	}
}

// wire is a link of some kind that works both ways, and its far side.
type wire struct {
	near, far *os.File
	kind      string
}

// newWire opens one. What is in it for a reader is there when it returns.
func newWire(t *testing.T, kind string, content string) *wire {
	t.Helper()
	w := &wire{kind: kind}
	switch kind {
	case "socket":
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.near, w.far = os.NewFile(uintptr(pair[0]), "near"), os.NewFile(uintptr(pair[1]), "far")
	case "tty":
		master, path := drivertest.OpenPTY(t)
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, user, user); err != nil { // so that not its mode keeps the role out
			t.Fatal(err)
		}
		w.near, w.far = os.NewFile(uintptr(fd), "near"), master
	case "file":
		path := filepath.Join(folder(t), "link")
		var err error
		if err := os.WriteFile(path, make([]byte, 0), 0o666); err != nil {
			t.Fatal(err)
		}
		if w.near, err = os.OpenFile(path, os.O_RDWR, 0); err == nil {
			w.far, err = os.OpenFile(path, os.O_RDWR, 0)
		}
		if err = errors.Join(err, os.Chown(path, user, user)); err != nil {
			t.Fatal(err)
		}
	case "pipe": // towards the far side
		var err error
		if w.far, w.near, err = os.Pipe(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _, _ = w.near.Close(), w.far.Close() })
	if content == "" {
		return w
	}
	if _, err := w.far.WriteString(content); err != nil {
		t.Fatal(err)
	}
	if !readable(t, w.near, await.Bound) {
		t.Fatal("nothing to read")
	}
	return w
}

// readable waits at most so long until something can be read.
func readable(t *testing.T, f *os.File, wait time.Duration) bool {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	_ = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for n, err = unix.Poll(fds, int(wait.Milliseconds())); err == unix.EINTR; {
			n, err = unix.Poll(fds, int(wait.Milliseconds()))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}

// arrived is what came out at the far side within a time.
func (w *wire) arrived(t *testing.T, wait time.Duration) string {
	t.Helper()
	if !readable(t, w.far, wait) {
		return ""
	}
	b := make([]byte, 64)
	n, _ := w.far.Read(b)
	return strings.Trim(string(b[:n]), "\x00\r\n")
}

// hostile runs an attempt in the sandbox, or without one, and returns what it
// said or the signal that ended it.
func hostile(t *testing.T, w *wire, d Direction, inside bool, attempt string) string {
	t.Helper()
	dir := folder(t)
	mounts, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer mounts.Close()
	s := spec(dir, d, w.near)
	own := await.FreePort(t)
	s.Bind, s.Connect = []uint16{uint16(own)}, []uint16{uint16(own)}
	s.Arguments = []string{attempt, s.State, dir + "/config", strconv.Itoa(LinkDescriptor + 1), strconv.Itoa(own)}
	c := exec.Command(s.Program, s.Arguments...)
	c.ExtraFiles = []*os.File{w.near, mounts} // the second for open_by_handle_at
	if inside {
		if c, err = command(s); err != nil {
			t.Fatal(err)
		}
		c.Path = bench + "/stage"
	}
	var out, problems bytes.Buffer
	c.Stdout, c.Stderr = &out, &problems
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c.WaitDelay = 10 * time.Second
	err = c.Run()
	if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		t.Logf("%s: it said %q", attempt, &problems)
		return unix.SignalName(status.Signal())
	}
	if err != nil {
		return fmt.Sprintf("%v: %s%s", err, &out, &problems)
	}
	return strings.Trim(out.String(), "\x00\r\n")
}
