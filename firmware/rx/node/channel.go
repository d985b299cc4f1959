package node

import (
	"cmp"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/config/users"
	"heliograph/firmware/platform/role"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/rx/memory"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/sink"
	"heliograph/firmware/rx/spool"
)

// Build constructs what only the main names.
type Build struct {
	// Medium opens the medium of a link, receiving only.
	Medium func(config.Link, *slog.Logger) (pipeline.Receiver, error)
	// MQTT makes a sink.
	MQTT func(config.MQTTSink, MQTTParts, *slog.Logger) (Sink, error)
	// Syslog makes a sink that keeps what its collector did not take yet in a queue.
	Syslog func(config.SyslogSink, *spool.Queue, sink.Account, *slog.Logger) (Sink, error)
	// OPCUA makes a sink.
	OPCUA func(config.OPCUASink, OPCUAParts, *slog.Logger) (OPCUASink, error)
	// State makes the server of the gateway's own state; parts returns it.
	State func(c config.OPCUASink, p OPCUAParts, parts func() map[string]any, log *slog.Logger) (StateServer, error)
}

// Sink is a sink with its state as an operator sees it.
type Sink interface {
	task.Task
	sink.Sink
	Status() (sink.State, string)
}

// MQTTParts is what an MQTT sink works with, besides its configuration.
type MQTTParts struct {
	Queue   *spool.Queue
	Channel sink.Channel
	// Own is what the topics of the gateway itself begin with; "": another sink has them.
	Own      string
	Reserved []string // of all channels: nothing that crosses is published behind one
	// Gateway returns its state: JSON of each topic behind Own.
	Gateway func() map[string][]byte
	Verify  func(name, password string, from netip.Addr) bool // nil: no users are configured
	Brokers int                                               // embedded ones of the node, which share a budget
	// PlantTime returns what the transmitter's clock shows.
	PlantTime func() time.Time
}

// channel is a configured channel with its sink.
type channel struct {
	name, protocol, address string
	sink                    Sink
	queue                   *spool.Queue // nil: the sink keeps nothing
	keys                    *memory.Keys // nil: it has no state
}

// addMQTT makes the configured MQTT sinks.
func (n *Node) addMQTT() error {
	brokers := 0
	for _, c := range n.config.RX.MQTT {
		if c.Listen != "" {
			brokers++
		}
	}
	for _, configured := range n.config.RX.MQTT {
		c, err := withCertificate(configured, n.config.RX.PKI, n.config.Log)
		if err != nil {
			return err
		}
		n.expiries.Files["mqtt "+c.Channel] = c.TLS.Certificate
		q, err := n.openQueue(c.Channel, c.SpoolBytes)
		if err != nil {
			return err
		}
		link := n.link.Channel(c.Channel)
		link.TakeLate(lateMQTT(c))
		parts := MQTTParts{Queue: q, Channel: link, Own: n.ownTopics(c), Reserved: n.reservedTopics(),
			Gateway: n.gatewayState, Brokers: brokers, PlantTime: n.link.TransmitterTime}
		if c.UsersFile != "" {
			known, err := n.openUsers(c.UsersFile, "at the MQTT broker of "+c.Channel)
			if err != nil {
				return err
			}
			parts.Verify = known.Verify
		}
		s, err := n.config.Build.MQTT(c, parts, n.config.Log)
		if err != nil {
			return err
		}
		n.addChannel(link, channel{name: c.Channel, protocol: "mqtt", address: cmp.Or(c.Broker, c.Listen), sink: s,
			queue: q})
	}
	return nil
}

// withCertificate returns a configuration whose mqtts:// listener has a certificate:
// one is made where none is configured.
func withCertificate(c config.MQTTSink, folder string, log *slog.Logger) (config.MQTTSink, error) {
	address, secure := strings.CutPrefix(c.Listen, "mqtts://")
	if !secure {
		return c, nil
	}
	var err error
	c.TLS, err = role.ListenerTLS(c.TLS, folder, "mqtt-"+c.Channel, address,
		log.With("component", "mqtt sink", "channel", c.Channel))
	return c, err
}

