package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/handover"
	"heliograph/firmware/platform/release"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/store"
	"heliograph/rootfs/sandbox"
)

// Folders that a role sees.
const (
	boot  = "/boot/heliograph"
	home  = "/run/role"
	state = "/data/state"
)

// keys is where PID 1 keeps a change of the pair key. No role sees it.
const keys = "/data/keys"

// Our own choices.
const (
	user    = 1000 // the role's, and its group
	files   = 8192
	threads = 512
	grace   = 10 * time.Second // that a role gets to end
	first   = time.Second      // pause after a role ended
	longest = 30 * time.Second
	lasted  = time.Minute // a run as long makes the next pause a first one
)

// role is the one program that a board exists for, and its link.
type role struct {
	name   string // tx or rx
	log    *slog.Logger
	out    io.Writer // takes what the role logs
	vitals *vitals

	link   *os.File // kept while the board runs
	linkOf config.Link

	mu  sync.Mutex // guards what the console asks for
	pid int        // 0: it does not run
	at  string     // device or interface of the link
	pki string     // folder of certificates
	own string     // folder of state
	key string     // file of the pair key

	ports config.Ports // of the configuration
	pipe  *os.File     // by which the role has its pair keys; nil: it does not run
}

// process returns the role's process, and where its link is.
func (r *role) process() (pid int, link string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pid, r.at
}

// certificates returns the role's folder of certificates.
func (r *role) certificates() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pki
}

// memory returns the role's folder of state.
func (r *role) memory() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.own
}

// keyFile returns where the role finds its pair key.
func (r *role) keyFile() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.key
}

func (r *role) runs(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pid = pid
}

// errInvalid says that no restart helps before the configuration changes.
var errInvalid = errors.New("the configuration is invalid: correct heliograph/heliograph.toml in the boot partition")

// supervise runs the role until ctx ends, again and again.
func (r *role) supervise(ctx context.Context) {
	for pause := first; ctx.Err() == nil; pause = min(2*pause, longest) {
		started := time.Now()
		err := r.start(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(started) >= lasted {
			pause = first
		}
		if errors.Is(err, errInvalid) {
			r.vitals.invalid(err.Error())
			pause = longest
		} else {
			r.vitals.ended(reason(err))
		}
		r.log.Error("role ended: "+reason(err), "again_in", pause.String())
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func reason(err error) string {
	var ended *exec.ExitError
	switch {
	case err == nil:
		return "exit code 0, unasked"
	case errors.As(err, &ended) && ended.Sys().(syscall.WaitStatus).Signal() == syscall.SIGSYS:
		return "INTRUSION? it was killed for a system call that no role makes"
	}
	return err.Error()
}

// start prepares the role's folders and its link, and runs it once.
func (r *role) start(ctx context.Context) error {
	if err := prepare(boot, home, state); err != nil {
		return err
	}
	link, err := r.configured()
	if err != nil {
		return err
	}
	if err := r.openLink(link); err != nil {
		return err
	}
	theirs, err := r.handKeys()
	if err != nil {
		return err
	}
	defer r.endKeys()
	defer theirs.Close()
	spec := r.spec()
	spec.Keys = theirs
	c, err := sandbox.Command(spec)
	if err != nil {
		return err
	}
	c.Stderr = r.out
	reports, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	r.vitals.started()
	if err := c.Start(); err != nil {
		return err
	}
	r.runs(c.Process.Pid)
	defer r.runs(0)
	read := make(chan error, 1)
	go func() { read <- report.Read(reports, r.vitals.report, r.vitals.refused) }()
	ended := context.AfterFunc(ctx, func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		time.AfterFunc(grace, func() { _ = c.Process.Kill() })
	})
	defer ended()
	<-read // before Wait, which closes the pipe
	return c.Wait()
}

// configured reads what PID 1 has to know of the role's configuration.
func (r *role) configured() (config.Link, error) {
	const name = home + "/heliograph.toml"
	var link config.Link
	var folder, own string
	var ports config.Ports
	var err error
	if r.name == "tx" {
		var c config.TX
		c, _, err = config.LoadTX(name)
		link, folder, own, ports = c.Link, c.PKI, c.State, c.Ports()
	} else {
		var c config.RX
		c, _, err = config.LoadRX(name)
		link, folder, own, ports = c.Link, c.PKI, c.State, c.Ports()
	}
	r.mu.Lock()
	r.at, r.pki, r.own = link.Device+link.Interface, folder, own // one of them is empty
	r.key, r.ports = link.KeyFile, ports
	r.mu.Unlock()
	if err == nil {
		return link, nil
	}
	if faults, ok := errors.AsType[config.Faults](err); ok {
		for _, f := range faults {
			r.log.Error("configuration: " + f.Error())
		}
	} else {
		r.log.Error("configuration: " + err.Error())
	}
	return link, errInvalid
}

func (r *role) spec() sandbox.Spec {
	direction := sandbox.Receive
	if r.name == "tx" {
		direction = sandbox.Transmit
	}
	return sandbox.Spec{
		Program: "/bin/helio" + r.name, Arguments: []string{"--config", home + "/heliograph.toml"},
		Environment: []string{"HOME=" + state, handover.Setting(handover.Link, sandbox.LinkDescriptor),
			handover.Setting(handover.Keys, sandbox.KeyDescriptor), handover.Setting(handover.Report, 1)},
		Link: r.link, Direction: direction, UID: user, GID: user, State: state, Bind: r.ports.Listen, Connect: r.ports.Connect, Files: files, Threads: threads,
		Read: []string{home, filepath.Dir(release.StateFile), "/etc/hosts", "/etc/resolv.conf", "/etc/ssl/certs", "/etc/localtime", "/usr/share/zoneinfo",
			"/proc/sys/net/core/somaxconn", "/sys/class/thermal/thermal_zone0/temp"},
	}
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
	if err := adopt(home+"/pki", state+"/pki"); err != nil {
		return fmt.Errorf("taking the identity that came with the card: %w", err)
	}
	return os.Symlink(state, filepath.Join(home, "state"))
}

// adopt copies the identity that was made with the card to where the role keeps it,
// whole or not at all, unless the role has one already.
func adopt(from, to string) error {
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return err // nil: there is one
	}
	part := to + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := os.CopyFS(part, os.DirFS(from)); err != nil {
		return err
	}
	if err := giveTo(part); err != nil {
		return err
	}
	unix.Sync()
	return store.Rename(part, to)
}

// giveTo has everything in a folder belong to the role.
func giveTo(folder string) error {
	return filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, user, user)
	})
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
