package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/creack/pty"

	"heliograph/ci/await"
)

// terminal is a program on a terminal of 100 columns, with a person at it who reads before
// typing.
type terminal struct {
	t     *testing.T
	keys  *os.File
	cmd   *exec.Cmd
	ended chan struct{} // closed when the program has ended

	mu    sync.Mutex
	shown bytes.Buffer
}

// onTerminal starts a program whose standard output is not given yet; its end is the test's.
func onTerminal(t *testing.T, c *exec.Cmd) *terminal {
	t.Helper()
	keys, err := pty.StartWithSize(c, &pty.Winsize{Rows: 40, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	s := &terminal{t: t, keys: keys, cmd: c, ended: make(chan struct{})}
	read := make(chan struct{})
	go func() {
		defer close(read)
		b := make([]byte, 4096)
		for {
			n, err := keys.Read(b) // fails when the program has ended
			s.mu.Lock()
			s.shown.Write(b[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	go func() {
		_ = c.Wait() // its exit code is looked at elsewhere
		<-read
		close(s.ended)
	}()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = keys.Close()
		<-s.ended
	})
	return s
}

// output is all that the program has written so far.
func (s *terminal) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

// shows waits until the program has written a text.
func (s *terminal) shows(text string) {
	s.t.Helper()
	await.NoError(s.t, fmt.Sprintf("%q on the terminal of %s", text, s.cmd.Args), func() error {
		if got := s.output(); !strings.Contains(got, text) {
			return fmt.Errorf("it shows %q", got[max(0, len(got)-2000):])
		}
		return nil
	})
}

func (s *terminal) types(keys string) {
	s.t.Helper()
	if _, err := s.keys.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits until the program has ended.
func (s *terminal) ends() {
	s.t.Helper()
	await.Receive(s.t, fmt.Sprint("end of ", s.cmd.Args), s.ended)
}
