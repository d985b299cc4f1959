package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/audit/keeper"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/identity"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/platform/timekeeping"
	"heliograph/firmware/rx/memory"
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/sink"
	"heliograph/firmware/rx/spool"
)

// board is the role put together, and the task that looks after it each second:
// it keeps the account and audits what the link refused.
type board struct {
	started time.Time
	cfg     config.RX
	link    *pipeline.Link
	memory  *memory.Memory
	journal *keeper.Keeper
	updates *report.Updates
	gateway sink.Snapshot
	ntp     *timekeeping.NTP
	tasks   []task.Task
	outs    []out
	queues  []*spool.Queue
	audit   *out // of the audit trail; nil: it is not forwarded

	unforwarded auditCounts

	identity *identity.Store // nil: no OPC UA
	release  func()          // of the lock on the state directory; nil: it could not be locked yet

	keys                  *pairkey.Source
	key, oldKey, heardKey string // IDs of the pair keys that are accepted, and of the one in use

	steps      atomic.Uint64
	authFailed uint64 // of which the operator has been told

	mismatched task.Reasons // channels that one end alone has, as they were last logged

	expiries identity.Expiries
	log      *slog.Logger
	counters func() []counter.Set // of all tasks
}

type out struct {
	channel, protocol, address string
	sink                       peer
	queue                      *spool.Queue // nil: the sink keeps nothing
	keys                       *memory.Keys
}

// String names the task.
func (b *board) String() string { return "board" }

// Ready is always so: whether the board is ready is for its parts to say.
func (b *board) Ready() error { return nil }

// Steps proves that it goes round.
func (b *board) Steps() uint64 { return b.steps.Load() }

// Run looks after the board until ctx ends.
func (b *board) Run(ctx context.Context) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-second.C:
		}
		b.steps.Add(1)
		b.lookAtState()
		b.lookAtKeys()
		b.keep(b.link.Account())
		if n%keysEvery == 0 {
			b.keepKeys(false)
		}
		b.logMismatches()
		b.takeAudit()
		if report.Wanted() {
			b.updates.Note(b.journal.AddOnce)
		}
		if n := b.link.Status().Frames.AuthFailed; n > b.authFailed {
			b.journal.AddCount("auth_failure", "frames passed their CRC and failed their tag: a wrong pair key, or somebody forges frames", n-b.authFailed)
			b.authFailed = n
		}
	}
}

// mismatches are the channels that the two configurations do not agree on, while that is known.
func (b *board) mismatches() task.Reasons {
	there, known := transmitterChannels(b.gateway, b.link.Status().Channels)
	if !known {
		return nil
	}
	here := map[string]string{}
	for _, o := range b.outs {
		here[o.channel] = o.protocol
	}
	return mismatches(here, there)
}

// logMismatches logs channels that one end alone has, when they change.
func (b *board) logMismatches() {
	now := b.mismatches()
	for _, reason := range now {
		if !slices.Contains(b.mismatched, reason) {
			b.log.Warn(reason.String())
		}
	}
	b.mismatched = now
}

const lockPart = "lock"

// keysEvery is how many seconds pass between two looks at what keys were added.
const keysEvery = 60

// keepKeys brings the lists of keys up to date.
func (b *board) keepKeys(last bool) {
	for _, o := range b.outs {
		o.keys.Keep(last, func() [][]byte {
			keys, _ := b.link.Keys(o.channel)
			return keys
		})
	}
}

// lookAtState notes which parts of the state are kept in memory alone.
func (b *board) lookAtState() {
	if b.identity != nil {
		var err error
		if !b.identity.Kept() {
			err = errors.New("it would be another one after a restart")
		}
		b.memory.Failed("own certificate", err)
	}
	if b.release == nil {
		release, err := store.Lock(b.cfg.State)
		b.release = release
		b.memory.Failed(lockPart, err)
	}
	for _, o := range b.outs {
		if o.queue == nil {
			continue
		}
		var err error
		if fault := o.queue.Stats().Fault; fault != "" {
			err = errors.New(fault)
		}
		b.memory.Failed("spool of "+o.channel, err)
	}
}

// ready merges the tasks' reasons with those of channels and memory.
func (b *board) ready(runner *task.Runner) func() task.Reasons {
	return func() task.Reasons {
		reasons := append(runner.Ready(), b.memory.Storage()...)
		if err := b.memory.Ready(); err != nil && b.link.Ready() != nil {
			reasons = append(reasons, task.NewReason("epoch_regressed", err))
		}
		for _, c := range b.link.Status().Channels {
			if c.Name != record.Gateway && !c.Complete {
				reasons = append(reasons, task.Reason{Part: "channel " + c.Name, Cause: "the initial snapshot is not complete yet"})
			}
			if c.Full {
				reasons = append(reasons, task.Reason{Part: "channel " + c.Name, Cause: fmt.Sprintf("%d keys are without their values: more state than [memory] of this file lets it keep", c.Over)})
			}
		}
		return append(reasons, b.mismatches()...)
	}
}

