// Command heliotx is the plant's side of the gateway: it listens to the plant
// and sends what it hears through a link that carries nothing back.
//
// This is the role's composition root: the only place that names concrete
// sources and drivers.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/acceptance"
	"heliograph/firmware/platform/audit/keeper"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/identity"
	"heliograph/firmware/platform/identity/selfsigned"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/role"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/platform/timekeeping"
	"heliograph/firmware/tx/epoch"
	"heliograph/firmware/tx/pipeline"
	"heliograph/firmware/tx/source/mqtt"
	"heliograph/firmware/tx/source/syslog"
	"heliograph/firmware/tx/totals"
)

var version = "unknown" // set by the linker

func main() {
	os.Exit(role.Main(role.Program{
		Name: "heliotx", Version: version,
		Check: func(path string) ([]config.Warning, error) {
			_, warnings, err := config.LoadTX(path)
			return warnings, err
		},
		Run: run,
	}, os.Args[1:], os.Stdout, os.Stderr))
}

// besideState is what the role may take beside its channels' state before the
// garbage collector works harder: queues, sources and what is not collected yet.
const besideState = 40 << 20

func run(ctx context.Context, path string, log *slog.Logger, hangup <-chan os.Signal) error {
	cfg, _, err := config.LoadTX(path)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // a board's memory is worth more than the time: a third less with 100,000 tags
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(cfg.Memory.State + besideState)
	}
	release, err := store.Lock(cfg.State)
	switch {
	case err == nil:
		defer release()
	case errors.Is(err, store.ErrInUse):
		return err
	default: // the epoch's Ready tells of a disk that fails
		log.Error("the state directory cannot be used", "error", err)
	}
	if freed := store.Sweep(cfg.State, time.Now()); freed > 0 { // before anything writes: the disk may be full of it
		log.Info("temporary files of runs that were cut off are removed", "bytes", freed)
	}
	updates := report.OpenUpdates(cfg.State)
	journal := keeper.Open(cfg.State, "tx", log)
	defer journal.Close()
	journal.Add("role_started", "heliotx "+version+" starts")
	number := epoch.Next(cfg.State, time.Now())
	session, err := newSession(cfg, number, journal)
	if err != nil {
		return err
	}
	log.Info("run of this transmitter", "run", acceptance.Run{Epoch: session.Epoch, Salt: session.Salt}.ID())
	book, warning, err := totals.Open(cfg.State)
	if err != nil {
		return err
	}
	if warning != nil {
		journal.Add("totals_damaged", fmt.Sprintf("what earlier runs sent is not known: %v", warning))
	}
	defer book.Close()
	link, err := openLink(cfg, session, book, log)
	if err != nil {
		return err
	}
	tasks, err := sources(cfg, link, log)
	if err != nil {
		return err
	}
	looking, err := lookers(cfg, link, journal, log)
	if err != nil {
		return err
	}
	tasks = append(tasks, looking.tasks()...)
	go looking.browse(ctx, hangup, log)
	r := &reporter{started: time.Now(), cfg: cfg, link: link, port: link.Port(record.Gateway, wire.LowLatency), journal: journal, updates: updates, epoch: session.Epoch, expiries: &identity.Expiries{Files: certificateFiles(cfg), Store: looking.store.Store},
		ntp: &timekeeping.NTP{Servers: cfg.Time, Log: log}}
	runner := &task.Runner{Log: log, Tasks: append(tasks, link, book, number, r, journal)}
	r.counters = func() []counter.Set { return counter.Gather(runner.Tasks) }
	if len(cfg.Time) > 0 {
		runner.Tasks = append(runner.Tasks, r.ntp)
	}
	if cfg.Status.Listen != "" {
		server, err := role.StatusServer(cfg.Status, cfg.PKI, journal.Add, log)
		if err != nil {
			return err
		}
		server.Snapshot, server.Role = r.snapshot, r.ready(runner)
		if report.Wanted() {
			server.Updates = updates
		}
		runner.Tasks = append(runner.Tasks, server)
	}
	if report.Wanted() {
		runner.Tasks = append(runner.Tasks, &report.Task{To: os.Stdout, Look: r.report(runner)})
	}
	return runner.Run(ctx)
}

// newSession opens the session of this run, whose epoch is on disk before the first
// frame can leave, or is beyond any that was.
func newSession(cfg config.TX, number *epoch.Number, journal *keeper.Keeper) (*wire.Session, error) {
	source, err := pairkey.Open(cfg.Link.KeyFile, cfg.State)
	if err != nil {
		return nil, err
	}
	keys, damaged, err := source.Use(time.Now())
	if err != nil {
		return nil, err
	}
	if damaged != nil {
		journal.Add("pair_key_damaged", damaged.Error())
	}
	if number.Lost {
		journal.Add("epoch_lost", "both copies of the epoch are damaged; it begins at 1 again, which the receiver will refuse until its operator accepts it")
	}
	if err := number.Ready(); err != nil {
		journal.Add("epoch_unkept", err.Error())
	}
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails
	return wire.NewSession(keys.Key, number.Epoch, salt)
}

// sources makes a task of every configured source, each with its channel.
func sources(cfg config.TX, link *pipeline.Link, log *slog.Logger) ([]task.Task, error) {
	var tasks []task.Task
	for _, c := range cfg.MQTT {
		s, err := mqtt.New(c, filepath.Join(cfg.State, "topics-"+c.Channel), link.Port(c.Channel, class(c.Bulk)), log)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, s)
	}
	for _, c := range cfg.Syslog {
		if err := ensureCertificate(cfg.PKI, &c, log); err != nil {
			return nil, err
		}
		s, err := syslog.New(c, link.Port(c.Channel, class(c.Bulk)), log)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, s)
	}
	return tasks, nil
}

// ensureCertificate makes a certificate for a tls:// listener that has none.
func ensureCertificate(folder string, c *config.SyslogSource, log *slog.Logger) (err error) {
	for _, l := range c.Listen {
		address, secure := strings.CutPrefix(l, "tls://")
		if !secure || c.TLS.Certificate != "" || c.TLS.Own != nil {
			continue
		}
		c.TLS.Certificate, c.TLS.PrivateKey, err = selfsigned.Ensure(folder, syslogCertificate(c.Channel), address, time.Now())
		if err != nil {
			log.Error("syslog: the listener's certificate is made for this run alone", "channel", c.Channel, "error", err)
			c.TLS.Own, err = selfsigned.InMemory(address, time.Now())
		}
	}
	return err
}

func syslogCertificate(channel string) string { return "syslog-" + channel }

func class(bulk bool) wire.Class {
	if bulk {
		return wire.Bulk
	}
	return wire.LowLatency
}
