package pair

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"heliograph/ci/await"
)

func shell(t *testing.T, script string) *Process {
	t.Helper()
	p, err := Start("/bin/sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestAProcessIsAskedToEndBeforeItIsKilled(t *testing.T) {
	const long, short = time.Minute, 10 * time.Millisecond
	ended := shell(t, "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done")
	await.True(t, "the program runs", func() bool { return strings.Contains(ended.Log(), "ready") })
	if !ended.Stop(long) || ended.ExitCode() != 3 {
		t.Errorf("got exit code %d, want the 3 of its own handler", ended.ExitCode())
	}
	stubborn := shell(t, "trap '' TERM; echo ready; while :; do sleep 0.01; done")
	await.True(t, "the program runs", func() bool { return strings.Contains(stubborn.Log(), "ready") })
	if stubborn.Stop(short) || stubborn.ExitCode() != -1 {
		t.Errorf("got exit code %d of a program that ignores SIGTERM, want it killed", stubborn.ExitCode())
	}
	if err := stubborn.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("a signal to a program that has ended: got %v, want nil", err)
	}
}

func TestAProcessGoesWithItsStarter(t *testing.T) {
	if p := shell(t, "sleep 60").cmd.SysProcAttr; p.Pdeathsig != syscall.SIGKILL || !p.Setpgid {
		t.Errorf("got %+v, want it killed with this process, and apart from its terminal", p)
	}
}

func TestMissingProgramsAreNamed(t *testing.T) {
	if _, err := New(Config{Programs: t.TempDir(), Dir: t.TempDir()}); err == nil ||
		!strings.Contains(err.Error(), "make build") {
		t.Errorf("got %v, want what to run", err)
	}
	if _, err := Find("no-such-program"); err == nil {
		t.Error("a program was found that does not exist")
	}
	if _, err := Start("/no/such/program"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that it does not exist", err)
	}
}

func TestTheNewestOutputIsKept(t *testing.T) {
	var l Log
	for range keptLog/1024 + 1 {
		_, _ = l.Write(make([]byte, 1024))
	}
	_, _ = l.Write([]byte("newest"))
	if s := l.String(); len(s) != keptLog || !strings.HasSuffix(s, "newest") {
		t.Errorf("got %d bytes, want the newest %d", len(s), keptLog)
	}
}

// TestAPairGetsReady starts both roles over UDP without any channel's peer.
func TestAPairGetsReady(t *testing.T) {
	programs := t.TempDir()
	build := exec.Command("go", "build", "-o", programs, "heliograph/firmware/cmd/heliotx",
		"heliograph/firmware/cmd/heliorx")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	link := UDP(await.FreeAddress(t))
	g, err := New(Config{
		Name: "p", Programs: programs, Dir: t.TempDir(),
		TX: End{link, "[[syslog]]\nchannel = \"log\"\nlisten = [\"udp://127.0.0.1:0\"]\n"},
		RX: End{link, "[[syslog]]\nchannel = \"log\"\nforward = \"udp://127.0.0.1:9\"\n"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(g.RX.Start(), g.TX.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Stop(time.Minute) })
	if err := g.Await(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := g.RX.Status()
	if _, ok := s.Channels["log"]; err != nil || !ok {
		t.Errorf("got %+v, %v; want the channel", s, err)
	}
	if n, err := g.TX.PeakMemory(); err != nil || n < 1<<20 {
		t.Errorf("got a peak of %d bytes, %v", n, err)
	}
	g.TX.Kill()
	if err := g.Await(t.Context()); err == nil || !strings.Contains(err.Error(), "heliotx ended") {
		t.Errorf("got %v, want that heliotx ended", err)
	}
	if _, err := os.Stat(filepath.Join(g.Dir, "state-rx")); err != nil {
		t.Error(err)
	}
}
