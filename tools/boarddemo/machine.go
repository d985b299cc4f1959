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
	"heliograph/tools/image/filesystem"
)

// Where package image has the boot partition, and bounds of what is read there.
const (
	bootStart = 4 << 20
	bootSize  = 256 << 20
	mostFile  = 128 << 20
	mostSaid  = 12 // lines of a console
)

// Machine is an emulated board.
type Machine struct {
	keys  io.WriteCloser
	ended chan struct{}
	stop  context.CancelFunc
	up    atomic.Bool

	mu     sync.Mutex
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

// emulator finds QEMU.
func emulator() (string, error) {
	const name = "qemu-system-aarch64"
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

// forward has a port of this machine's loopback reach one of the board.
func forward(protocol string, here, there int) string {
	return fmt.Sprintf("hostfwd=%s:127.0.0.1:%d-:%d", protocol, here, there)
}

// boot starts a board from its card, as the firmware would, with its link at a port of
// this machine.
func boot(ctx context.Context, program, card string, link int, forwards ...string) (*Machine, error) {
	line, err := kernel(card)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	c := exec.CommandContext(ctx, program, "-M", "virt,gic-version=2", "-cpu", "cortex-a72", "-smp", "1", "-m", "256",
		"-display", "none", "-monitor", "none", "-kernel", card+".vmlinuz", "-initrd", card+".initramfs", "-append",
		line,
		"-drive", "if=none,id=card,format=raw,file="+strings.ReplaceAll(card, ",", ",,"),
		"-device", "virtio-blk-pci,drive=card", "-device", "i6300esb",
		"-chardev", fmt.Sprintf("socket,id=link,host=127.0.0.1,port=%d", link), "-serial", "chardev:link",
		"-chardev", "stdio,id=console,signal=off", "-device", "pci-serial,chardev=console",
		"-netdev", "user,id=outside,"+strings.Join(forwards, ","), "-device", "virtio-net-pci,netdev=outside,romfile=")
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

// kernel puts what the firmware loads beside the card, and returns the kernel's arguments.
func kernel(card string) (arguments string, err error) {
	f, err := os.Open(card)
	if err != nil {
		return "", err
	}
	defer f.Close()
	v, err := filesystem.OpenFAT(f, bootStart, bootSize)
	if err != nil {
		return "", err
	}
	for _, name := range []string{"vmlinuz", "initramfs", "cmdline.txt"} {
		b, err := v.ReadFile("a/"+name, mostFile)
		if err != nil {
			return "", err
		}
		if name == "cmdline.txt" {
			return strings.TrimSpace(strings.TrimRight(string(b), "\x00\n ")), nil
		}
		if err := os.WriteFile(card+"."+name, b, 0o600); err != nil {
			return "", err
		}
	}
	return "", nil
}

func (m *Machine) cut() {
	m.stop()
	<-m.ended
}

// Write takes what the board's console shows.
func (m *Machine) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
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

// Ask has the board say how it stands; the answer comes by its console.
func (m *Machine) Ask() { _, _ = m.keys.Write([]byte{console.Enquiry}) } // one that ended says so elsewhere

// Look returns the newest status, nil before the first, the newest lines, and why the
// emulator ended.
func (m *Machine) Look() (s *console.Status, said []string, fault string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status, append([]string(nil), m.said...), m.fault
}