// addSyslog makes the configured syslog sinks.
func (n *Node) addSyslog() error {
	for _, c := range n.config.RX.Syslog {
		q, err := n.openQueue(c.Channel, c.SpoolBytes)
		if err != nil {
			return err
		}
		link := n.link.Channel(c.Channel)
		link.TakeLate(mirror.InOrder)
		s, err := n.config.Build.Syslog(c, q, link, n.config.Log)
		if err != nil {
			return err
		}
		n.addChannel(link, channel{name: c.Channel, protocol: "syslog", address: c.Forward, sink: s, queue: q})
	}
	return nil
}

// addChannel has a channel of the link deliver to its sink.
func (n *Node) addChannel(link *pipeline.Channel, c channel) {
	keys, before := n.state.memory.Keys(c.name)
	c.keys = keys
	link.DeliverTo(remembering{c.sink, keys})
	if c.queue != nil {
		c.queue.OnDrop(link.Expired)
		link.Volatile(c.queue.Volatile)
		link.AcceptLateIf(roomForLate(c.queue))
	}
	n.link.Recall(c.name, before)
	n.add(c.sink)
	n.channels = append(n.channels, c)
}

// sinks returns all channels with their sinks, the audit trail's last.
func (n *Node) sinks() []channel {
	if n.audit == nil {
		return n.channels
	}
	return append(slices.Clone(n.channels), *n.audit)
}

// remembering has a key remembered before its sink publishes it: a key that is
// forgotten is never removed from the sink's peer.
type remembering struct {
	sink.Sink
	keys *memory.Keys
}

// Deliver implements sink.Sink.
func (r remembering) Deliver(u sink.Update) {
	if u.Key != nil && !u.Delete && !u.Late {
		r.keys.Add(u.Key)
	}
	r.Sink.Deliver(u)
}

// queue is the spool of a channel.
type queue struct {
	*spool.Queue
	channel string
}

// openQueue opens the spool of a channel.
func (n *Node) openQueue(channel string, limit int64) (*spool.Queue, error) {
	q, err := spool.Open(filepath.Join(n.config.RX.State, "spool", channel), limit)
	if err != nil {
		return nil, err
	}
	q.LogTo(n.config.Log.With("channel", channel))
	n.queues = append(n.queues, queue{q, channel})
	return q, nil
}

// openUsers opens a users file; place is where they log in, for the audit trail.
func (n *Node) openUsers(path, place string) (*users.File, error) {
	f, err := users.Open(path, n.config.Log)
	if err == nil {
		f.Audit = func(kind, text string) { n.state.journal.Add(kind, text+" "+place) }
	}
	return f, err
}

// closeChannels keeps the account of this run, which is exact: spools are closed
// first, because what they cannot bring to the disk is expired.
func (n *Node) closeChannels() {
	for _, q := range n.queues {
		if err := q.Close(); err != nil {
			n.config.Log.Error("spool not closed", "component", "spool", "channel", q.channel, "error", err)
		}
	}
	n.closeHistories()
	if epoch, sequence, ok := n.link.Sequence(); ok {
		n.state.memory.KeepHoles(epoch, sequence, n.link.ManyHoles())
	}
	n.keepAccount(true)
	n.keepKeys(true)
}

// keepAccount remembers the account; last is true at the end of the run.
func (n *Node) keepAccount(last bool) {
	epoch, sequence, ok := n.link.Sequence() // first: a session that opens now is the next second's
	a := n.link.Account()
	if !ok {
		n.state.memory.KeepOn(a)
		return
	}
	a.Exact = last
	n.state.memory.Keep(epoch, sequence, a)
}

// keepKeys brings the lists of keys up to date; last is true at the end of the run.
func (n *Node) keepKeys(last bool) {
	for _, c := range n.channels {
		c.keys.Keep(last, func() [][]byte {
			keys, _ := n.link.Keys(c.name)
			return keys
		})
	}
}
