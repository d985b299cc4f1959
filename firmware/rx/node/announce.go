package node

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"sync/atomic"
	"time"

	payload "heliograph/firmware/conduit/payload/syslog"
	"heliograph/firmware/conduit/record"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/identity"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/rx/announce"
	"heliograph/firmware/rx/sink"
)

// ownTopics returns what the topics of the gateway itself begin with at a channel's
// broker; "" where an earlier channel has the same broker.
func (n *Node) ownTopics(c config.MQTTSink) string {
	prefix := n.config.RX.Announce.MQTTPrefix
	if prefix == "" {
		return c.TopicPrefix + record.Gateway + "/" + n.config.RX.Pair + "/"
	}
	for _, earlier := range n.config.RX.MQTT {
		if earlier.Channel == c.Channel {
			break
		}
		if c.Broker != "" && earlier.Broker == c.Broker {
			return ""
		}
	}
	return prefix + n.config.RX.Pair + "/"
}

// reservedTopics returns what the gateway's topics begin with at the brokers of all channels.
func (n *Node) reservedTopics() (prefixes []string) {
	for _, c := range n.config.RX.MQTT {
		if own := n.ownTopics(c); own != "" && !slices.Contains(prefixes, own) {
			prefixes = append(prefixes, own)
		}
	}
	return prefixes
}

// gatewayState is the gateway's state for sinks that publish it: JSON by topic.
func (n *Node) gatewayState() map[string][]byte {
	s := n.Snapshot()
	out, err := json.Marshal(struct {
		Channels    map[string]status.Channel `json:"channels"`
		Link        status.Link               `json:"link"`
		Pair        string                    `json:"pair"`
		Transmitter map[string]string         `json:"transmitter"`
		Version     string                    `json:"version"`
	}{s.Channels, s.Link, s.Pair, s.Transmitter, s.Version})
	if err != nil {
		return nil // numbers and strings always marshal, but for a NaN, which no counter is
	}
	topics := map[string][]byte{"status": out}
	if n.config.RX.Announce.MQTTPrefix != "" {
		maps.Copy(topics, announce.Topics(s))
	}
	return topics
}

// trustLines sends a line of syslog for each change of trust. They wait on disk as lines
// of a channel do.
type trustLines struct {
	sink    sink.Sink
	changes announce.Changes
	counts  lineCounts
}

// lineCounts counts what the collector did not take.
type lineCounts struct {
	Unsent atomic.Uint64 `count:"unsent_lines" help:"Lines about changes of trust that the collector did not take, or that a full spool dropped."`
}

// Refused implements sink.Account.
func (c *lineCounts) Refused(n uint64) { c.Unsent.Add(n) }

// Expired implements sink.Account.
func (c *lineCounts) Expired(n uint64) { c.Unsent.Add(n) }

// addTrustLines makes the sink of these lines, when a collector is configured.
func (n *Node) addTrustLines() error {
	c := n.config.RX.Announce.Syslog
	if c.Forward == "" {
		return nil
	}
	q, err := n.openQueue(c.Channel, c.SpoolBytes)
	if err != nil {
		return err
	}
	host, _ := os.Hostname() // "": the line has no host name
	l := &trustLines{changes: announce.Changes{Pair: n.config.RX.Pair, Host: host}}
	s, err := n.config.Build.Syslog(c, q, &l.counts, n.config.Log)
	if err != nil {
		return err
	}
	q.OnDrop(l.counts.Expired)
	l.sink, n.trustLines = s, l
	n.add(s)
	return nil
}

// update sends the line that is due.
func (l *trustLines) update(now time.Time, t *status.Trust) {
	text := l.changes.Line(now, t)
	if text == nil {
		return
	}
	line := payload.Line{Format: payload.RFC5424, Text: text}
	l.sink.Deliver(sink.Update{Event: true, Time: now, Payload: payload.Append(nil, line)})
}

// StateServer serves the gateway's own state as nodes of OPC UA.
type StateServer interface {
	task.Task
	// CheckTrust has it decide again on the certificates of its clients.
	CheckTrust()
}

// addStateServer makes it, when an endpoint is configured.
func (n *Node) addStateServer(store identity.Store) error {
	c := n.config.RX.Announce.OPCUA
	if c.Listen == "" {
		return nil
	}
	p := OPCUAParts{Version: n.config.Version, Store: store}
	var err error
	if c.UsersFile != "" {
		if p.Users, err = n.openUsers(c.UsersFile, "at the gateway's own OPC UA endpoint"); err != nil {
			return err
		}
	}
	parts := func() map[string]any { return announce.Parts(n.Snapshot()) }
	if n.stateServer, err = n.config.Build.State(c, p, parts, n.config.Log); err != nil {
		return err
	}
	n.add(n.stateServer)
	return nil
}
