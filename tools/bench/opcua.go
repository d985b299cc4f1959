package bench

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/config"
	"heliograph/firmware/opcua/addrspace"
	secure "heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/server"
	"heliograph/firmware/opcua/transport"
	rx "heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/sink"
	mirror "heliograph/firmware/rx/sink/opcua"
	source "heliograph/firmware/tx/source/opcua"
	"heliograph/tools/plant"
)

// gateway is a simulated OPC UA server, both ends of a link, and the mirror, all in
// this process.
type gateway struct {
	plant  *plant.Server
	link   *rig
	server *server.Server
	source *source.Source
	sink   *mirror.Sink
	began  time.Time
	cancel context.CancelFunc
	done   sync.WaitGroup
	dir    string
}

const plantWait = 2 * time.Minute

func startGateway(tags int) (*gateway, error) {
	p, err := plant.NewServer(tags)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "heliograph-bench-")
	if err != nil {
		return nil, err
	}
	g := &gateway{plant: p, dir: dir}
	return g, g.connect()
}

// connect makes everything between the plant and the mirror.
func (g *gateway) connect() error {
	o, err := udpOptions(100e6)
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	g.server, err = server.New(server.Config{
		Listen: "opc.tcp://127.0.0.1:0", ApplicationURI: "urn:bench", Anonymous: true, Space: addrspace.New(), Log: log,
		Security:  []secure.Security{{Policy: ua.SecurityPolicyURINone, Mode: ua.MessageSecurityModeNone}},
		Transport: transport.ListenConfig{MaxConnections: 500, MaxPerAddress: 500},
	})
	if err != nil {
		return err
	}
	g.link, err = start(o, func(c *rx.Channel) sink.Sink {
		g.sink = mirror.New(config.OPCUASink{Channel: channel}, g.dir, mirror.Deps{Server: g.server, Channel: c}, log)
		return g.sink
	})
	if err != nil {
		return err
	}
	cfg := config.OPCUASource{Channel: channel, Endpoint: g.plant.Endpoint, SecurityPolicy: "None",
		SecurityMode: "None", PublishingInterval: 100 * time.Millisecond, Rebrowse: time.Hour}
	if g.source, err = source.New(cfg, g.dir, nil, g.link.port, log); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel, g.began = cancel, time.Now()
	for _, run := range []func(context.Context) error{g.sink.Run, g.source.Run} {
		g.done.Go(func() { _ = run(ctx) }) // what it could not do shows in the figures
	}
	return nil
}

