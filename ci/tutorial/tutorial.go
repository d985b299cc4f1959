// Package tutorial follows a document as someone does who has nothing else: it runs the
// commands of the document in a shell, block after block.
//
// Ports of this machine are replaced by free ones, the same by the same, so that what a
// document starts meets nothing else that runs here. It refuses to change anything else of a
// command.
package tutorial

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/ci/rig"
)

var (
	fence     = regexp.MustCompile("(?ms)^ *```[a-z]*\n(.*?)^ *```$")
	localPort = regexp.MustCompile(`(127\.0\.0\.1:|10\.0\.2\.2:|0\.0\.0\.0:|-P )(\d+)`)
)

// Blocks returns the fenced blocks of a document between two of its lines, or to its end
// with "". Each of the two has to be there.
func Blocks(t testing.TB, file, from, to string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, began := strings.Cut(string(text), "\n"+from)
	section, _, ended := strings.Cut(rest, "\n"+to)
	if to == "" {
		section, ended = rest, true
	}
	if !began || !ended {
		t.Fatalf("%s has no section from %q to %q", file, from, to)
	}
	for _, m := range fence.FindAllStringSubmatch(section, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// OtherPorts replaces ports of this machine by free ones, or those that are known.
func OtherPorts(t testing.TB, text string, ports map[string]string) string {
	t.Helper()
	return localPort.ReplaceAllStringFunc(text, func(found string) string {
		m := localPort.FindStringSubmatch(found)
		if ports[m[2]] == "" {
			ports[m[2]] = strconv.Itoa(await.FreePort(t))
		}
		return m[1] + ports[m[2]]
	})
}

// Bash is a shell in a folder, in a process group of its own.
func Bash(dir, script string, out *os.File) *exec.Cmd {
	c := exec.Command("bash", "-c", script)
	c.Dir, c.Stdout, c.Stderr = dir, out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return c
}

// Shell is one that runs what a newcomer copies.
type Shell struct {
	Ports  map[string]string // of the document, and what is used instead
	Bound  time.Duration     // of a block
	Dir    string
	t      testing.TB
	screen string   // file
	keys   *os.File // its standard input
}

// Begin starts one in a folder, with the programs of another one in its path, until the test
// ends.
func Begin(t testing.TB, dir, programs string) *Shell {
	t.Helper()
	s := &Shell{t: t, Dir: dir, Ports: map[string]string{}, Bound: await.Bound,
		screen: filepath.Join(t.TempDir(), "screen")}
	out, err := os.Create(s.screen)
	if err != nil {
		t.Fatal(err)
	}
	in, keys, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.keys = keys
	c := Bash(dir, "PATH="+programs+":$PATH exec bash", out)
	c.Stdin = in
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGCONT)
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		_ = c.Wait()
		for _, f := range []*os.File{in, keys, out} {
			_ = f.Close()
		}
		if t.Failed() {
			t.Logf("the shell printed:\n%s", s.Screen())
		}
	})
	return s
}

// Screen is all that the shell has printed.
func (s *Shell) Screen() string { return string(rig.Read(s.t, s.screen)) }

// ofItself are commands that change the shell, and are not run in one of their own.
var ofItself = regexp.MustCompile(`&\n|jobs -p|(?m)^(export|cd) `)

// Does has the shell run a block until it succeeds, as one does who looks and tries again, and
// returns what it has printed.
func (s *Shell) Does(block string) (printed string) {
	s.t.Helper()
	await.Within(s.t, s.Bound, "success of "+block, func() error {
		var ok bool
		if printed, ok = s.Tries(block); !ok {
			return errors.New(printed)
		}
		return nil
	})
	return printed
}

// Tries has the shell run a block once.
func (s *Shell) Tries(block string) (printed string, ok bool) { s.t.Helper(); return s.Starts(block)() }

// Starts has the shell run a block, and returns what waits for its end.
func (s *Shell) Starts(block string) (end func() (printed string, ok bool)) {
	s.t.Helper()
	done := filepath.Join(filepath.Dir(s.screen), "done")
	_ = os.Remove(done)
	before := len(s.Screen())
	commands := OtherPorts(s.t, block, s.Ports)
	script := "(set -e\n" + commands + ") </dev/null\n" +
		"[ $? = 0 ] && echo ok >" + done + " || echo failed >" + done + "\n"
	if ofItself.MatchString(block) {
		script = commands + "echo ok >" + done + "\n"
	}
	if _, err := s.keys.WriteString(script); err != nil {
		s.t.Fatal(err)
	}
	return func() (printed string, ok bool) {
		s.t.Helper()
		await.Within(s.t, s.Bound, "the end of "+block, func() error {
			if text, err := os.ReadFile(done); err != nil || len(text) == 0 {
				return errors.New(s.Screen()[before:])
			}
			return nil
		})
		return s.Screen()[before:], strings.HasPrefix(string(rig.Read(s.t, done)), "ok")
	}
}
