package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"heliograph/ci/freeport"
	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/conduit/linktest/relay"
	"heliograph/tools/monitoring"
	"heliograph/tools/pair"
	"heliograph/tools/plant"
)

const (
	interval   = 15 * time.Second // of scrapes
	maxScrapes = 1000             // of a run
	timeout    = 10 * time.Second // for a role to end
)

// run is a plan that runs.
type run struct {
	plan
	dir       string
	pair      *pair.Gateway
	link      *linktest.Link
	plant, it *plant.Broker
	undo      []func()
}

// record runs a plan and returns its recording.
func record(ctx context.Context, programs string, p plan, scrapes int) (rec monitoring.Recording, err error) {
	ctx, cancel := context.WithCancel(ctx)
	r := &run{plan: p}
	defer func() { cancel(); r.close() }()
	if err := r.start(ctx, programs); err != nil {
		return rec, err
	}
	rec = monitoring.Recording{Comment: p.about, Start: time.Now(), Interval: interval}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for i := range scrapes {
		if step := p.steps[i]; step != nil {
			if err := step(r); err != nil {
				return rec, err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return rec, ctx.Err()
		}
		values := map[string]float64{}
		for role, target := range map[*pair.Role]string{&r.pair.TX: "zone-1-tx:9464", &r.pair.RX: "zone-1-rx:9464"} {
			if err := scrape(values, role, target); err != nil {
				return rec, err
			}
		}
		rec.Add(values)
	}
	return rec, nil
}

// start starts plant, link, pair and IT.
func (r *run) start(ctx context.Context, programs string) (err error) {
	if r.dir, err = os.MkdirTemp("", "heliograph-record-"); err != nil {
		return err
	}
	r.undo = append(r.undo, func() { _ = os.RemoveAll(r.dir) })
	if r.plant, err = plant.NewBroker(); err != nil {
		return err
	}
	if r.it, err = plant.NewBroker(); err != nil {
		return err
	}
	collector, err := net.ListenPacket("udp", "127.0.0.1:0") // not read: the kernel drops
	if err != nil {
		return err
	}
	r.undo = append(r.undo, func() { _ = collector.Close() })
	clock, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r.undo = append(r.undo, func() { _ = clock.Close() })
	if !r.noTime {
		go serveTime(clock)
	}
	ports, err := freeport.Several(4)
	if err != nil {
		return err
	}
	address := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	r.link = linktest.New(1, r.profile)
	line, err := relay.NewUDP(address(0), address(1), r.link)
	if err != nil {
		return err
	}
	go func() { _ = line.Run(ctx) }() // a relay that failed shows as a dead link
	if r.pair, err = pair.New(pair.Config{Name: "zone-1", Programs: programs, Dir: r.dir,
		TX: pair.End{Link: pair.UDP(address(0)), Tables: r.sources(address(2), clock.LocalAddr())},
		RX: pair.End{Link: pair.UDP(address(1)), Tables: r.sinks(address(3), collector.LocalAddr())}}); err != nil {
		return err
	}
	if r.prepare != nil {
		if err := r.prepare(r); err != nil {
			return err
		}
	}
	if err := r.pair.RX.Start(); err != nil {
		return err
	}
	if err := r.pair.TX.Start(); err != nil {
		return err
	}
	if err := settled(ctx, &r.pair.TX); err != nil {
		return err
	}
	return r.feed(ctx, address(2))
}

// settled waits until a role is ready.
func settled(ctx context.Context, role *pair.Role) (err error) {
	for range 300 {
		if err = role.Ready(); err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (r *run) sources(listen string, clock net.Addr) string {
	const channel = "[[mqtt]]\nchannel = %q\nbroker = \"mqtt://%s\"\nversion = \"5\"\ntopics = [\"#\"]\n"
	return fmt.Sprintf(channel, "cell-1", r.plant.Address) + fmt.Sprintf(channel, "cell-2", r.plant.Address) +
		fmt.Sprintf("[[syslog]]\nchannel = \"logs\"\nlisten = [\"udp://%s\"]\n", listen) +
		fmt.Sprintf("[time]\nservers = [\"%s\"]\n", clock)
}

func (r *run) sinks(listen string, collector net.Addr) string {
	return fmt.Sprintf("[[mqtt]]\nchannel = \"cell-1\"\nbroker = \"mqtt://%s\"\nspool = \"1MiB\"\n", r.it.Address) +
		fmt.Sprintf("[[mqtt]]\nchannel = \"cell-2\"\nlisten = \"mqtts://%s\"\n", listen) +
		fmt.Sprintf("[[syslog]]\nchannel = \"logs\"\nforward = \"udp://%s\"\n", collector)
}

// feed has the plant send until ctx ends.
func (r *run) feed(ctx context.Context, syslog string) error {
	devices, err := plant.NewDevices("udp", syslog)
	if err != nil {
		return err
	}
	rate := max(r.rate, usualRate)
	go func() {
		err := plant.Run(ctx, rate, []*plant.Broker{r.plant}, []*plant.Devices{devices}, nil)
		if err != nil && ctx.Err() == nil {
			slog.Warn("the plant ended", "error", err, "run", r.name)
		}
	}()
	return nil
}

// edit replaces a text of a file.
func edit(path, from, to string) error {
	b, err := os.ReadFile(path)
	if err == nil && !bytes.Contains(b, []byte(from)) {
		err = fmt.Errorf("record: %s has no %q", filepath.Base(path), from)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, bytes.ReplaceAll(b, []byte(from), []byte(to)), 0o600)
}

// close ends what was started, and removes it.
func (r *run) close() {
	if r.pair != nil {
		for _, role := range []*pair.Role{&r.pair.TX, &r.pair.RX} {
			if role.Process != nil {
				role.Kill()
			}
		}
	}
	_, _ = end(&r.plant), end(&r.it) // what they sent has been recorded
	for i := len(r.undo) - 1; i >= 0; i-- {
		r.undo[i]()
	}
}
