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
	"strings"
	"sync"
	"time"

	"heliograph/ci/freeport"
	"heliograph/firmware/opcua/client"
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
	CutAfter time.Duration // the link is cut so long after the start, for CutFor
	CutFor   time.Duration // 0: it is not cut
}

// channelNames are the demo's channels, in the order they are shown.
var channelNames = [...]string{"press-line", "cell-2", "syslog-tcp", "syslog-udp", opcuaChannel}

// opcuaChannel has values, of which a newer one may replace an older.
const opcuaChannel = "press-opcua"

// Demo is a running demo. Its methods are safe for concurrent use.
type Demo struct {
	Options
	began    time.Time
	dir      string
	line     *line
	gateway  *pair.Gateway
	brokers  []*plant.Broker
	devices  []*plant.Devices
	server   *plant.Server
	mirror   string // endpoint of IT's OPC UA server
	arrivals map[string]*arrivals
	watcher  *watcher // of the mirror's arrivals
	outputs  []string // addresses of IT's brokers
	inputs   []string // and of the plant's

	base map[string]pair.Channel // RX's account before the plant sent

	mu     sync.Mutex
	rx     pair.Status // as RX said last
	outage *outage     // the newest; nil: none yet

	session    *client.Session // with the mirror
	history    History         // of one tag, as it was read last
	historyErr error
}

// Run sets everything up, calls started, has the plant send until ctx ends or
// the duration is over, waits for what is under way, and returns the summary. A link
// that is still cut then is joined. A role that ends before ends the demo, with its
// reason as the error.
func Run(ctx context.Context, o Options, started func(*Demo)) (s Summary, err error) {
	d := &Demo{Options: o, arrivals: map[string]*arrivals{}}
	for _, name := range channelNames {
		d.arrivals[name] = &arrivals{}
	}
	d.watcher = &watcher{arrivals: d.arrivals[opcuaChannel]}
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
	_, rx := d.look()
	d.base = rx.Channels
	started(d)
	sending := ctx
	if o.Duration > 0 {
		var cancel context.CancelFunc
		sending, cancel = context.WithTimeout(ctx, o.Duration)
		defer cancel()
	}
	go d.follow(sending)
	go d.followHistory(sending)
	if o.CutFor > 0 {
		go d.cutOnce(sending)
	}
	if err := d.send(sending); err != nil {
		return s, err
	}
	d.Join()
	return d.settle()
}

// Our own bounds.
const (
	startTime  = 2 * time.Minute  // for both roles to get ready; namespace 0 takes half a minute over a UART
	partTime   = 6 * time.Second  // for a part of the demo that was asked for something, or to end
	settleTime = 10 * time.Second // for what is under way when the plant has stopped, without progress
	healTime   = 2 * time.Minute  // for what is sent again
	followTime = 250 * time.Millisecond
	endingTime = time.Second // for a role to have ended, of which a connection was closed
)

// send has the plant send until ctx ends, and not longer, even when a part
// of it stands still.
func (d *Demo) send(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- plant.Run(ctx, d.Rate, d.brokers, d.devices, []*plant.Server{d.server}) }()
	select {
	case err := <-ended:
		if err == nil {
			return nil
		}
		if why := d.roleEnded(endingTime); why != nil {
			return why
		}
		return err
	case <-d.gateway.TX.Done():
		return d.roleEnded(0)
	case <-d.gateway.RX.Done():
		return d.roleEnded(0)
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(partTime):
		return errors.New("demo: the simulated plant did not end when it was asked to")
	}
}

// roleEnded returns why a role ended that should run, nil when none does within the time.
func (d *Demo) roleEnded(within time.Duration) error {
	select {
	case <-d.gateway.TX.Done():
	case <-d.gateway.RX.Done():
	case <-time.After(within):
	}
	for _, r := range []*pair.Role{&d.gateway.TX, &d.gateway.RX} {
		select {
		case <-r.Done():
			return d.ending(r)
		default:
		}
	}
	return nil
}

// lastLines is how much of a role's log tells why it ended.
const lastLines = 5

func (d *Demo) ending(r *pair.Role) error {
	lines := strings.Split(strings.TrimSpace(r.Log()), "\n")
	lines = lines[max(len(lines)-lastLines, 0):]
	return fmt.Errorf("demo: %s ended by itself (%s) after %s; it wrote last:\n  %s", r.Name(), r.Ending(),
		round(time.Since(d.began)), strings.Join(lines, "\n  "))
}

// follow keeps the account of an outage up to date until ctx ends.
func (d *Demo) follow(ctx context.Context) {
	tick := time.NewTicker(followTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.look()
		}
	}
}

// start sets up all parts, from IT's side to the plant's.
func (d *Demo) start(ctx, all context.Context) (err error) {
	if d.line, err = openLine(all, d.Options); err != nil {
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
	if d.session, err = watchMirror(all, d.mirror, d.watcher); err != nil {
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
// be lost, and until all holes are closed that can be.
func (d *Demo) settle() (s Summary, err error) {
	began, bound := time.Now(), settleTime
	if d.Duration > 0 {
		bound = healTime // no user waits at the screen
	}
	for progress := began; ; time.Sleep(50 * time.Millisecond) {
		if err := d.roleEnded(0); err != nil {
			return s, err
		}
		before := s.notArrived()
		s = d.Summary()
		if s.notArrived() != before {
			progress = time.Now()
		}
		if still := time.Since(progress); s.settled() || still > bound || s.open == 0 && still > settleTime ||
			time.Since(began) > healTime {
			break
		}
	}
	for began := time.Now(); ; time.Sleep(historyEvery / 4) {
		h, err := d.wholeHistory()
		if err != nil {
			return s, err
		}
		if h.whole(s.Channels[opcuaChannel]) || time.Since(began) > settleTime {
			s.useHistory(h)
			return s, nil
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
	if d.line != nil {
		d.line.close()
	}
}