// snapshot is what the status server shows.
func (b *board) snapshot() status.Snapshot {
	st := b.link.Status()
	s := status.Snapshot{
		Role: "rx", Pair: b.cfg.Pair, Version: version, UptimeSeconds: time.Since(b.started).Seconds(),
		Clock: "transmitter's clock not set", Channels: map[string]status.Channel{}, Counters: b.counters(), Notes: b.journal.Events(),
		Link:        b.linkStatus(st),
		Transmitter: map[string]string{},
	}
	if st.ClockSet {
		s.Clock = "transmitter's clock set"
	}
	b.gateway.Range(func(key, payload []byte) bool {
		if selfreport.IsAudit(string(key)) {
			return true // is in the trail
		}
		s.Transmitter[string(key)] = string(payload)
		if name, at, ok := selfreport.ParseCertificate(string(key), string(payload)); ok {
			s.Certificates = append(s.Certificates, status.Certificate{Board: "tx", Name: name, Expires: at})
		}
		return true
	})
	for _, e := range b.expiries.List(time.Now()) {
		s.Certificates = append(s.Certificates, status.Certificate{Board: "rx", Name: e.Name, Expires: e.At})
	}
	slices.SortFunc(s.Certificates, status.Certificate.Compare)
	protocols := map[string]string{}
	outs := b.outs
	if b.audit != nil {
		outs = append(slices.Clone(outs), *b.audit)
	}
	for _, o := range outs {
		protocols[o.channel] = o.protocol
		state, reason := o.sink.Status()
		p := status.Peer{Channel: o.channel, Name: o.sink.String(), State: state.String(), Reason: reason, Address: o.address}
		if o.queue != nil {
			q := o.queue.Stats()
			p.Spool = &status.Spool{Bytes: q.Bytes, Limit: q.Limit, Records: q.Records, Dropped: q.Dropped, Gaps: q.Unknown, Fault: q.Fault}
		}
		s.Peers = append(s.Peers, p)
	}
	for _, c := range st.Channels {
		if c.Name != record.Gateway {
			s.Channels[c.Name] = b.channelStatus(c, protocols[c.Name])
		}
	}
	return s
}

// channelStatus says how a channel stands. What the transmitter said last of
// its source is no news once the link is silent.
func (b *board) channelStatus(c pipeline.ChannelStatus, protocol string) status.Channel {
	out := status.Channel{
		Protocol: protocol, Sent: status.Of(c.Sent), Delivered: status.Of(c.Delivered), Conflated: status.Of(c.Conflated), Lost: status.Of(c.Lost),
		Unknown: status.Of(c.Unknown), Refused: status.Of(c.Refused), Expired: status.Of(c.Expired), Complete: status.Of(c.Complete), AgeSeconds: seconds(c.Age),
		Keys: status.Of(uint64(c.Keys)), Valueless: status.Of(uint64(c.Over)), SourceState: c.State.String(), SourceReason: c.Reason,
	}
	if err := b.link.Ready(); err != nil {
		out.SourceReason = fmt.Sprintf("%v; last known: %s %s", err, out.SourceState, c.Reason)
		out.SourceState = record.SourceDown.String()
	}
	return out
}

// seconds is an age in seconds, nil while it is not known.
func seconds(age time.Duration) *float64 {
	if age < 0 {
		return nil
	}
	return status.Of(age.Seconds())
}

func (b *board) linkStatus(st pipeline.Status) status.Link {
	f := st.Frames
	l := status.Link{
		Medium: string(b.cfg.Link.Medium), Epoch: st.Epoch, Frames: f.Frames, Bytes: st.Bytes, Dropped: status.Of(st.Dropped), CRCErrors: status.Of(f.Noise),
		AuthFailures: status.Of(f.AuthFailed), Replayed: status.Of(f.Replayed), Repaired: status.Of(f.Repaired),
		Lost: status.Of(f.Lost), LastHeartbeatAgeSeconds: seconds(st.HeartbeatAge),
	}
	if err := b.link.Ready(); err != nil {
		l.State = err.Error()
	}
	return l
}

// figures is the gateway's state and loss figures, for sinks that publish them.
func (b *board) figures() []byte {
	s := b.snapshot()
	out, err := json.Marshal(map[string]any{
		"pair": s.Pair, "version": s.Version, "link": s.Link, "channels": s.Channels, "transmitter": s.Transmitter,
	})
	if err != nil {
		return nil // numbers and strings always marshal, but for a NaN, which no counter is
	}
	return out
}
