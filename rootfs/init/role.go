package main

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/firmware/config"
)

const (
	user     = 1000 // the role's, and its group
	state    = "/data/state"
	home     = "/run/role"
	grace    = 10 * time.Second // that a role gets to end
	first    = time.Second      // pause after a role ended
	longest  = 30 * time.Second
	lasted   = time.Minute // a run as long makes the next pause a first one
	notValid = 78          // exit code for an invalid configuration
)

// supervise runs the role until ctx ends, again and again.
func supervise(ctx context.Context, role string, log *slog.Logger) {
	for pause := first; ctx.Err() == nil; pause = min(2*pause, longest) {
		started := time.Now()
		err := start(ctx, role)
		if ctx.Err() != nil {
			return
		}
		if time.Since(started) >= lasted {
			pause = first
		}
		log.Error("role ended: "+reason(err), "again_in", pause.String())
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func reason(err error) string {
	if err == nil {
		return "exit code 0, unasked"
	}
	if e, ok := err.(*exec.ExitError); ok && e.ExitCode() == notValid {
		return "its configuration is invalid: correct heliograph/heliograph.toml in the boot partition"
	}
	return err.Error()
}

// start prepares the role's folders and runs it once.
func start(ctx context.Context, role string) error {
	if err := prepare("/boot/heliograph", home, state); err != nil {
		return err
	}
	c := exec.CommandContext(ctx, "/bin/helio"+role, "--config", home+"/heliograph.toml")
	c.Dir = state
	c.Env = []string{"HOME=" + state}
	out := console()
	defer out.Close()
	c.Stdout, c.Stderr = out, out
	capabilities, err := privileges(role)
	if err != nil {
		return err
	}
	c.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: user, Gid: user},
		AmbientCaps: capabilities,
		Setsid:      true,
	}
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = grace
	return c.Run()
}

// prepare makes the folders that the role finds: a copy of its configuration,
// because the one on FAT belongs to nobody, and beside it the state that the
// configuration's defaults expect there.
func prepare(from, home, state string) error {
	if err := os.RemoveAll(home); err != nil {
		return err
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return err
	}
	if err := os.Chown(state, user, user); err != nil {
		return err
	}
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return handOver(path, filepath.Join(home, below), d)
	})
	if err != nil {
		return fmt.Errorf("copying the configuration: %w", err)
	}
	return os.Symlink(state, filepath.Join(home, "state"))
}

func handOver(from, to string, d fs.DirEntry) error {
	if d.IsDir() {
		return os.Mkdir(to, 0o755)
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, b, 0o400); err != nil {
		return err
	}
	return os.Chown(to, user, user)
}

// privileges gives the role what its link needs, in the one direction where a
// device can tell them apart, and lets it listen on low ports.
func privileges(role string) ([]uintptr, error) {
	link, mode, err := link(role)
	if err != nil {
		return nil, nil // the role reports its own faults, with their lines
	}
	capabilities := []uintptr{unix.CAP_NET_BIND_SERVICE}
	switch link.Medium {
	case config.Ethernet:
		capabilities = append(capabilities, unix.CAP_NET_RAW, unix.CAP_NET_ADMIN)
	case config.UART:
		if err := os.Chown(link.Device, user, user); err != nil {
			return nil, err
		}
		return capabilities, os.Chmod(link.Device, mode)
	}
	return capabilities, nil
}

func link(role string) (config.Link, os.FileMode, error) {
	const name = home + "/heliograph.toml"
	if role == "tx" {
		c, _, err := config.LoadTX(name)
		return c.Link, 0o200, err
	}
	c, _, err := config.LoadRX(name)
	return c.Link, 0o400, err
}
