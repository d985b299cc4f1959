package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/ci/tutorial"
)

// commands returns the first two fenced blocks below a heading of the README.
func commands(t *testing.T, heading string) (first, second string) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n"+heading+"\n")
	parts := strings.SplitN(section, "```\n", 5)
	if !found || len(parts) < 5 {
		t.Fatalf("README.md has no two blocks of commands below %q", heading)
	}
	return parts[1], parts[3]
}

// TestTheReadmesPairCarriesALine copies what the README says below "A pair of your own"
// into a shell, as a newcomer does, and sees the line arrive.
func TestTheReadmesPairCarriesALine(t *testing.T) {
	t.Parallel()
	start, try := commands(t, "## A pair of your own")
	dir, ports := t.TempDir(), map[string]string{}
	if err := os.Symlink(programs, filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	const folder = "firmware/config"
	if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"minimal-tx.toml", "minimal-rx.toml"} {
		text, err := os.ReadFile(filepath.Join("../..", folder, name))
		if err == nil {
			free := tutorial.OtherPorts(t, string(text), ports)
			err = os.WriteFile(filepath.Join(dir, folder, name), []byte(free), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	known := len(ports)
	start = tutorial.OtherPorts(t, start, ports)
	send, end, _ := strings.Cut(tutorial.OtherPorts(t, try, ports), "\n")
	end, _, _ = strings.Cut(end, "#")
	if len(ports) != known {
		t.Fatalf("the README names a port that is in neither configuration: %v", ports)
	}
	out, err := os.Create(filepath.Join(dir, "screen"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	shell := tutorial.Bash(dir, "set -e\n"+start+"\ntrap '"+end+"; wait; exit 0' TERM\nwait", out)
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- shell.Wait() }()
	defer func() { _ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }()
	await.NoError(t, "the line is printed", func() error {
		if err := tutorial.Bash(dir, send, out).Run(); err != nil {
			t.Fatalf("%s: %v", send, err)
		}
		screen, err := os.ReadFile(out.Name())
		if err == nil && !strings.Contains(string(screen), "hello from the plant") {
			err = fmt.Errorf("printed: %s", screen)
		}
		return err
	})
	if screen := string(rig.Read(t, out.Name())); !strings.Contains(screen, "tx.toml, rx.toml: no faults\n") {
		t.Errorf("heliograph check printed: %s", screen)
	}
	if err := shell.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := await.Receive(t, "the end of all three", ended); err != nil {
		t.Errorf("%s: %v; printed: %s", end, err, rig.Read(t, out.Name()))
	}
}
