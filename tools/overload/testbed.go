package overload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"heliograph/ci/freeport"
	"heliograph/tools/pair"
	"heliograph/tools/plant"
)

// testbed is a pair of roles with their peers.
type testbed struct {
	dir       string
	ports     ports
	gateway   *pair.Gateway
	broker    *pair.Process
	plant     *plant.Server
	collector *collector
}

// ports are those of loopback that the testbed uses.
type ports struct {
	link, rxStatus, broker, reader, honest, noisy, mirror int
}

const tags = 100

var errNoBroker = errors.New("overload: mosquitto is missing: run \"make setup\"")

// Our own bounds, for a busy machine.
const (
	startBound = 2 * time.Minute
	stopBound  = 15 * time.Second
)

func start(programs string) (r *testbed, err error) {
	r = &testbed{}
	defer func() {
		if err != nil {
			r.stop()
		}
	}()
	if r.dir, err = os.MkdirTemp("", "heliograph-overload-"); err != nil {
		return r, fmt.Errorf("overload: %v", err)
	}
	free, err := freeport.Several(6)
	if err != nil {
		return r, fmt.Errorf("overload: %v", err)
	}
	r.ports = ports{link: free[0], broker: free[1], reader: free[2], honest: free[3], noisy: free[4], mirror: free[5]}
	if r.plant, err = plant.NewServer(tags); err != nil {
		return r, err
	}
	if r.collector, err = collect(); err != nil {
		return r, err
	}
	path, err := pair.Find("mosquitto")
	if err != nil {
		return r, errNoBroker
	}
	if r.broker, err = pair.Start(path, "-p", strconv.Itoa(r.ports.broker)); err != nil {
		return r, fmt.Errorf("overload: %v", err)
	}
	link := pair.UDP(fmt.Sprintf("127.0.0.1:%d", r.ports.link))
	if r.gateway, err = pair.New(pair.Config{
		Name: "overload", Programs: programs, Dir: r.dir,
		TX: pair.End{Link: link, Tables: r.sources()}, RX: pair.End{Link: link, Tables: r.sinks()},
	}); err != nil {
		return r, fmt.Errorf("overload: %v", err)
	}
	r.ports.rxStatus = r.gateway.RX.StatusPort
	if err := errors.Join(r.gateway.RX.Start(), r.gateway.TX.Start()); err != nil {
		return r, fmt.Errorf("overload: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startBound)
	defer cancel()
	if err := r.gateway.Await(ctx); err != nil {
		return r, fmt.Errorf("overload: %v", err)
	}
	return r, nil
}

// sources is the part of TX's configuration that names its sources.
func (r *testbed) sources() string {
	return fmt.Sprintf(`[[mqtt]]
channel = "cell"
broker = "mqtt://127.0.0.1:%d"
topics = ["#"]
[[opcua]]
channel = "line"
endpoint = %q
security_policy = "None"
security_mode = "None"
[[syslog]]
channel = "log"
listen = ["tcp://127.0.0.1:%d"]
[[syslog]]
channel = "noise"
listen = ["udp://127.0.0.1:%d"]
`, r.ports.broker, r.plant.Endpoint, r.ports.honest, r.ports.noisy)
}

// sinks is the part of RX's configuration that names its sinks.
func (r *testbed) sinks() string {
	return fmt.Sprintf(`[[mqtt]]
channel = "cell"
listen = "mqtt://127.0.0.1:%d"
[[opcua]]
channel = "line"
listen = "opc.tcp://127.0.0.1:%d"
security = ["None"]
anonymous = true
[[syslog]]
channel = "log"
forward = "tcp://%s"
[[syslog]]
channel = "noise"
forward = "udp://127.0.0.1:9"
`, r.ports.reader, r.ports.mirror, r.collector.address())
}

func (r *testbed) logs() string {
	if r.gateway == nil {
		return ""
	}
	return r.gateway.Logs()
}

// peaks reads what memory the roles took at most.
func (r *testbed) peaks() (peaks []Peak, err error) {
	for _, p := range []*pair.Role{&r.gateway.TX, &r.gateway.RX} {
		bytes, err := p.PeakMemory()
		if err != nil {
			return nil, fmt.Errorf("overload: %v", err)
		}
		peaks = append(peaks, Peak{filepath.Base(p.Program), bytes})
	}
	return peaks, nil
}

func (r *testbed) stop() {
	if r.gateway != nil {
		r.gateway.Stop(stopBound)
	}
	if r.broker != nil {
		r.broker.Stop(stopBound)
	}
	if r.collector != nil {
		r.collector.close()
	}
	if r.plant != nil {
		_ = r.plant.Close()
	}
	_ = os.RemoveAll(r.dir)
}
