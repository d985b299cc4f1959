package node

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"heliograph/firmware/platform/task"
)

// Our own choices.
const (
	maintainEvery = time.Second
	// keepKeysEvery is how many seconds pass between two checks of what keys were added:
	// a list of all keys is larger than the account of a second.
	keepKeysEvery = 60
)

// maintenance is the task that each second keeps the account, follows changes of keys
// and state, and audits what the link refused.
type maintenance struct {
	node     *Node
	keys     pairKeys
	steps    atomic.Uint64
	refused  uint64          // frames that failed their authentication, as last audited
	mismatch task.Reasons    // channels that one end alone has, as last logged
	ready    map[string]bool // the link and each channel, as last logged
}

func newMaintenance(n *Node) *maintenance {
	m := &maintenance{
		node: n, ready: map[string]bool{},
		keys: pairKeys{source: n.state.keys, link: n.link, audit: n.state.journal.Add},
	}
	m.keys.update(time.Now()) // a change may be under way
	return m
}

// String names the task.
func (*maintenance) String() string { return "board" }

// Ready is always nil: each part of the node has its own readiness.
func (*maintenance) Ready() error { return nil }

// Steps proves that it makes progress.
func (m *maintenance) Steps() uint64 { return m.steps.Load() }

// Run maintains the node until ctx ends.
func (m *maintenance) Run(ctx context.Context) error {
	ticker := time.NewTicker(maintainEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			m.maintain()
		}
	}
}

func (m *maintenance) maintain() {
	n := m.node
	second := m.steps.Add(1)
	m.checkState()
	m.keys.update(time.Now())
	n.keepAccount(false)
	if second%keepKeysEvery == 0 {
		n.keepKeys(false)
	}
	m.logReadiness()
	m.logMismatches()
	n.collectAudit()
	if n.config.Reports != nil {
		n.state.updates.Note(n.state.journal.AddOnce)
	}
	n.state.disk.Note(n.config.Log, n.state.journal.AddOnce)
	n.watchProbe(time.Now())
	m.auditRefused()
	n.auditDamage()
	if n.trustLines != nil {
		n.trustLines.update(time.Now(), n.Snapshot().Trust)
	}
}

// checkState notes which parts of the state are kept in memory alone.
func (m *maintenance) checkState() {
	n := m.node
	if n.identity != nil {
		err := n.identity.Unsaved()
		if err != nil {
			err = fmt.Errorf("another one is made at the next start: %w", err)
		}
		n.state.memory.SetFault(certificatePart, err)
	}
	n.state.lock()
	for _, q := range n.queues {
		n.state.memory.SetFault(spoolPart+q.channel, q.Fault())
	}
}

// logReadiness logs when the link or what crosses it stops, and when it is back. What
// is wrong on this side of the mirror, each sink logs itself.
func (m *maintenance) logReadiness() {
	link := task.Reasons{}
	if err := m.node.link.Ready(); err != nil {
		link = append(link, task.NewReason("link", err))
	}
	m.logPart("link", m.node.config.Log.With("component", "link"), link)
	for _, c := range m.node.link.Status().Channels {
		log := m.node.config.Log.With("component", "channel", "channel", c.Name)
		m.logPart("channel "+c.Name, log, channelReasons(c))
	}
}

func (m *maintenance) logPart(part string, log *slog.Logger, reasons task.Reasons) {
	ready := len(reasons) == 0
	before, known := m.ready[part]
	m.ready[part] = ready
	switch {
	case known && ready == before:
	case ready:
		log.Info("ready", "state", "up")
	case known:
		log.Warn("not ready", "state", "down", "error", reasons[0].Cause)
	default:
		log.Info("not ready yet", "state", "down", "error", reasons[0].Cause)
	}
}

// logMismatches logs channels that one end alone has, when they change.
func (m *maintenance) logMismatches() {
	now := m.node.mismatches()
	for _, r := range now {
		if !slices.Contains(m.mismatch, r) {
			m.node.config.Log.Warn("configurations do not match", "component", "board", "error", r.String())
		}
	}
	m.mismatch = now
}

// auditRefused audits frames that failed their authentication since the last call.
func (m *maintenance) auditRefused() {
	n := m.node.link.Status().Frames.AuthFailed
	if n <= m.refused {
		return
	}
	const text = "frames passed their CRC and failed their tag: a wrong pair key, or forged frames"
	m.node.state.journal.AddCount("auth_failure", text, n-m.refused)
	m.refused = n
}
