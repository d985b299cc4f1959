// Package node is the receiving role put together: everything of heliorx but its
// flags, signals, drivers and sinks.
//
//	state.go        what outlives a run: lock, audit trail, pair key, memory
//	link.go         the pipeline on the medium that the main opened
//	channel.go      a sink for every configured channel, with its spool
//	opcua.go        the OPC UA sinks, and the certificates that they share
//	audit.go        the audit trail of both boards, and where it is forwarded
//	announce.go     the gateway's own state, as sinks publish it
//	maintenance.go  what is done each second: the account, the state, changed keys
//	pairkey.go      changes of the pair key while the link runs
//	transmitter.go  what the transmitter reports of itself
//	match.go        channels that the two configurations do not agree on
//	ready.go        why the node is not ready
//	trend.go        what the status server shows of the past
//	snapshot.go     what the status server shows
//	measurement.go  … and of it what is measured of the link
//	evidence.go     what PID 1 of a board judges
//
// The package refuses to name a driver or a sink implementation: it is given
// constructors. Nothing in it can send on the link.
package node

import (
	"context"
	"io"
	"log/slog"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/identity"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/role"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/systemd"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/platform/telemetry"
	"heliograph/firmware/platform/timekeeping"
	"heliograph/firmware/platform/trend/keeper"
	"heliograph/firmware/rx/history"
	"heliograph/firmware/rx/pipeline"
)

// Config is what a node is made of.
type Config struct {
	Version string
	RX      config.RX
	Build   Build
	// Reports is where reports for PID 1 go; nil: nothing reads them.
	Reports io.Writer
	// Notify sends to the service manager of a host; nil: there is none.
	Notify systemd.Notify
	Log    *slog.Logger
}

// Node is a receiver.
type Node struct {
	config  Config
	started time.Time
	state   *state
	medium  pipeline.Receiver // closed by link, once it runs
	link    *pipeline.Link
	gateway *pipeline.Channel // the gateway's own channel

	channels []channel
	queues   []queue  // to be closed
	audit    *channel // the audit trail's own; nil: it is not forwarded

	unforwarded auditCounts
	trustLines  *trustLines // nil: none are sent
	stateServer StateServer // nil: there is none

	identity  *identity.Store // nil: neither OPC UA nor a status server
	opcua     []OPCUASink
	histories []*history.Store
	expiries  *identity.Expiries
	ntp       *timekeeping.NTP
	runner    task.Runner
	telemetry *telemetry.Exporter // nil: metrics are not exported

	observer status.Observer
	machine  *machine.Reader
	probes   probeWatch
	trend    *keeper.Keeper
}

// New returns a node that is not running yet. Close it, also after Run.
func New(c Config) (*Node, error) {
	state, err := openState(c)
	if err != nil {
		return nil, err
	}
	n := &Node{
		config: c, started: time.Now(), state: state,
		expiries: &identity.Expiries{Files: c.RX.Certificates()},
		ntp:      &timekeeping.NTP{Servers: c.RX.Time, Log: c.Log.With("component", "ntp")},
		runner:   task.Runner{Log: c.Log},
		machine:  machine.Of(c.RX.State, c.Reports != nil),
	}
	if err := n.build(); err != nil {
		if n.medium != nil {
			_ = n.medium.Close() // the error is the one that matters
		}
		n.Close()
		return nil, err
	}
	return n, nil
}

// build makes all tasks.
func (n *Node) build() error {
	link, err := n.openLink()
	if err != nil {
		return err
	}
	n.link, n.gateway = link, link.Channel(record.Gateway)
	for _, add := range []func() error{n.addMQTT, n.addSyslog, n.addIdentity, n.addOPCUA, n.addAuditForward,
		n.addTrustLines} {
		if err := add(); err != nil {
			return err
		}
	}
	n.link.Resume(n.state.memory.Account())
	n.trend = keeper.Open(n.config.RX.State, figures(), n.sample, n.config.Log)
	n.add(n.link, newMaintenance(n), n.state.journal, n.trend)
	if len(n.config.RX.Time) > 0 {
		n.add(n.ntp)
	}
	if err := n.addStatus(); err != nil {
		return err
	}
	if n.config.Reports != nil {
		n.add(&report.Task{To: n.config.Reports, Make: n.Report})
	}
	if n.config.Notify != nil {
		n.add(&systemd.Task{Notify: n.config.Notify, Make: n.Report, Log: n.config.Log})
	}
	return nil
}

// addStatus adds what shows how the node does: the status server and the export of its
// metrics, as configured.
func (n *Node) addStatus() error {
	c, log := n.config.RX, n.config.Log
	server, err := role.StatusServer(c.Status, c.PKI, n.expiries.Files, n.state.journal.Add, log)
	if err != nil {
		return err
	}
	server.Snapshot, server.Role, server.History = n.Snapshot, n.Ready, n.trend.History
	if n.identity != nil {
		server.Sign = n.identity.Sign
	}
	if n.config.Reports != nil {
		server.Updates = n.state.updates
	}
	if c.Status.Listen != "" {
		n.add(server)
	}
	if c.Telemetry.Endpoint == "" {
		return nil
	}
	n.telemetry, err = role.Telemetry(c.Telemetry, c.Pair+"-rx", n.config.Version, server, log)
	if err == nil {
		n.add(n.telemetry)
	}
	return err
}

func (n *Node) add(tasks ...task.Task) { n.runner.Tasks = append(n.runner.Tasks, tasks...) }

// Tasks returns all parts of the node.
func (n *Node) Tasks() []task.Task { return n.runner.Tasks }

// Run runs all tasks until ctx ends.
func (n *Node) Run(ctx context.Context) error { return n.runner.Run(ctx) }

// Close brings to the disk what the next run needs, and unlocks the state.
func (n *Node) Close() {
	if n.link != nil {
		n.closeChannels()
	}
	if n.trend != nil {
		n.trend.Close()
	}
	n.state.close()
}
