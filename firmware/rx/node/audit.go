package node

import (
	"os"
	"sync/atomic"

	payload "heliograph/firmware/conduit/payload/syslog"
	"heliograph/firmware/conduit/record"
	"heliograph/firmware/platform/audit"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/rx/sink"
)

// addAuditForward has the trail of both boards forwarded to IT's collector, when one
// is configured. It waits on disk as lines of a channel do.
func (n *Node) addAuditForward() error {
	c := n.config.RX.Audit
	if c.Forward == "" {
		return nil
	}
	q, err := n.openQueue(record.Gateway, c.SpoolBytes)
	if err != nil {
		return err
	}
	s, err := n.config.Build.Syslog(c, q, &n.unforwarded, n.config.Log)
	if err != nil {
		return err
	}
	host, _ := os.Hostname() // "": the line has no host name
	q.OnDrop(n.unforwarded.Expired)
	n.state.journal.HandOn(func(m audit.Message) {
		line := payload.Line{Format: payload.RFC5424, Text: m.Entry.Line(host)}
		s.Deliver(sink.Update{Event: true, Time: m.Entry.Time, Payload: payload.Append(nil, line)})
	})
	n.add(s)
	n.audit = &channel{name: record.Gateway, protocol: "syslog", address: c.Forward, sink: s, queue: q}
	return nil
}

// auditCounts counts what IT's collector did not take of the trail.
type auditCounts struct {
	Unforwarded atomic.Uint64 `count:"unforwarded_events" help:"Entries of the audit trail that the collector did not take, or that a full spool dropped."`
}

// Refused implements sink.Account.
func (c *auditCounts) Refused(n uint64) { c.Unforwarded.Add(n) }

// Expired implements sink.Account.
func (c *auditCounts) Expired(n uint64) { c.Unforwarded.Add(n) }

// Counters implements counter.Source.
func (m *maintenance) Counters() []counter.Set {
	var sets []counter.Set
	if m.node.audit != nil {
		sets = append(sets, counter.Of("audit_forward", "", &m.node.unforwarded))
	}
	if l := m.node.trustLines; l != nil {
		sets = append(sets, counter.Of("trust_lines", "", &l.counts))
	}
	return sets
}
