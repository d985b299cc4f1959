// Package demo shows the whole gateway at work on one machine: a simulated
// plant, heliotx and heliorx as real processes, an impaired one-way link
// between them, and clients on IT's side that check every message.
//
// Everything is on loopback, in a temporary folder, and gone when Run returns.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"heliograph/ci/freeport"
	"heliograph/tools/pair"
	"heliograph/tools/plant"
)

// Options is what the command line asks for.
type Options struct {
	Programs string        // folder of heliotx and heliorx
	Medium   string        // udp or uart
	Loss     float64       // share of frames lost
	Corrupt  float64       // share of frames with flipped bits
	Rate     float64       // messages a second of each sender
	Duration time.Duration // 0: until ctx ends
}

// channelNames are the demo's channels, in the order they are shown.
var channelNames = [...]string{"press-line", "cell-2", "syslog-tcp", "syslog-udp", "press-opcua"}

// Demo is a running demo. Its methods are safe for concurrent use.
type Demo struct {
	Options
	began    time.Time
	dir      string
	link     *line
	gateway  *pair.Gateway
	brokers  []*plant.Broker
	devices  []*plant.Devices
	server   *plant.Server
	mirror   string // endpoint of IT's OPC UA server
	arrivals map[string]*arrivals
	watcher  *watcher // of the mirror's arrivals
	outputs  []string // addresses of IT's brokers
	inputs   []string // and of the plant's
}

// Run sets everything up, calls started, has the plant send until ctx ends or
// the duration is over, waits for what is under way, and returns the summary.
func Run(ctx context.Context, o Options, started func(*Demo)) (s Summary, err error) {
	d := &Demo{Options: o, arrivals: map[string]*arrivals{}}
	for _, name := range channelNames {
		d.arrivals[name] = &arrivals{}
	}
	d.watcher = &watcher{arrivals: d.arrivals["press-opcua"], name: "press-opcua"}
	if d.dir, err = os.MkdirTemp("", "heliograph-demo-"); err != nil {
		return s, fmt.Errorf("demo: %v", err)
	}
	defer os.RemoveAll(d.dir)
	all, stop := context.WithCancel(context.Background()) // ends after the plant has
	defer stop()
	defer d.close()
	if err := d.start(ctx, all); err != nil {
		return s, err
	}
	d.began = time.Now()
	started(d)
	sending := ctx
	if o.Duration > 0 {
		var cancel context.CancelFunc
		sending, cancel = context.WithTimeout(ctx, o.Duration)
		defer cancel()
	}
	if err := d.send(sending); err != nil {
		return s, err
	}
	d.settle()
	return d.Summary(), nil
}

// Our own bounds.
const (
	startTime  = 2 * time.Minute  // for both roles to get ready; namespace 0 takes half a minute over a UART
	partTime   = 6 * time.Second  // for a part of the demo that was asked for something, or to end
	settleTime = 10 * time.Second // for what is under way when the plant has stopped
)

// send has the plant send until ctx ends, and not longer, even when a part
// of it stands still.
func (d *Demo) send(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- plant.Run(ctx, d.Rate, d.brokers, d.devices, []*plant.Server{d.server}) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(partTime):
		return errors.New("demo: the simulated plant did not end when it was asked to")
	}
}

// start sets up all parts, from IT's side to the plant's.
func (d *Demo) start(ctx, all context.Context) (err error) {
	if d.link, err = openLine(all, d.Options); err != nil {
		return err
	}
	collector, err := listenSyslog(all, d.arrivals["syslog-tcp"], d.arrivals["syslog-udp"])
	if err != nil {
		return err
	}
	for range 2 {
		b, err := plant.NewBroker()
		if err != nil {
			return err
		}
		d.brokers = append(d.brokers, b)
	}
	if d.server, err = plant.NewServer(tags); err != nil {
		return err
	}
	ports, err := freeport.Several(5)
	if err != nil {
		return fmt.Errorf("demo: %v", err)
	}
	if err := d.configure(ports, collector); err != nil {
		return err
	}
	if err := errors.Join(d.gateway.RX.Start(), d.gateway.TX.Start()); err != nil {
		return fmt.Errorf("demo: %v", err)
	}
	starting, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := d.gateway.Await(starting); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	for i, name := range channelNames[:2] {
		if err := subscribe(ctx, all, d.outputs[i], d.arrivals[name], i == 0); err != nil {
			return err
		}
	}
	if err := watchMirror(all, d.mirror, d.watcher); err != nil {
		return err
	}
	for i, network := range []string{"tcp", "udp"} {
		dev, err := plant.NewDevices(network, fmt.Sprintf("127.0.0.1:%d", ports[2+i]))
		if err != nil {
			return err
		}
		d.devices = append(d.devices, dev)
	}
	return nil
}

// status returns what a role says, or nothing while it says nothing.
func (d *Demo) status(r *pair.Role) pair.Status {
	s, err := r.Status()
	if err != nil {
		return pair.Status{}
	}
	return s
}

// settle waits, not for ever, until everything sent has arrived or is known to
// be lost.
func (d *Demo) settle() {
	for deadline := time.Now().Add(settleTime); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		done := true
		known := d.status(&d.gateway.RX).Channels
		for name, c := range d.Summary().Channels {
			done = done && c.Lost <= known[name].Lost
		}
		if done {
			return
		}
	}
}

// close ends all parts, each in its own time, and leaves those that do not.
func (d *Demo) close() {
	for _, dev := range d.devices {
		_ = dev.Close()
	}
	var all sync.WaitGroup
	if d.gateway != nil {
		all.Go(func() { d.gateway.Stop(partTime) })
	}
	for _, b := range d.brokers {
		all.Go(func() { _ = b.Close() })
	}
	if d.server != nil {
		all.Go(func() { _ = d.server.Close() })
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(2 * partTime):
	}
	if d.link != nil {
		d.link.close()
	}
}
