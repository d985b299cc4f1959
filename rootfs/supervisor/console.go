package supervisor

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"heliograph/boards"
	"heliograph/drivers/netdev"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/acceptance"
	"heliograph/rootfs/console"
	"heliograph/rootfs/logring"
	"heliograph/rootfs/network"
	"heliograph/rootfs/selftest"
)

// Our own choices.
const (
	// overlap is how long a receiver accepts the pair key before a change.
	overlap = 24 * time.Hour
	// certificateInterval is how often the rejected certificates are read at most: a
	// live screen asks each second.
	certificateInterval = 5 * time.Second
)

// ConsoleConfig is what a ConsoleBoard works with.
type ConsoleConfig struct {
	Log      *slog.Logger
	Lines    *logring.Ring // of the log
	Board    boards.Board
	Role     *Supervisor
	Vitals   *Vitals
	Releases *ReleaseStatus
	Network  network.Settings
	Facts    *Facts           // where a reverse probe is published
	Minute   *selftest.Minute // of the link's port
	Restart  func()           // restarts the board
	PowerOff func()
}

// ConsoleBoard is what the console shows of a board, and does to it. It implements
// console.Board; not safe for concurrent use, but for Probe beside all others.
type ConsoleBoard struct {
	config ConsoleConfig

	rejected     []console.Certificate
	rejectedRead time.Time
	probed       time.Time    // the newest reverse probe; of Probe alone
	characters   atomic.Int64 // of reverse probes at most, that a serial port has sent
}

// NewConsoleBoard returns the board of a console.
func NewConsoleBoard(c ConsoleConfig) *ConsoleBoard { return &ConsoleBoard{config: c} }

// Status implements console.Board.
func (b *ConsoleBoard) Status() console.Status {
	verdict, report := b.config.Vitals.Current()
	host, _ := os.Hostname()
	s := console.Status{
		Role: b.config.Role.Role, Board: b.config.Board.Name, Host: host, Now: time.Now(), Up: b.config.Vitals.Uptime(),
		State: verdict.State, Reason: verdict.Reason, Cause: b.config.Vitals.Why(), Report: report,
		Rejected: len(b.Rejected()), Release: b.config.Releases.Current(), Faults: b.config.Role.Faults(),
	}
	switch c, err := b.config.Network.Read(); {
	case err == nil:
		s.Address = c.AssignedAddress()
	case !errors.Is(err, fs.ErrNotExist):
		s.Address = err.Error()
	}
	return s
}

// Log implements console.Board.
func (b *ConsoleBoard) Log(lines int) []string { return b.config.Lines.Tail(lines) }

// Refused implements console.Board.
func (b *ConsoleBoard) Refused() (list []console.Run) {
	runs, err := acceptance.Refused(b.config.Role.configuredPaths().state)
	if err != nil {
		b.config.Log.Error("refused runs not read", "error", err)
	}
	for _, r := range runs {
		list = append(list, console.Run{ID: r.ID(), Epoch: r.Epoch, LastFrame: r.LastFrame})
	}
	return list
}

// Accept implements console.Board.
func (b *ConsoleBoard) Accept(id string) error {
	run, err := acceptance.Accept(b.config.Role.configuredPaths().state, id)
	if err == nil {
		b.config.Log.Warn("run of the transmitter accepted on the console", "run", run.ID())
	}
	return err
}

// Keys implements console.Board.
func (b *ConsoleBoard) Keys() (string, error) {
	role := b.config.Role
	use, warning, err := pairkey.InUse(role.configuredPaths().keyFile, role.Folders.Keys, time.Now())
	if err != nil {
		return "", err
	}
	text := "Pair key " + pairkey.ID(use.Key) + " is used"
	if use.Old != nil && role.Role == "rx" {
		text += ", and " + pairkey.ID(*use.Old) + " until " + use.Until.UTC().Format(time.DateTime+" UTC")
	}
	if warning != nil {
		text += "; " + warning.Error()
	}
	return text + ".", nil
}

// ChangeKey implements console.Board.
func (b *ConsoleBoard) ChangeKey(key [pairkey.Size]byte) error {
	role := b.config.Role
	use, err := pairkey.Change(role.configuredPaths().keyFile, role.Folders.Keys, key, time.Now(), overlap)
	if err != nil {
		return err
	}
	b.config.Log.Warn("pair key changed on the console", "key", pairkey.ID(key))
	return role.changeKeys(use)
}

// Selftest implements console.Board.
func (b *ConsoleBoard) Selftest(w io.Writer) {
	role := b.config.Role
	m := selftest.Machine{Root: os.DirFS("/"), Board: b.config.Board, Role: role.Role,
		Link: deviceName(role.Link()), Minute: b.config.Minute,
		Sent: int(b.characters.Load())}
	if p := role.process(); p != nil {
		m.PID = p.PID()
	}
	selftest.Print(w, selftest.Run(m))
}

// deviceName returns a serial port's path, or the kernel's name of an interface, as sysfs
// shows it. One that has gone to another network namespace keeps its configured name.
func deviceName(link string) string {
	if d, err := netdev.Find(link); err == nil {
		return d.Name
	}
	return link
}

// RestartRole implements console.Board.
func (b *ConsoleBoard) RestartRole() { b.signal(syscall.SIGTERM) }

// FreezeRole implements console.Board.
func (b *ConsoleBoard) FreezeRole() { b.signal(syscall.SIGSTOP) }

func (b *ConsoleBoard) signal(s syscall.Signal) {
	p := b.config.Role.process()
	if p == nil {
		b.config.Log.Warn("signal from the console ignored: the role does not run", "signal", s.String())
		return
	}
	b.config.Log.Warn("signal sent to the role from the console", "signal", s.String(), "pid", p.PID())
	_ = p.Signal(s) // an error: it has ended just now
}

// Restart implements console.Board.
func (b *ConsoleBoard) Restart() { b.config.Restart() }

// PowerOff implements console.Board.
func (b *ConsoleBoard) PowerOff() { b.config.PowerOff() }
