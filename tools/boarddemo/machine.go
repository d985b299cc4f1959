package boarddemo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"heliograph/firmware/platform/health"
	"heliograph/rootfs/console"
	"heliograph/tools/boarddemo/emulator"
	"heliograph/tools/image"
)

const mostSaid = 12 // lines of a console

// Machine is an emulated board.
type Machine struct {
	keys  io.WriteCloser
	ended chan struct{}
	stop  context.CancelFunc
	up    atomic.Bool

	mu     sync.Mutex
	guests []*guest // at the console
	frames console.Deframer
	before string
	said   []string
	status *console.Status // nil: it has not answered yet
	fault  string          // why the emulator ended
}

const installText = `QEMU is missing: board-demo needs qemu-system-aarch64 7.0 or newer
  Debian, Ubuntu   apt install qemu-system-arm
  Fedora           dnf install qemu-system-aarch64
  macOS            brew install qemu
  Windows          winget install SoftwareFreedomConservancy.QEMU`

// findQEMU finds it.
func findQEMU() (string, error) {
	const name = emulator.Program
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if path := filepath.Join(os.Getenv("ProgramFiles"), "qemu", name+".exe"); filepath.IsAbs(path) {
		if _, err := os.Stat(path); err == nil {
			return path, nil // its installer leaves the path alone
		}
	}
	return "", errors.New(installText)
}

// boot starts a board from its card, as the firmware would, with its link at a character device
// of the emulator. What the firmware loads is put into a folder.
func boot(ctx context.Context, program, card, folder, link string, ports []Port) (*Machine, error) {
	kernel, err := unpack(card, folder)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", card, err)
	}
	kernel.Card, kernel.Link = card, link
	var forwards []string
	for _, p := range ports {
		if p.Board != 0 {
			forwards = append(forwards, p.forward())
		}
	}
	kernel.Outside = strings.Join(forwards, ",")
	ctx, stop := context.WithCancel(ctx)
	c := exec.CommandContext(ctx, program, kernel.Arguments()...)
	m := &Machine{stop: stop, ended: make(chan struct{})}
	c.Stdout, c.Stderr = m, m
	if m.keys, err = c.StdinPipe(); err != nil {
		stop()
		return nil, err
	}
	if err := c.Start(); err != nil {
		stop()
		return nil, err
	}
	go func() {
		defer close(m.ended)
		err := c.Wait()
		m.mu.Lock()
		defer m.mu.Unlock()
		if ctx.Err() == nil {
			m.fault = fmt.Sprintf("the emulator ended: %v", err)
		}
	}()
	return m, nil
}

// unpack puts what the firmware loads from a card into a folder.
func unpack(card, folder string) (b emulator.Board, err error) {
	f, err := os.Open(card)
	if err != nil {
		return b, err
	}
	defer f.Close()
	_, set, err := image.Committed(f)
	if err != nil {
		return b, err
	}
	for name, at := range map[string]*string{"vmlinuz": &b.Kernel, "initramfs": &b.Initramfs,
		"cmdline.txt": &b.CommandLine} {
		content, err := image.BootFile(f, string(rune(set))+"/"+name)
		if err != nil {
			return b, err
		}
		if *at = filepath.Join(folder, filepath.Base(card)+"."+name); at == &b.CommandLine {
			*at = strings.TrimSpace(strings.TrimRight(string(content), "\x00\n "))
		} else if err := os.WriteFile(*at, content, 0o600); err != nil {
			return b, err
		}
	}
	return b, nil
}

func (m *Machine) cut() {
	m.stop()
	<-m.ended
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range m.guests {
		_ = g.conn.Close()
	}
}

// Write takes what the board's console shows.
func (m *Machine) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.show(p)
	for _, b := range p {
		if b != '\n' {
			if b != '\r' && len(m.before) < mostLine {
				m.before += string(rune(b))
			}
			continue
		}
		m.line(m.before)
		m.before = ""
	}
	return len(p), nil
}

func (m *Machine) line(s string) {
	text, _, done := m.frames.Line(s)
	if done != nil && done.Err == nil && done.Name == "status" {
		var got console.Status
		if json.Unmarshal(done.Data, &got) == nil {
			m.status = &got
			m.up.Store(works(got.State))
		}
	}
	if text = strings.TrimSpace(console.Printable(text)); text != "" && !m.frames.Open() {
		m.said = append(m.said, text)
		m.said = m.said[max(0, len(m.said)-mostSaid):]
	}
}

// works reports whether a board's role runs.
func works(s health.State) bool {
	return !slices.Contains([]health.State{health.Starting, health.Ended, health.Stuck, health.Invalid}, s)
}

// Up reports whether the board's role runs, as far as it has said.
func (m *Machine) Up() bool { return m.up.Load() }

// Ask has the board say how it stands; the answer comes by its console. While a program is
// connected to that, it is left to it.
func (m *Machine) Ask() {
	m.mu.Lock()
	guests := len(m.guests)
	m.mu.Unlock()
	if guests == 0 {
		_, _ = m.keys.Write([]byte{console.Enquiry}) // one that ended says so elsewhere
	}
}

// Look returns the newest status, nil before the first, the newest lines, and why the
// emulator ended.
func (m *Machine) Look() (s *console.Status, said []string, fault string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status, append([]string(nil), m.said...), m.fault
}
