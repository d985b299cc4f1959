package rig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/drivers/drivertest"
	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/conduit/linktest/relay"
	"heliograph/tools/pair"
)

// Gateway is a pair of roles and the impaired link between them.
type Gateway struct {
	Dir          string
	TX, RX       *Role
	Link         *linktest.Link
	Enter, Leave string        // the link's ends: addresses or devices
	Bound        time.Duration // of Ready; await.Bound unless set
	t            testing.TB
}

// Seed is that of the link's impairments, for failures to name.
const Seed = 42

// NewUDP prepares a pair over UDP. The configurations get the tables tx and rx after
// those that all have.
func NewUDP(t testing.TB, programs string, profile linktest.Profile, tx, rx string) *Gateway {
	t.Helper()
	g := &Gateway{Link: linktest.New(Seed, profile), Enter: await.FreeAddress(t), Leave: await.FreeAddress(t)}
	line, err := relay.NewUDP(g.Enter, g.Leave, g.Link)
	if err != nil {
		t.Fatal(err)
	}
	runLink(t, g.Link, line.Run)
	g.prepare(t, programs, pair.End{Link: pair.UDP(g.Enter), Tables: tx}, pair.End{Link: pair.UDP(g.Leave), Tables: rx})
	return g
}

// NewSerial prepares a pair on two pseudo terminals at 921600 baud.
func NewSerial(t testing.TB, programs string, profile linktest.Profile, tx, rx string) *Gateway {
	t.Helper()
	near, enter := drivertest.OpenPTY(t)
	far, leave := drivertest.OpenPTY(t)
	g := &Gateway{Link: linktest.New(Seed, profile), Enter: enter, Leave: leave}
	room := relay.Buffer(far, 1<<20)
	t.Cleanup(func() { _ = room.Close() })
	runLink(t, g.Link, func(ctx context.Context) error {
		_ = relay.Stream(ctx, near, room, g.Link, 0) // ends when the terminal is closed
		return nil
	})
	g.prepare(t, programs, pair.End{Link: pair.Serial(enter), Tables: tx},
		pair.End{Link: pair.Serial(leave), Tables: rx})
	return g
}

// runLink runs a link until the test ends. A test that fails shows what the link did.
func runLink(t testing.TB, link *linktest.Link, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the link: %v", err)
		}
		if t.Failed() {
			t.Logf("the link, seed %d: %+v", Seed, link.Counters())
		}
	})
}

func (g *Gateway) prepare(t testing.TB, programs string, tx, rx pair.End) {
	t.Helper()
	p, err := pair.New(pair.Config{Name: "test", Programs: programs, Dir: t.TempDir(), TX: tx, RX: rx})
	if err != nil {
		t.Fatal(err)
	}
	g.t, g.Dir, g.Bound = t, p.Dir, await.Bound
	g.TX, g.RX = &Role{t: t, role: &p.TX, Config: p.TX.Config}, &Role{t: t, role: &p.RX, Config: p.RX.Config}
}

// Start starts both roles, the receiver first.
func (g *Gateway) Start() {
	g.t.Helper()
	g.RX.Start()
	g.TX.Start()
}

// Ready waits until both roles are ready.
func (g *Gateway) Ready() {
	g.t.Helper()
	for _, r := range []*Role{g.TX, g.RX} {
		await.Within(g.t, g.Bound, "/readyz", r.role.Ready)
	}
}

// Role is one role of a Gateway.
type Role struct {
	*Process // of the newest start
	Config   string
	role     *pair.Role
	t        testing.TB
}

// Start starts the role, for the first time or again.
func (r *Role) Start() {
	r.t.Helper()
	if err := r.role.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.Process = watch(r.t, r.role.Process)
}

// Port is that of the role's status server.
func (r *Role) Port() int { return r.role.StatusPort }

// Get returns what the role's status server answers. It asks a few times, since a busy machine may not answer
// in time.
func (r *Role) Get(path string) (body string, code int, err error) {
	b, code, err := r.role.Get(path)
	for n := 1; n < 6 && os.IsTimeout(err); n++ {
		b, code, err = r.role.Get(path)
	}
	return string(b), code, err
}

// Status returns what the role's /status.json says.
func (r *Role) Status() (s pair.Status) {
	r.t.Helper()
	await.NoError(r.t, "/status.json", func() (err error) { s, err = r.role.Status(); return err })
	return s
}

// Channel returns what the role's /status.json says of a channel.
func (r *Role) Channel(name string) pair.Channel { r.t.Helper(); return r.Status().Channels[name] }

// Notes returns how many events of a kind the role's audit trail has.
func (r *Role) Notes(event string) (n int) {
	r.t.Helper()
	for _, note := range r.Status().Notes {
		if note.Event == event {
			n++
		}
	}
	return n
}

// Unready waits until /readyz answers 503 and names all these reasons.
func (r *Role) Unready(reasons ...string) {
	r.t.Helper()
	await.NoError(r.t, fmt.Sprintf("%q in /readyz", reasons), func() error {
		body, code, err := r.Get("/readyz")
		for _, reason := range reasons {
			if err != nil || code != http.StatusServiceUnavailable || !strings.Contains(body, reason) {
				return fmt.Errorf("%d %q %v", code, body, err)
			}
		}
		return nil
	})
}

// Read returns the contents of a file.
func Read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Write writes a file that only its owner can read.
func Write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
