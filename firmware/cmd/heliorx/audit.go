package main

import (
	"bytes"
	"log/slog"
	"os"
	"sync/atomic"

	payload "heliograph/firmware/conduit/payload/syslog"
	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/platform/audit"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/rx/sink"
	"heliograph/firmware/rx/sink/syslog"
)

// takeAudit notes what the transmitter shows of its audit trail. It is state of the
// gateway's channel, so that the carousel repairs what was lost on the way, or sent
// before this board listened.
func (b *board) takeAudit() {
	whole := b.gateway.Health().Complete // first: what comes meanwhile is only more
	var messages [][]byte
	b.gateway.Range(func(key, payload []byte) bool {
		if selfreport.IsAudit(string(key)) {
			messages = append(messages, bytes.Clone(payload))
		}
		return true
	})
	b.journal.Take(messages, whole)
}

// forwardAudit has the trail of both boards forwarded to IT's collector, when one is
// configured. It waits on disk as lines of a channel do.
func (b *board) forwardAudit(log *slog.Logger) error {
	c := b.cfg.Audit
	if c.Forward == "" {
		return nil
	}
	q, err := b.queue(record.Gateway, c.SpoolBytes, log)
	if err != nil {
		return err
	}
	s, err := syslog.New(c, syslog.Deps{Queue: q, Account: &b.unforwarded}, log)
	if err != nil {
		return err
	}
	host, _ := os.Hostname() // "": the line says that it is not known
	q.OnDrop(b.unforwarded.Expired)
	b.journal.HandOn(func(m audit.Message) {
		s.Deliver(sink.Update{Event: true, Time: m.Entry.Time, Payload: payload.Append(nil, payload.Line{Format: payload.RFC5424, Text: m.Entry.Line(host)})})
	})
	b.tasks = append(b.tasks, s)
	b.audit = &out{channel: record.Gateway, protocol: "syslog", address: c.Forward, sink: s, queue: q}
	return nil
}

// auditCounts is what IT's collector did not take of the trail.
type auditCounts struct {
	Unforwarded atomic.Uint64 `count:"unforwarded_events" help:"Entries of the audit trail that the collector did not take, or that a full spool dropped."`
}

// Refused implements sink.Account.
func (c *auditCounts) Refused(n uint64) { c.Unforwarded.Add(n) }

// Expired implements sink.Account.
func (c *auditCounts) Expired(n uint64) { c.Unforwarded.Add(n) }

// Counters implements counter.Source.
func (b *board) Counters() []counter.Set {
	if b.audit == nil {
		return nil
	}
	return []counter.Set{counter.Of("audit_forward", "", &b.unforwarded)}
}
