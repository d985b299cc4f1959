// Command heliorx is IT's side of the gateway: it listens to the link, which it
// has no way to answer, and rebuilds what the plant's side heard.
//
// This is the role's composition root: the only place that names concrete
// sinks and drivers.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/config/users"
	"heliograph/firmware/platform/audit/keeper"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/identity"
	"heliograph/firmware/platform/identity/selfsigned"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/role"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/platform/timekeeping"
	"heliograph/firmware/rx/memory"
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/sink"
	"heliograph/firmware/rx/sink/mqtt"
	"heliograph/firmware/rx/sink/syslog"
	"heliograph/firmware/rx/spool"
)

var version = "unknown" // set by the linker

func main() {
	os.Exit(role.Main(role.Program{
		Name: "heliorx", Version: version,
		Check: func(path string) ([]config.Warning, error) {
			_, warnings, err := config.LoadRX(path)
			return warnings, err
		},
		Run: run,
	}, os.Args[1:], os.Stdout, os.Stderr))
}

// besideState is what the role may take beside its channels' state before the
// garbage collector works harder: sinks, sessions and what is not collected yet.
const besideState = 140 << 20

func run(ctx context.Context, path string, log *slog.Logger, _ <-chan os.Signal) error {
	cfg, _, err := config.LoadRX(path)
	if err != nil {
		return err
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(cfg.Memory.State + besideState)
	}
	release, locked := store.Lock(cfg.State)
	if errors.Is(locked, store.ErrInUse) {
		return locked
	}
	if freed := store.Sweep(cfg.State, time.Now()); freed > 0 { // before anything writes: the disk may be full of it
		log.Info("temporary files of runs that were cut off are removed", "bytes", freed)
	}
	updates := report.OpenUpdates(cfg.State)
	journal := keeper.Open(cfg.State, "rx", log)
	defer journal.Close()
	journal.Add("role_started", "heliorx "+version+" starts")
	source, err := pairkey.Open(cfg.Link.KeyFile, cfg.State)
	if err != nil {
		return err
	}
	keys, damaged, err := source.Use(time.Now())
	if err != nil {
		return err
	}
	if damaged != nil {
		journal.Add("pair_key_damaged", damaged.Error())
	}
	remembered, err := memory.Open(cfg.State, keys.Memory, keys.Replaced, journal.Add, time.Now)
	if err != nil {
		return err
	}
	remembered.Failed(lockPart, locked)
	b := &board{log: log, started: time.Now(), cfg: cfg, journal: journal, updates: updates, memory: remembered, release: release, expiries: identity.Expiries{Files: map[string]string{}}}
	b.keys = source
	if b.link, err = openLink(cfg, keys.Key, remembered, log); err != nil {
		return err
	}
	b.gateway = b.link.Channel(record.Gateway)
	defer b.close(log)
	if err := b.sinks(log); err != nil {
		return err
	}
	if err := b.forwardAudit(log); err != nil {
		return err
	}
	b.link.Resume(remembered.Account())
	b.lookAtKeys() // a change may be under way
	runner := &task.Runner{Log: log, Tasks: append(b.tasks, b.link, b, journal)}
	b.counters = func() []counter.Set { return counter.Gather(runner.Tasks) }
	b.ntp = &timekeeping.NTP{Servers: cfg.Time, Log: log}
	if len(cfg.Time) > 0 {
		runner.Tasks = append(runner.Tasks, b.ntp)
	}
	if cfg.Status.Listen != "" {
		server, err := role.StatusServer(cfg.Status, cfg.PKI, journal.Add, log)
		if err != nil {
			return err
		}
		server.Snapshot, server.Role = b.snapshot, b.ready(runner)
		if report.Wanted() {
			server.Updates = updates
		}
		runner.Tasks = append(runner.Tasks, server)
	}
	if report.Wanted() {
		runner.Tasks = append(runner.Tasks, &report.Task{To: os.Stdout, Look: b.report(runner)})
	}
	return runner.Run(ctx)
}

