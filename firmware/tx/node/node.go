// Package node is the transmitting role put together: everything of heliotx but
// its flags, signals and drivers.
//
//	state.go       what outlives a run: lock, audit trail, epoch, session, totals
//	link.go        the pipeline on the medium that the main opened
//	channel.go     a task for every configured source, each with its channel
//	trust.go       the OPC UA sources' certificates and their changes
//	reporter.go    what the receiver shows of this node, on the gateway's own channel
//	received.go    what the link has received, which is one-way
//	clock.go       whether the machine's clock is the time of day
//	trend.go       what the status server shows of the past
//	snapshot.go    what the status server shows, and readiness
//	evidence.go    what PID 1 of a board judges
//
// The package refuses to name a driver or a source implementation: it is given
// constructors. Nothing in it depends on whether a receiver exists.
package node

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/conduit/wire"
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
	"heliograph/firmware/tx/pagelog"
	"heliograph/firmware/tx/pipeline"
	"heliograph/firmware/tx/replay"
	"heliograph/firmware/tx/source"
)

// Config is what a node is made of.
type Config struct {
	Version string
	TX      config.TX
	Build   Build
	// Synchronized reports whether something else keeps the machine's clock.
	Synchronized func() bool
	// Hangup has all OPC UA sources browse again at each value; nil: never.
	Hangup <-chan os.Signal
	// Reports is where reports for PID 1 go; nil: nothing reads them.
	Reports io.Writer
	// Notify sends to the service manager of a host; nil: there is none.
	Notify systemd.Notify
	Log    *slog.Logger
}

// Node is a transmitter.
type Node struct {
	config  Config
	started time.Time
	state   *state
	medium  pipeline.Transmitter // closed by link, once it runs
	link    *pipeline.Link
	replay  *replay.Window
	pages   *pagelog.Log // nil: no disk keeps it
	gateway source.Port  // the gateway's own channel

	protocols map[string]string    // by channel
	sources   map[string]task.Task // by channel
	opcua     []OPCUASource
	expiries  *identity.Expiries
	ntp       *timekeeping.NTP
	runner    task.Runner
	telemetry *telemetry.Exporter // nil: metrics are not exported

	observer status.Observer
	machine  *machine.Reader
	trend    *keeper.Keeper

	reporterSteps atomic.Uint64
	received      receivedCounter
	line          selfreport.Link // how the link is used
}

// New returns a node that is not running yet. Close it, also after Run.
func New(c Config) (*Node, error) {
	state, err := openState(c)
	if err != nil {
		return nil, err
	}
	n := &Node{
		config: c, started: time.Now(), state: state,
		protocols: map[string]string{}, sources: map[string]task.Task{},
		expiries: &identity.Expiries{Files: c.TX.Certificates()},
		ntp:      &timekeeping.NTP{Servers: c.TX.Time, Log: c.Log.With("component", "ntp")},
		runner:   task.Runner{Log: c.Log},
		machine:  machine.Of(c.TX.State, c.Reports != nil),
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
	var err error
	if n.link, err = n.openLink(); err != nil {
		return err
	}
	if err := n.addSources(); err != nil {
		return err
	}
	if err := n.addOPCUA(); err != nil {
		return err
	}
	n.gateway = n.link.Port(record.Gateway, wire.LowLatency)
	n.trend = keeper.Open(n.config.TX.State, figures(), n.sample, n.config.Log)
	n.add(n.link, n.state.totals, n.state.epoch, reporter{n}, n.state.journal, n.trend)
	if len(n.config.TX.Time) > 0 {
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
	c, log := n.config.TX, n.config.Log
	server, err := role.StatusServer(c.Status, c.PKI, n.expiries.Files, n.state.journal.Add, log)
	if err != nil {
		return err
	}
	server.Snapshot, server.Role, server.History = n.Snapshot, n.Ready, n.trend.History
	if n.config.Reports != nil {
		server.Updates = n.state.updates
	}
	if c.Status.Listen != "" {
		n.add(server)
	}
	if c.Telemetry.Endpoint == "" {
		return nil
	}
	n.telemetry, err = role.Telemetry(c.Telemetry, c.Pair+"-tx", n.config.Version, server, log)
	if err == nil {
		n.add(n.telemetry)
	}
	return err
}

func (n *Node) add(tasks ...task.Task) { n.runner.Tasks = append(n.runner.Tasks, tasks...) }

func (n *Node) addSource(channel string, s task.Task) {
	n.sources[channel] = s
	n.add(s)
}

// Tasks returns all parts of the node.
func (n *Node) Tasks() []task.Task { return n.runner.Tasks }

// Run runs all tasks until ctx ends.
func (n *Node) Run(ctx context.Context) error { return n.runner.Run(ctx) }

// Close brings to the disk what the next run needs, and unlocks the state.
func (n *Node) Close() {
	if n.pages != nil {
		n.pages.Close()
	}
	if n.trend != nil {
		n.trend.Close()
	}
	n.state.close()
}
