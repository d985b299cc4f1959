// Package supervisor runs a board's one role: it starts the program in its sandbox,
// restarts it with back-off when it ends, and judges it from its reports.
//
//	reports → Vitals → LEDs, watchdog, log
//	                 → Updater: keeps the running release, or rolls it back and restarts
//	                 → ConsoleBoard: what the console shows, and does
//	ConsoleBoard → LinkOpener: reverse probes of a receiver → Facts → role
//
// The watchdog is fed from evidence of progress alone (see package health); the
// supervisor itself never resets a board whose role is stuck. It refuses to start a
// role whose configuration is invalid, and to give it a link open in both directions
// or a file with the pair key. While a configuration is refused, the role's program
// shows the faults on the status port, in a sandbox with neither link, keys,
// configuration nor state: no other process of a board listens.
//
// It makes no system call that only PID 1 may make and opens no device: what it needs
// of these are the interfaces Starter, LinkOpener, Lamp, Watchdog and Card.
package supervisor

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"heliograph/drivers/probe"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/task"
	"heliograph/rootfs/sandbox"
)

// Our own choices.
const (
	firstRestart  = 2 * time.Second // half of it at least, so that the LED shows each end
	lastRestart   = 30 * time.Second
	stableRun     = time.Minute      // a run as long makes the next restart a first one
	terminateTime = 10 * time.Second // from SIGTERM to SIGKILL
	checkLink     = 2 * time.Second  // between looks for a device that has returned
)

// Process is a role that runs.
type Process interface {
	PID() int
	Reports() io.Reader // to be read to its end before Wait
	Signal(os.Signal) error
	Wait() error
}

// Starter starts a role's program in its sandbox. What the role logs goes to log.
type Starter interface {
	Start(s sandbox.Spec, log io.Writer) (Process, error)
}

// LinkOpener opens a link in one direction. Warnings are for the log.
type LinkOpener interface {
	OpenLink(l config.Link, d sandbox.Direction) (f *os.File, warnings []string, err error)
	// Returned reports whether the device of a link that is open was removed and is there
	// again: the open file does not reach it any more.
	Returned(l config.Link, open *os.File) bool
	// Probe sends reverse probes from the receiving end of a link that is open.
	Probe(ctx context.Context, l config.Link, open *os.File, p probe.Plan) probe.Result
	// Received counts what the transmitting end of a link that is open has received; nil: not
	// known.
	Received(l config.Link, open *os.File) *machine.Received
}

// Config is what a Supervisor works with.
type Config struct {
	Role    string                // tx or rx
	Board   string                // name, by which the role completes its configuration
	Machine func() config.Machine // what the configuration has to fit; nil: any machine
	Log     *slog.Logger
	RoleLog io.Writer // takes what the role logs
	Vitals  *Vitals
	Folders Folders
	User    int // user and group of the role
	Starter Starter
	Links   LinkOpener
}

// Folders of a board.
type Folders struct {
	Card  string // configuration, on the boot partition
	Home  string // copy of it that the role may read
	State string // of the role
	Keys  string // file that keeps a change of the pair key from the role
}

// Supervisor runs the one role of a board, and keeps its link. Safe for concurrent
// use, but for Run, which runs once.
type Supervisor struct {
	Config

	page faultPage

	mu       sync.Mutex
	link     *os.File    // kept open while the board runs; Run alone sets it
	linkOpen config.Link // that it is of
	running  Process     // nil: the role does not run
	faults   []string    // of the configuration, while it is refused
	keyPipe  *os.File    // by which the role gets its pair keys; nil: it does not run
	paths    paths
}

// New returns a supervisor whose role does not run yet.
func New(c Config) *Supervisor { return &Supervisor{Config: c} }

// direction is the one in which the role uses its link.
func (s *Supervisor) direction() sandbox.Direction {
	if s.Role == "tx" {
		return sandbox.Transmit
	}
	return sandbox.Receive
}

// process returns the role's process, or nil if it does not run.
func (s *Supervisor) process() Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

func (s *Supervisor) setProcess(p Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = p
}

