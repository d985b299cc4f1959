package node

import (
	"context"
	"fmt"
	"math"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source"
)

// reportEvery is how often the gateway's own channel is brought up to date.
const reportEvery = 2 * time.Second

// reporter is the task that reports the node to the receiver, through the gateway's
// own channel.
type reporter struct{ node *Node }

// String names the task.
func (reporter) String() string { return "report" }

// Ready is always nil: whether the node is ready is what it reports.
func (reporter) Ready() error { return nil }

// Steps proves that it makes progress.
func (r reporter) Steps() uint64 { return r.node.reporterSteps.Load() }

// Run reports until ctx ends.
func (r reporter) Run(ctx context.Context) error {
	n := r.node
	n.gateway.Report(source.Up, "")
	sent := map[string]string{}
	for {
		n.reporterSteps.Add(1)
		n.link.SetClock(n.clockSet())
		sent = n.publish(sent)
		if n.config.Reports != nil {
			n.state.updates.Note(n.state.journal.AddOnce)
		}
		n.state.disk.Note(n.config.Log, n.state.journal.AddOnce)
		n.gateway.SetComplete(true)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reportEvery):
		}
	}
}

// publish puts what has changed since sent on the gateway's own channel, and returns
// what holds now. Each entry is a key, so that a change costs only itself.
func (n *Node) publish(sent map[string]string) (now map[string]string) {
	now = make(map[string]string, len(sent))
	report := n.selfReport()
	// An update is refused only once the link is closed, and then nothing crosses.
	for _, e := range report.Entries() {
		if sent[e.Key] != e.Value {
			_ = n.gateway.Put(source.Update{Key: []byte(e.Key), Payload: []byte(e.Value), Time: time.Now()})
		}
		now[e.Key] = e.Value
	}
	for key := range sent {
		if _, holds := now[key]; !holds {
			_ = n.gateway.Put(source.Update{Key: []byte(key), Delete: true, Time: time.Now()})
		}
	}
	return now
}

// selfReport is what the receiver is to know of this node.
func (n *Node) selfReport() selfreport.Report {
	r := selfreport.Report{
		Version:       n.config.Version,
		Pair:          n.config.TX.Pair,
		Epoch:         n.state.session.Epoch,
		Configuration: summary(n.config.TX),
		Clock:         n.clockState(),
		Link:          &n.line,
		Received:      n.received.report(),
	}
	b := n.board()
	r.Board = &selfreport.Board{Card: b.Card, Name: b.Name, LastUpdate: b.LastUpdate, Release: b.Release,
		Supply: b.Supply, UptimeSeconds: uint64(b.UptimeSeconds) / 60 * 60}
	if b.LED != nil {
		r.Board.LEDPattern, r.Board.LEDMeans = b.LED.Pattern, b.LED.Means
	}
	if t := b.Temperature; t != nil {
		degrees := int(math.Round(*t))
		r.Temperature = &degrees
	}
	for _, c := range n.link.Channels() {
		if c.Name != record.Gateway {
			r.Sources = append(r.Sources, selfreport.Source{
				Channel: c.Name, Protocol: n.protocols[c.Name], State: c.State.String(), Reason: c.Reason,
				Cause: n.why(c), Missed: &c.Missed, What: c.MissedWhy,
			})
		}
	}
	for _, e := range n.expiries.List(time.Now()) {
		r.Certificates = append(r.Certificates, selfreport.Certificate{Name: e.Name, Expires: e.At})
	}
	for _, m := range n.state.journal.Newest() {
		if b, err := m.Encode(); err == nil { // strings and numbers always marshal
			r.Audit = append(r.Audit, selfreport.Event{Number: m.Entry.Number, Message: b})
		}
	}
	return r
}

// summary returns what is configured without the names of the plant's hosts.
func summary(cfg config.TX) string {
	return fmt.Sprintf("%d mqtt, %d syslog, %d opcua over %s",
		len(cfg.MQTT), len(cfg.Syslog), len(cfg.OPCUA), cfg.Link.Medium)
}