// until waits for something and returns how long after the start it came.
func (g *gateway) until(what string, f func() bool) (time.Duration, error) {
	for !f() {
		if time.Since(g.began) > plantWait {
			return 0, fmt.Errorf("bench: %s: not within %s: %v, %v", what, plantWait, g.source.Ready(), g.sink.Ready())
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(g.began), nil
}

func (g *gateway) ready() bool { return g.source.Ready() == nil && g.sink.Ready() == nil }

func (g *gateway) nodes() (n int) {
	g.server.Space().View(func(v addrspace.View) { n = v.Len() })
	return n
}

func (g *gateway) disconnect() {
	g.cancel()
	g.done.Wait()
	g.link.stop()
}

func (g *gateway) close() {
	g.disconnect()
	_ = g.plant.Close()
	_ = os.RemoveAll(g.dir)
}

// tally counts what the mirror publishes to a client.
type tally struct{ n atomic.Uint64 }

func (t *tally) Data(uint32, rawvalue.DataValue) { t.n.Add(1) }
func (*tally) Events(uint32, [][]byte)           {}
func (*tally) Status(ua.StatusCode)              {}
func (*tally) Lost(int)                          {}
func (*tally) Fault(uint32, int, error)          {}

// watch has a client subscribe to tags of the mirror.
func (g *gateway) watch(first, n int, t *tally) (*client.Session, error) {
	s, err := client.Connect(context.Background(), client.Config{Endpoint: "opc.tcp://" + g.server.Addr().String()})
	if err != nil {
		return nil, err
	}
	sub, err := s.Subscribe(context.Background(), client.SubscriptionConfig{Interval: 100 * time.Millisecond,
		KeepAlive: 20, Lifetime: 1000}, t)
	if err != nil {
		return s, err
	}
	items := make([]client.Item, n)
	for i := range items {
		items[i] = client.Item{Node: plant.Tag(first + i), Attribute: ua.AttributeIDValue, Handle: uint32(i), Queue: 20,
			DiscardOldest: true}
	}
	var refused ua.StatusCode
	err = sub.Monitor(context.Background(), items, func(_ int, status ua.StatusCode, _ client.Revised) {
		if status != ua.StatusOK {
			refused = status
		}
	})
	if err == nil && refused != ua.StatusOK {
		err = refused
	}
	return s, err
}

// opcuaWhole measures the initial snapshot, a restart, and how many changes pass from the
// plant's server to a client of the mirror.
func opcuaWhole() ([]Figure, error) {
	const tags = 50_000
	g, err := startGateway(tags)
	if err != nil {
		return nil, err
	}
	defer g.close()
	first, err := g.until("the initial snapshot", g.ready)
	if err != nil {
		return nil, err
	}
	var t tally
	c, err := g.watch(0, tags, &t)
	if err != nil {
		return nil, err
	}
	rate, cpuPer, lost := g.saturate(&t)
	c.Close()
	all := g.nodes()
	g.disconnect()
	if err := g.connect(); err != nil {
		return nil, err
	}
	again, err := g.until("the structure after a restart", func() bool { return g.nodes() >= all })
	note := "50,000 tags and namespace 0 from our own server, 800 Mbit/s, no security; server, both ends and " +
		"client in one process"
	return []Figure{
		{Name: "OPC UA initial snapshot", Value: first.Seconds(), Unit: "s", Budget: 120, AtMost: true, Note: note},
		{Name: "OPC UA restart from cache", Value: again.Seconds(), Unit: "s", Budget: 2, AtMost: true,
			Note: "until all nodes are at the mirror again"},
		{Name: "OPC UA value changes", Value: rate, Unit: "changes/s", Budget: 100_000,
			Note: fmt.Sprintf("source to client, %.1f µs of CPU each, all four parties; %.1f %% conflated on the way",
				cpuPer*1e6, 100*lost)},
	}, err
}

// saturate changes tags as fast as the client is notified, and returns that rate.
func (g *gateway) saturate(t *tally) (perSecond, cpuPer, lost float64) {
	const window, burst = 40_000, 1000
	time.Sleep(2 * time.Second) // initial values are through
	before, sent := t.n.Load(), g.plant.Sent()
	began, used := time.Now(), cpu()
	for time.Since(began) < 8*time.Second {
		if g.plant.Sent()-sent-(t.n.Load()-before) < window {
			g.plant.Change(burst, time.Now())
		} else {
			time.Sleep(time.Millisecond)
		}
	}
	took, spent := time.Since(began).Seconds(), (cpu() - used).Seconds()
	n := float64(t.n.Load() - before)
	time.Sleep(2 * time.Second)
	all := float64(g.plant.Sent() - sent)
	return n / took, spent / n, (all - float64(t.n.Load()-before)) / all
}

// opcuaClients has 200 clients watch 500 tags each.
func opcuaClients() ([]Figure, error) {
	const tags, clients, each = 20_000, 200, 500
	g, err := startGateway(tags)
	if err != nil {
		return nil, err
	}
	defer g.close()
	if _, err := g.until("the initial snapshot", g.ready); err != nil {
		return nil, err
	}
	var t tally
	for i := range clients {
		c, err := g.watch(i*97%(tags-each), each, &t)
		if c != nil {
			defer c.Close()
		}
		if err != nil {
			return nil, fmt.Errorf("bench: client %d: %v", i, err)
		}
	}
	time.Sleep(2 * time.Second)
	before, began := t.n.Load(), time.Now()
	const rounds = 10
	for range rounds { // every tag changes, and each item notifies it
		g.plant.Change(tags, time.Now())
		time.Sleep(time.Second)
	}
	time.Sleep(time.Second)
	n := float64(t.n.Load() - before)
	return []Figure{
		{Name: "OPC UA notifications, 200 clients", Value: n / time.Since(began).Seconds(), Unit: "values/s",
			Budget: 100_000 * rounds / 11.1, Note: "200 clients with 500 items each, 20,000 tags that change each " +
				"second"},
		{Name: "OPC UA notifications, delivered", Value: n / (rounds * clients * each), Unit: "of all", Budget: 1},
	}, nil
}