// Run starts the role, and restarts it when it ends, until ctx ends.
func (s *Supervisor) Run(ctx context.Context) {
	backoff := task.Backoff{First: firstRestart, Last: lastRestart}
	defer s.page.close()
	for ctx.Err() == nil {
		started := time.Now()
		err := s.runOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(started) >= stableRun {
			backoff.Reset()
		}
		wait, reason := backoff.Next(), exitReason(err)
		if r, ok := errors.AsType[refused](err); ok {
			wait = lastRestart
			s.refuse(ctx, r)
		} else {
			s.Vitals.roleEnded(reason, cause.Of(err))
			s.Log.Error("role ended", "error", reason, "retry", wait.Round(time.Millisecond).String())
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// exitReason returns why the role ended, in words.
func exitReason(err error) string {
	if err == nil {
		return "exit code 0, not asked for"
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGSYS {
			return "killed by SIGSYS: a system call that the role does not make; possible intrusion"
		}
	}
	return err.Error()
}

// runOnce prepares the role's folders, link and keys, and runs it until it ends.
func (s *Supervisor) runOnce(ctx context.Context) error {
	if err := s.prepareFolders(); err != nil {
		return err
	}
	c, err := s.readConfiguration()
	if err != nil {
		return err
	}
	s.accept()
	if err := s.openLink(c.link); err != nil {
		return err
	}
	keys, err := s.openKeyPipe()
	if err != nil {
		return err
	}
	defer s.closeKeyPipe()
	defer keys.Close()
	s.Vitals.roleStarted()
	p, err := s.Starter.Start(s.spec(c, keys), s.RoleLog)
	if err != nil {
		return err
	}
	s.setProcess(p)
	defer s.setProcess(nil)
	running, stop := context.WithCancel(ctx)
	defer stop()
	go s.watchLink(running, stop, c.link, s.link)
	return s.follow(running, p)
}

// watchLink ends the role when the link's device has returned, so that the next start
// opens it. While the device is away the role serves what it has.
func (s *Supervisor) watchLink(ctx context.Context, stop func(), l config.Link, open *os.File) {
	tick := time.NewTicker(checkLink)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.Links.Returned(l, open) {
			s.Log.Warn("the link's device was removed and is there again; restarting the role with it")
			stop()
			return
		}
	}
}

// follow reads a process's reports until it ends, which it is made to when ctx ends.
func (s *Supervisor) follow(ctx context.Context, p Process) error {
	ended := make(chan struct{})
	defer close(ended)
	go terminate(ctx, p, ended)
	if err := report.Read(p.Reports(), s.Vitals.accept, s.Vitals.refuse); err != nil {
		s.Log.Warn("reports of the role end", "error", err)
	}
	return p.Wait()
}

// terminate ends a process when ctx ends, unless it has ended.
func terminate(ctx context.Context, p Process, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	_ = p.Signal(syscall.SIGTERM) // an error: it has ended just now
	select {
	case <-ended:
	case <-time.After(terminateTime):
		_ = p.Signal(syscall.SIGKILL)
	}
}

// openLink opens the link in the role's one direction, which the role itself cannot.
// A role that is started again gets the same link, as long as that reaches its device.
func (s *Supervisor) openLink(l config.Link) error {
	if s.link != nil && s.linkOpen == l && !s.Links.Returned(l, s.link) {
		return nil
	}
	if s.link != nil {
		_ = s.link.Close()
		s.setLink(config.Link{}, nil)
	}
	f, warnings, err := s.Links.OpenLink(l, s.direction())
	if err != nil {
		return cause.Link(err)
	}
	for _, w := range warnings {
		s.Log.Warn("link opened with a warning", "error", w)
	}
	s.setLink(l, f)
	return nil
}

func (s *Supervisor) setLink(l config.Link, f *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link, s.linkOpen = f, l
}

// Received counts what the link has received, where the role is a transmitter; nil: not known.
func (s *Supervisor) Received() *machine.Received {
	l, open := s.openedLink()
	if open == nil || s.direction() != sandbox.Transmit {
		return nil
	}
	return s.Links.Received(l, open)
}

// openedLink returns the link that is open; nil while there is none.
func (s *Supervisor) openedLink() (config.Link, *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.linkOpen, s.link
}
