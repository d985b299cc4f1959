package opcua

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/config"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/opcua/transport"
	"heliograph/firmware/tx/source"
	"heliograph/firmware/tx/source/opcua/selection"
)

// How a server is kept company.
const (
	keepAlive   = 2 * time.Second // between two signs of life
	lifetime    = 30 * time.Second
	patience    = 5 * time.Second // for any answer
	firstRetry  = time.Second     // after a failure; doubled up to
	lastRetry   = 30 * time.Second
	minBrowse   = 5 * time.Second // between two browses that the server asks for
	pollEvery   = time.Second
	missingFor  = 2 * time.Second // before values that a subscription owes are read
	maxPerRound = 2000            // reads of polled variables at once

	defaultSpace = 44 << 20 // bytes that the address space may take
)

// errAnew ends a session whose server is to be decided on again.
var errAnew = errors.New("the trusted certificates have changed: connecting again")

// Source is one OPC UA server as a task.
type Source struct {
	cfg      config.OPCUASource
	patterns *selection.Patterns
	port     source.Port
	store    *pki.Store
	user     client.User
	log      *slog.Logger
	cache    string
	again    chan struct{} // browse now
	anew     chan struct{} // connect again now
	arrived  arrivals
	stats    sourceStats
	dialer   transport.Dialer
	pace     client.Pace // of the server, over all sessions
	clauses  int         // of an event filter, that the server takes
	most     int         // bytes that the address space may take

	model *model            // of Run's goroutine
	known map[string]string // see events; one session's at a time

	mu       sync.Mutex
	state    source.State
	why      string
	whole    bool
	wasUp    bool
	troubles map[topic]string
	noticed  string
}

// New prepares a source that keeps its cache in folder. certificates may be nil
// where the security policy is None.
func New(cfg config.OPCUASource, folder string, certificates *pki.Store, port source.Port, log *slog.Logger) (*Source, error) {
	patterns, err := selection.Parse(cfg.Include, cfg.Exclude)
	if err != nil {
		return nil, err
	}
	s := &Source{
		cfg: cfg, patterns: patterns, port: port, store: certificates, log: log.With("channel", cfg.Channel),
		cache: filepath.Join(folder, "opcua-"+cfg.Channel), again: make(chan struct{}, 1), anew: make(chan struct{}, 1),
		most: cmp.Or(int(cfg.AddressSpace), defaultSpace), clauses: math.MaxInt, known: map[string]string{}, troubles: map[topic]string{},
	}
	if s.user, err = user(cfg); err != nil {
		return nil, err
	}
	s.report(source.Connecting, "not connected yet")
	return s, nil
}

// String implements task.Task.
func (s *Source) String() string { return "opcua source " + s.cfg.Channel }

// Ready implements task.Task.
func (s *Source) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state != source.Up:
		return fmt.Errorf("%s: %s", s.cfg.Endpoint, s.why)
	case !s.whole:
		return fmt.Errorf("%s: the initial snapshot is not complete yet", s.cfg.Endpoint)
	case len(s.troubles) > 0:
		return fmt.Errorf("%s: %s", s.cfg.Endpoint, s.shortcomings())
	}
	return nil
}

// Browse makes the source browse again now.
func (s *Source) Browse() { signal(s.again) }

// Reconnect makes the source connect again now, and so decide again on the server.
func (s *Source) Reconnect() { signal(s.anew) }

// signal does not wait: one signal that was not taken yet is as good as two.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *Source) report(state source.State, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == source.Up {
		why, s.wasUp = s.upReason(), true
	}
	if s.state == state && s.why == why && state != source.Connecting {
		return
	}
	s.state, s.why = state, why
	s.port.Report(state, why)
}

// Run implements task.Task. A session that ends is followed by another; what is
// known of the server stays.
func (s *Source) Run(ctx context.Context) error {
	s.recall()
	retry := firstRetry
	for {
		began := time.Now()
		err := s.serve(ctx)
		if ctx.Err() != nil {
			s.report(source.Down, "heliotx ends")
			return nil
		}
		s.report(source.Down, err.Error())
		if errors.Is(err, errAnew) {
			continue
		}
		if time.Since(began) > lastRetry {
			retry = firstRetry
		}
		s.log.Warn("opcua source is down", "endpoint", s.cfg.Endpoint, "error", err, "retry", retry)
		select {
		case <-ctx.Done():
			return nil
		case <-s.anew:
		case <-time.After(retry):
		}
		retry = min(2*retry, lastRetry)
	}
}

// recall begins with the picture of the run before, if it was of this server.
func (s *Source) recall() {
	m, err := loadModel(s.cache, s.scope(), s.most)
	if err != nil {
		s.log.Warn("opcua source begins anew", "error", err)
	}
	if m == nil {
		return
	}
	s.model = m
	if err := m.announce(s.port); err != nil {
		s.log.Error("opcua source cannot announce its picture", "error", err)
	}
	s.flush(m, true)
	s.log.Info("opcua source begins with its cache", "nodes", len(m.handles))
}

// scope hashes what makes a cache another server's.
func (s *Source) scope() uint64 {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q", s.cfg.Endpoint, s.cfg.Include, s.cfg.Exclude)
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// serve keeps one session for as long as it lasts.
func (s *Source) serve(ctx context.Context) error {
	session, err := client.Connect(ctx, s.clientConfig())
	if err != nil {
		return err
	}
	defer session.Close()
	s.stats.Sessions.Add(1)
	s.log.Info("opcua source is connected", "endpoint", s.cfg.Endpoint)
	v := &visit{Source: s, session: session}
	return v.run(ctx)
}

func (s *Source) clientConfig() client.Config {
	return client.Config{
		Endpoint: s.cfg.Endpoint, Policy: s.cfg.SecurityPolicy, Mode: ua.MessageSecurityModeFromString(s.cfg.SecurityMode), Store: s.store,
		User:            s.user,
		Tolerate:        pki.Tolerance{HostName: s.cfg.TolerateHostName, Dates: s.cfg.TolerateDates},
		ApplicationName: "Heliograph", SessionName: "heliograph " + s.cfg.Channel, Timeout: patience, Pace: &s.pace, Dialer: s.dialer, Log: s.log,
	}
}

// user reads who the session is for.
func user(cfg config.OPCUASource) (u client.User, err error) {
	u.Name, u.Password = cfg.Username, string(cfg.Password)
	u.ClearPassword = cfg.SecurityPolicy == "None" // the operator was warned
	if cfg.UserCertificate == "" {
		return u, nil
	}
	raw, err := os.ReadFile(cfg.UserCertificate)
	if err != nil {
		return u, fmt.Errorf("user_certificate: %v", err)
	}
	if block, _ := pem.Decode(raw); block != nil {
		raw = block.Bytes
	}
	u.Certificate = raw
	if raw, err = os.ReadFile(cfg.UserPrivateKey); err != nil {
		return u, fmt.Errorf("user_private_key: %v", err)
	}
	u.Key, err = pki.ParseKey(raw)
	return u, err
}
