// Package rig starts programs in tests: a pair of roles with a link between them,
// mosquitto, and any other peer. What it starts ends with the test, and a test that
// fails shows the end of each program's log.
//
// It refuses to pretend: a peer that is not installed skips the test, which says
// what is therefore not proved.
package rig

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"

	"heliograph/ci/await"
	"heliograph/ci/rig/mosquitto"
	"heliograph/tools/pair"
)

// Build builds programs of this module, named by their folders, into a folder.
func Build(dir string, folders ...string) error {
	args := []string{"build", "-o", dir}
	for _, folder := range folders {
		args = append(args, "heliograph/"+folder)
	}
	c := exec.Command("go", args...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("rig: building the programs: %w\n%s", err, out)
	}
	return nil
}

// Roles builds both roles for a test and returns their folder.
func Roles(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := Build(dir, "firmware/cmd/heliotx", "firmware/cmd/heliorx"); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Program returns the path of a program that is installed, or skips the test.
func Program(t testing.TB, name, proves string) string {
	t.Helper()
	path, err := pair.Find(name)
	if err != nil {
		t.Skipf("not proved: %s, because %s is not installed", proves, name)
	}
	return path
}

// Process is a program that ends with its test.
type Process struct {
	*pair.Process
	t testing.TB
}

// Start starts a program until the test ends.
func Start(t testing.TB, path string, args ...string) *Process {
	t.Helper()
	return Launch(t, exec.Command(path, args...))
}

// Launch is Start for a command that is prepared.
func Launch(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p, err := pair.Launch(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return watch(t, p)
}

// shownLog is how much of a program's log a failed test shows, in bytes.
const shownLog = 4000

// watch ends a process with the test.
func watch(t testing.TB, p *pair.Process) *Process {
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			log := p.Log()
			t.Logf("log of %s:\n%s", p.Name(), log[max(len(log)-shownLog, 0):])
		}
	})
	return &Process{p, t}
}

// Stop has the program end as an operator would, and wants exit code 0.
func (p *Process) Stop() {
	p.t.Helper()
	if !p.Process.Stop(await.Bound) {
		p.t.Fatalf("%s: still running %s after SIGTERM", p.Name(), await.Bound)
	}
	if code := p.ExitCode(); code != 0 {
		p.t.Errorf("%s: exit code %d after SIGTERM, want 0", p.Name(), code)
	}
}

// Send sends a signal.
func (p *Process) Send(s os.Signal) {
	p.t.Helper()
	if err := p.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// PeakMB returns how much memory the program took at most, in MiB.
func (p *Process) PeakMB() int {
	p.t.Helper()
	n, err := p.PeakMemory()
	if err != nil {
		p.t.Fatal(err)
	}
	return int(n >> 20)
}

// Unlimited lifts the limits of mosquitto's queues, for tests that are not about them.
const Unlimited = "max_queued_messages 0\nmax_inflight_messages 0\n"

// Mosquitto starts a broker on a port of loopback, and waits until it listens. It has
// the limits that Debian ships, unless lines of configuration say otherwise.
func Mosquitto(t testing.TB, port int, lines string) *Process {
	t.Helper()
	return MosquittoIn(t, t.TempDir(), port, lines)
}

// MosquittoIn is Mosquitto with its configuration, and what it persists, in a folder.
func MosquittoIn(t testing.TB, dir string, port int, lines string) *Process {
	t.Helper()
	path := Program(t, "mosquitto", "what this test does with mosquitto")
	address := fmt.Sprintf("127.0.0.1:%d", port)
	p := Start(t, path, "-c", mosquitto.Configure(t, dir, address, lines))
	Listening(t, p, address)
	return p
}

// Listening waits until a program takes TCP connections at an address.
func Listening(t testing.TB, p *Process, address string) {
	t.Helper()
	await.NoError(t, p.Name()+" listens at "+address, func() error {
		select {
		case <-p.Done():
			t.Fatalf("%s ended:\n%s", p.Name(), p.Log())
		default:
		}
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
}