// sinks makes a task of every configured sink, each with its channel and spool.
func (b *board) sinks(log *slog.Logger) error {
	brokers := 0
	for _, c := range b.cfg.MQTT {
		if c.Listen != "" {
			brokers++
		}
	}
	for _, c := range b.cfg.MQTT {
		q, err := b.queue(c.Channel, c.SpoolBytes, log)
		if err != nil {
			return err
		}
		channel := b.link.Channel(c.Channel)
		deps := mqtt.Deps{Queue: q, Channel: channel, Pair: b.cfg.Pair, Gateway: b.figures, Brokers: brokers}
		if address, secure := strings.CutPrefix(c.Listen, "mqtts://"); secure && c.TLS.Certificate == "" {
			c.TLS.Certificate, c.TLS.PrivateKey, err = selfsigned.Ensure(b.cfg.PKI, "mqtt-"+c.Channel, address, time.Now())
			if err != nil {
				log.Error("mqtt: the listener's certificate is made for this run alone", "channel", c.Channel, "error", err)
				c.TLS.Own, err = selfsigned.InMemory(address, time.Now())
			}
			if err != nil {
				return err
			}
		}
		b.expiries.Files["mqtt "+c.Channel] = c.TLS.Certificate
		if c.UsersFile != "" {
			known, err := b.users(c.UsersFile, "at the MQTT broker of "+c.Channel, log)
			if err != nil {
				return err
			}
			deps.Verify = known.Verify
		}
		s, err := mqtt.New(c, deps, log)
		if err != nil {
			return err
		}
		b.add(channel, c.Channel, "mqtt", first(c.Broker, c.Listen), s, q)
	}
	for _, c := range b.cfg.Syslog {
		b.expiries.Files["syslog "+c.Channel] = c.TLS.Certificate
		q, err := b.queue(c.Channel, c.SpoolBytes, log)
		if err != nil {
			return err
		}
		channel := b.link.Channel(c.Channel)
		s, err := syslog.New(c, syslog.Deps{Queue: q, Account: channel}, log)
		if err != nil {
			return err
		}
		b.add(channel, c.Channel, "syslog", c.Forward, s, q)
	}
	return b.mirrors(log)
}

// users opens a users file whose logins are audited as those of a place.
func (b *board) users(path, place string, log *slog.Logger) (*users.File, error) {
	f, err := users.Open(path, log)
	if err == nil {
		f.Audit = func(kind, text string) { b.journal.Add(kind, text+" "+place) }
	}
	return f, err
}

func (b *board) queue(channel string, limit int64, log *slog.Logger) (*spool.Queue, error) {
	q, err := spool.Open(filepath.Join(b.cfg.State, "spool", channel), limit)
	if err != nil {
		return nil, err
	}
	q.LogTo(log.With("channel", channel))
	b.queues = append(b.queues, q)
	return q, nil
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// peer is a sink with what an operator wants to see of it.
type peer interface {
	task.Task
	sink.Sink
	Status() (sink.State, string)
}

func (b *board) add(c *pipeline.Channel, channel, protocol, address string, s peer, q *spool.Queue) {
	keys, before := b.memory.Keys(channel)
	c.DeliverTo(remembering{s, keys})
	if q != nil {
		q.OnDrop(c.Expired)
		c.Volatile(q.Volatile)
	}
	b.link.Recall(channel, before)
	b.tasks = append(b.tasks, s)
	b.outs = append(b.outs, out{channel: channel, protocol: protocol, address: address, sink: s, queue: q, keys: keys})
}

// remembering has a key remembered before the sink makes it known outside: one
// that is forgotten is never removed there.
type remembering struct {
	sink.Sink
	keys *memory.Keys
}

// Deliver implements sink.Sink.
func (r remembering) Deliver(u sink.Update) {
	if u.Key != nil && !u.Delete {
		r.keys.Add(u.Key)
	}
	r.Sink.Deliver(u)
}

// close keeps what the run is to hand on to the next.
func (b *board) close(log *slog.Logger) {
	if b.release != nil {
		defer b.release()
	}
	for _, q := range b.queues { // before the account is taken: what the disk does not take counts as expired
		if err := q.Close(); err != nil {
			log.Error("spool: closing", "error", err)
		}
	}
	account := b.link.Account()
	account.Exact = true
	b.keep(account)
	b.keepKeys(true)
}

func (b *board) keep(account pipeline.Account) {
	epoch, sequence, ok := b.link.Sequence()
	if ok {
		b.memory.Keep(epoch, sequence, account)
	}
}
