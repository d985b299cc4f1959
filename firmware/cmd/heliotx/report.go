package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"heliograph/drivers/clock"
	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/audit/keeper"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/identity"
	"heliograph/firmware/platform/identity/selfsigned"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/platform/timekeeping"
	"heliograph/firmware/tx/pipeline"
	"heliograph/firmware/tx/source"
)

// reporter tells both ends how this board stands: its own status server, and
// the receiver through the gateway's own channel.
type reporter struct {
	started time.Time
	cfg     config.TX
	link    *pipeline.Link
	port    source.Port
	journal *keeper.Keeper
	updates *report.Updates
	ntp     *timekeeping.NTP
	epoch   uint64
	sent    map[string]string
	steps   atomic.Uint64

	counters func() []counter.Set // of all tasks
	expiries *identity.Expiries
}

// reportEvery is how often the gateway's own channel is brought up to date.
const reportEvery = 2 * time.Second

// String names the task.
func (r *reporter) String() string { return "report" }

// Ready is always so: whether the board is ready is what it reports.
func (r *reporter) Ready() error { return nil }

// Steps proves that it goes round.
func (r *reporter) Steps() uint64 { return r.steps.Load() }

// Run reports until ctx ends.
func (r *reporter) Run(ctx context.Context) error {
	r.port.Report(source.Up, "")
	for {
		r.steps.Add(1)
		r.link.SetClock(r.clockSet())
		r.tell()
		if report.Wanted() {
			r.updates.Note(r.journal.AddOnce)
		}
		r.port.Whole(true)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reportEvery):
		}
	}
}

// tell puts what has changed on the gateway's own channel: one key each, so
// that a change costs only itself.
func (r *reporter) tell() {
	now := map[string]string{
		"version":       version,
		"pair":          r.cfg.Pair,
		"epoch":         strconv.FormatUint(r.epoch, 10),
		"configuration": summary(r.cfg),
		"clock":         r.clockState(),
	}
	if t, ok := temperature(); ok {
		now["temperature_celsius"] = t
	}
	for _, e := range r.expiries.List(time.Now()) {
		key, value := selfreport.Certificate(e.Name, e.At)
		now[key] = value
	}
	protocols := protocols(r.cfg)
	for _, c := range r.link.Channels() {
		if c.Name != record.Gateway {
			b, err := json.Marshal(map[string]string{"protocol": protocols[c.Name], "state": c.State.String(), "reason": c.Reason})
			if err == nil {
				now[selfreport.Source(c.Name)] = string(b)
			}
		}
	}
	for _, m := range r.journal.Newest() {
		if b, err := m.Encode(); err == nil {
			now[selfreport.Audit(m.Entry.Number)] = string(b)
		}
	}
	for key, value := range now {
		if r.sent[key] != value {
			// Refused only once the link is closed, when nobody listens.
			_ = r.port.Put(source.Update{Key: []byte(key), Payload: []byte(value), Time: time.Now()})
		}
	}
	r.sent = now
}

// near is how far off a clock may be that is called the time of day.
const near = time.Second

// clockSet reports whether the machine's clock is the time of day: because
// something keeps it, or because time servers say so.
func (r *reporter) clockSet() bool {
	e := r.ntp.Estimate()
	return clock.Synchronized() || e.Number > 0 && e.Offset.Abs() < near
}

func (r *reporter) clockState() string {
	e := r.ntp.Estimate()
	switch {
	case e.Number > 0:
		return fmt.Sprintf("%s, off by %s", e.Source, e.Offset.Round(time.Millisecond))
	case clock.Synchronized():
		return "synchronized"
	case len(r.cfg.Time) > 0:
		return "not synchronized: " + r.ntp.Unknown().Error()
	}
	return "not synchronized"
}

// summary says what is configured without naming hosts of the plant.
func summary(cfg config.TX) string {
	return fmt.Sprintf("%d mqtt, %d syslog, %d opcua over %s", len(cfg.MQTT), len(cfg.Syslog), len(cfg.OPCUA), cfg.Link.Medium)
}

// certificateFiles are those that channels use, by what they are for.
func certificateFiles(cfg config.TX) map[string]string {
	files := map[string]string{}
	for _, c := range cfg.MQTT {
		files["mqtt "+c.Channel] = c.TLS.Certificate
	}
	for _, c := range cfg.Syslog {
		name := "syslog " + c.Channel
		if files[name] = c.TLS.Certificate; files[name] == "" {
			files[name], _ = selfsigned.Files(cfg.PKI, syslogCertificate(c.Channel))
		}
	}
	return files
}

// temperature reads the processor's temperature, where there is a sensor.
func temperature() (string, bool) {
	b, err := os.ReadFile("/sys/class/thermal/thermal_zone0/temp")
	if err != nil {
		return "", false
	}
	milli, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return "", false
	}
	return strconv.Itoa((milli + 500) / 1000), true
}

// ready merges the tasks' reasons with those of the channels.
func (r *reporter) ready(runner *task.Runner) func() error {
	return func() error {
		reasons := []error{runner.Ready()}
		for _, c := range r.link.Channels() {
			switch {
			case c.State != source.Up:
				reasons = append(reasons, fmt.Errorf("channel %s: %s", c.Name, c.Down()))
			case c.Partial:
				reasons = append(reasons, fmt.Errorf("channel %s: the source's first picture has not been sent yet", c.Name))
			}
			if c.StateFull > 0 {
				reasons = append(reasons, fmt.Errorf("channel %s: %d values did not cross: more state than [memory] of this file lets it have; take fewer topics, or restart with more", c.Name, c.StateFull))
			}
		}
		return errors.Join(reasons...)
	}
}

// snapshot is what the status server shows.
func (r *reporter) snapshot() status.Snapshot {
	counts := r.link.Counts()
	s := status.Snapshot{
		Role: "tx", Pair: r.cfg.Pair, Version: version, UptimeSeconds: time.Since(r.started).Seconds(), Clock: r.clockState(),
		Channels: map[string]status.Channel{}, Counters: r.counters(), Notes: r.journal.Events(),
		Link: status.Link{
			Medium: string(r.cfg.Link.Medium), Epoch: r.epoch,
			Frames: counts.Source + counts.Parity + counts.Hello, Bytes: counts.Bytes,
		},
	}
	for _, e := range r.expiries.List(time.Now()) {
		s.Certificates = append(s.Certificates, status.Certificate{Board: "tx", Name: e.Name, Expires: e.At})
	}
	slices.SortFunc(s.Certificates, status.Certificate.Compare)
	if err := r.link.Ready(); err != nil {
		s.Link.State = err.Error()
	}
	protocols := protocols(r.cfg)
	for _, c := range r.link.Channels() {
		if c.Name == record.Gateway {
			continue
		}
		refused, why := c.Refused()
		s.Channels[c.Name] = status.Channel{
			Protocol: protocols[c.Name], Sent: status.Of(c.Sent), Conflated: status.Of(c.Conflated), Dropped: status.Of(c.Dropped), Refused: status.Of(refused), RefusedReason: why,
			QueuedBytes: status.Of(uint64(c.Queued)), Keys: status.Of(uint64(c.Keys)), StateBytes: status.Of(uint64(c.State)), SourceState: c.State.String(), SourceReason: c.Reason,
		}
	}
	return s
}

func protocols(cfg config.TX) map[string]string {
	p := map[string]string{}
	for _, c := range cfg.MQTT {
		p[c.Channel] = "mqtt"
	}
	for _, c := range cfg.Syslog {
		p[c.Channel] = "syslog"
	}
	for _, c := range cfg.OPCUA {
		p[c.Channel] = "opcua"
	}
	return p
}
