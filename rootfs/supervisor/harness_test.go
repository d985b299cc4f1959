package supervisor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/drivers/probe"
	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/report"
	"heliograph/rootfs/sandbox"
)

const validTX = "pair = \"hall\"\n[link]\nmedium = \"udp\"\naddress = \"127.0.0.1:17000\"\nkey_file = \"pair.key\"\n" +
	"[[syslog]]\nchannel = \"syslog\"\nlisten = [\"tcp://0.0.0.0:601\"]\n"

const validRX = "pair = \"hall\"\n[link]\nmedium = \"udp\"\naddress = \"127.0.0.1:17000\"\nkey_file = \"pair.key\"\n" +
	"[[syslog]]\nchannel = \"syslog\"\nforward = \"tcp://127.0.0.1:601\"\n"

// lines are a log. Safe for concurrent use.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *lines) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }
func (l *lines) logger() *slog.Logger        { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *lines) expect(t *testing.T, want string, times int) {
	t.Helper()
	if got := strings.Count(l.String(), want); got != times {
		t.Errorf("%q logged %d times, want %d:\n%s", want, got, times, l.String())
	}
}

// process is a role made of a function, which returns how it ends.
type process struct {
	reports *io.PipeReader
	out     *io.PipeWriter
	ended   chan struct{}
	once    sync.Once
	err     error

	signals  chan os.Signal
	stubborn bool // ends at SIGKILL only
}

func newProcess() *process {
	p := &process{ended: make(chan struct{}), signals: make(chan os.Signal, 8)}
	p.reports, p.out = io.Pipe()
	return p
}

func (p *process) PID() int           { return 42 }
func (p *process) Reports() io.Reader { return p.reports }
func (p *process) Wait() error        { <-p.ended; return p.err }

func (p *process) exit(err error) {
	p.once.Do(func() { p.err = err; _ = p.out.Close(); close(p.ended) })
}

func (p *process) Signal(s os.Signal) error {
	p.signals <- s
	if s == syscall.SIGKILL || s == syscall.SIGTERM && !p.stubborn {
		p.exit(errors.New("signal: " + s.String()))
	}
	return nil
}

// report writes one report, whose steps rise with n.
func (p *process) report(n uint64) error {
	r := report.Report{Evidence: health.Evidence{Steps: map[string]uint64{"link": n}}}
	_, err := p.out.Write(r.Append(nil))
	return err
}

// work reports each second, as a role does, for so long; 0 is until it ends.
func (p *process) work(long time.Duration) {
	start := time.Now()
	for n := uint64(1); long == 0 || time.Since(start) < long; n++ {
		if p.report(n) != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// rig is a board in temporary folders.
type rig struct {
	*Supervisor
	log, roleLog lines
	mu           sync.Mutex
	starts       []time.Time
	specs        []sandbox.Spec // started has them while the supervisor runs
	opened       []config.Link
	returned     bool             // the link's device, since it was opened
	play         func(p *process) // what each role does
	fault        error            // of the next start
	stubborn     bool             // roles end at SIGKILL only
	processes    []*process
	players      sync.WaitGroup
}

func newRig(t *testing.T, role, configuration string) *rig {
	t.Helper()
	root := t.TempDir()
	r := &rig{play: func(p *process) { p.work(0) }}
	t.Cleanup(r.players.Wait)
	f := Folders{Card: root + "/boot", Home: root + "/role", State: root + "/state", Keys: root + "/keys"}
	r.Supervisor = New(Config{
		Role: role, Log: r.log.logger(), RoleLog: &r.roleLog, Vitals: NewVitals(r.log.logger()),
		Folders: f, User: os.Getuid(), Starter: r, Links: r,
	})
	if err := os.Mkdir(f.Card, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := pairkey.Create(filepath.Join(f.Card, "pair.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	r.configure(t, configuration)
	return r
}

func (r *rig) configure(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.Folders.Card, configurationFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Start implements Starter.
func (r *rig) Start(s sandbox.Spec, log io.Writer) (Process, error) {
	r.mu.Lock()
	r.starts, r.specs = append(r.starts, time.Now()), append(r.specs, s)
	r.mu.Unlock()
	if r.fault != nil {
		return nil, r.fault
	}
	_, _ = io.WriteString(log, "started\n")
	p := newProcess()
	p.stubborn = r.stubborn
	r.processes = append(r.processes, p)
	r.players.Go(func() { r.play(p) })
	return p, nil
}

// started returns the sandboxes of all processes so far.
func (r *rig) started() []sandbox.Spec {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.specs)
}

// OpenLink implements LinkOpener.
func (r *rig) OpenLink(l config.Link, _ sandbox.Direction) (*os.File, []string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened, r.returned = append(r.opened, l), false
	f, err := os.Open(os.DevNull)
	return f, []string{"a warning"}, err
}

// Returned implements LinkOpener.
func (r *rig) Returned(config.Link, *os.File) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.returned
}

// pass lets time pass, and what is due then happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// background runs the supervisor and its vitals until the test ends.
func (r *rig) background(t *testing.T, o Outputs) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	running.Go(func() { r.Vitals.Run(ctx, o) })
	return func() { cancel(); running.Wait() }
}

// Probe implements LinkOpener.
func (r *rig) Probe(ctx context.Context, _ config.Link, open *os.File, p probe.Plan) probe.Result {
	if open == nil {
		return probe.Result{Reason: "no link was given"}
	}
	sent := probe.Means{Name: "ARP request", Count: p.Count}
	p.Progress(sent)
	left := uint64(p.Count)
	return probe.Result{Sent: []probe.Means{sent}, Left: &left}
}

// Received implements LinkOpener.
func (r *rig) Received(config.Link, *os.File) *machine.Received {
	n := uint64(len(r.opened))
	return &machine.Received{Interface: &n}
}
