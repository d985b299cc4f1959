package node

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"heliograph/drivers/drivertest"
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/tx/source"
)

// medium is a pipe that can be away, and that nothing has to read.
type medium struct {
	*drivertest.Pipe
	away   atomic.Bool
	closed atomic.Bool
}

var errAway = errors.New("interface is away")

func (m *medium) Transmit(frames [][]byte) (int, error) {
	if m.away.Load() {
		return 0, errAway
	}
	for rest := frames; len(rest) > 0; {
		n, err := m.Pipe.Transmit(rest)
		if err != nil {
			return 0, err
		}
		if rest = rest[n:]; len(rest) > 0 { // it is full: drop the oldest frame
			_ = m.Receive(0, func([]byte) {}) // the reader may have been quicker
		}
	}
	return len(frames), nil
}

// received returns the frames that were not read yet, as far as they were not dropped.
func (m *medium) received() (frames [][]byte) {
	for {
		before := len(frames)
		_ = m.Receive(time.Microsecond, func(f []byte) { frames = append(frames, f) })
		if len(frames) == before {
			return frames
		}
	}
}

func (m *medium) Close() error { m.closed.Store(true); return nil }

// plant is a source that does what a test says.
type plant struct {
	source.Holder
	task.Status
	name                string
	browsed, reconnects atomic.Int32
}

func (p *plant) String() string { return p.name }
func (p *plant) Browse()        { p.browsed.Add(1) }
func (p *plant) Reconnect()     { p.reconnects.Add(1) }
func (p *plant) Ready() error   { return nil }

func (p *plant) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// rig is a node on a pipe, with sources that tests drive.
type rig struct {
	*Node
	medium *medium
	mu     sync.Mutex
	plants map[string]*plant // by channel
}

func (r *rig) plant(channel string) *plant {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.plants[channel]
}

func (r *rig) build() Build {
	add := func(kind, channel string, p source.Holder) *plant {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.plants[channel] = &plant{Holder: p, name: kind + " source " + channel}
		return r.plants[channel]
	}
	return Build{
		Medium: func(config.Link, *slog.Logger) (Medium, error) {
			return Medium{Transmitter: r.medium, MaxFrame: 1472, Overhead: 66}, nil
		},
		MQTT: func(c config.MQTTSource, _ string, p source.Holder, _ *slog.Logger) (task.Task, error) {
			return add("mqtt", c.Channel, p), nil
		},
		Syslog: func(c config.SyslogSource, p source.Port, _ *slog.Logger) (task.Task, error) {
			return add("syslog", c.Channel, p.(source.Holder)), nil
		},
		OPCUA: func(c config.OPCUASource, _ string, _ *pki.Store, p source.Holder, _ *slog.Logger) (OPCUASource,
			error) {
			return add("opcua", c.Channel, p), nil
		},
	}
}

// testConfig is a transmitter with one MQTT channel, whose state is in a folder of
// its own.
func testConfig(t *testing.T) Config {
	t.Helper()
	dir := t.TempDir()
	key := filepath.Join(dir, "pair.key")
	if err := pairkey.Create(key, [pairkey.Size]byte{1}); err != nil {
		t.Fatal(err)
	}
	return Config{
		Version: "2.1.0",
		TX: config.TX{
			Pair: "press-hall", State: dir, PKI: filepath.Join(dir, "pki"),
			Link: config.Link{Medium: config.UDP, Rate: 80e6, Overhead: 0.25, KeyFile: key},
			MQTT: []config.MQTTSource{{Channel: "cell-1"}},
		},
		Synchronized: func() bool { return false },
		Log:          slog.New(slog.DiscardHandler),
	}
}

func newRig(t *testing.T, c Config) *rig {
	t.Helper()
	r := &rig{medium: &medium{Pipe: drivertest.NewPipe(64)}, plants: map[string]*plant{}}
	if c.Build.Medium == nil {
		c.Build = r.build()
	}
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	n.machine = &machine.Reader{Root: t.TempDir()} // the real one's uptime and disk change as they like
	r.Node = n
	return r
}

// run runs the node for as long as f takes, and ends it.
func (r *rig) run(t *testing.T, f func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	f()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
}

// reported is what the receiver has of the gateway's own channel.
func (r *rig) reported() selfreport.Report {
	var got selfreport.Report
	r.gateway.Range(func(key, payload []byte) bool {
		got.Add(selfreport.Entry{Key: string(key), Value: string(payload)})
		return true
	})
	return got
}

// settle lets the node work for some time of the test's clock.
func settle() { time.Sleep(3 * reportEvery) }
