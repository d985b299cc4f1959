package pair

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a running program and the newest part of its output.
type Process struct {
	cmd  *exec.Cmd
	log  *Log
	done chan struct{}
}

// Start starts a program. It is killed when this process ends, and Ctrl-C at the
// terminal does not reach it: who started it ends it.
func Start(path string, args ...string) (*Process, error) {
	return Launch(exec.Command(path, args...))
}

// Launch is Start for a command that is prepared. What the command does not write
// elsewhere goes to the log.
func Launch(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, log: &Log{}, done: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = p.log
	}
	if cmd.Stderr == nil {
		cmd.Stderr = p.log
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("pair: starting %s: %w", filepath.Base(cmd.Path), err)
	}
	go func() {
		_ = cmd.Wait() // the exit code is asked for
		close(p.done)
	}()
	return p, nil
}

// Name is the name of the program's file.
func (p *Process) Name() string { return filepath.Base(p.cmd.Path) }

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log returns what the program has written last.
func (p *Process) Log() string { return p.log.String() }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// ExitCode is valid once Done is closed; -1 for a program that a signal ended.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// Ending says how the program ended, once Done is closed: "exit status 1", "signal: killed".
func (p *Process) Ending() string { return p.cmd.ProcessState.String() }

// Signal sends a signal; a program that has ended is not an error.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("pair: %s: %w", p.Name(), err)
	}
	return nil
}

// Kill ends the program without a chance to end cleanly.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL)
	<-p.done
}

// Stop has the program end as an operator would, with SIGTERM, and kills it when
// it still runs after the time. It reports whether the program ended by itself.
func (p *Process) Stop(within time.Duration) bool {
	_ = p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return true
	case <-time.After(within):
		p.Kill()
		return false
	}
}

// PeakMemory returns how many bytes the running program took at most.
func (p *Process) PeakMemory() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, fmt.Errorf("pair: %w", err)
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	var kilobytes int64
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		return 0, fmt.Errorf("pair: no peak of memory in /proc: %w", err)
	}
	return kilobytes << 10, nil
}

// Find returns the path of a program that is installed; that of an administrator
// is found although its folder is not in the path.
func Find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	path = filepath.Join("/usr/sbin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("pair: %s is not installed", name)
	}
	return path, nil
}

// Log keeps the newest part of what is written to it.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

const keptLog = 4 << 20 // bytes: all that a test or a demo writes

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Write(p)
	l.b.Next(max(l.b.Len()-keptLog, 0))
	return len(p), nil
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
