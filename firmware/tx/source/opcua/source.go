package opcua

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math"
	"path/filepath"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/config"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/opcua/transport"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/regular"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/platform/text"
	"heliograph/firmware/tx/source"
	"heliograph/firmware/tx/source/opcua/selection"
)

// Our own choices: how often a server is asked, and how long it may take.
const (
	keepAlive      = 2 * time.Second // between two keep-alive messages
	lifetime       = 30 * time.Second
	requestTimeout = 5 * time.Second // for the response to any service
	firstRetry     = time.Second     // after a failure; doubled up to lastRetry
	lastRetry      = 30 * time.Second
	minBrowse      = 5 * time.Second // between two browses that the server asks for
	pollEvery      = time.Second
	overdueAfter   = 2 * time.Second // without an expected value, before it is read
	maxPerRead     = 2000            // reads of polled variables at once

	defaultSpace = 44 << 20 // bytes that the address space may use
)

// errReconnect ends a session because the server has to be validated again.
var errReconnect = errors.New("trusted certificates changed; connecting again")

// Source is a task that mirrors one OPC UA server.
type Source struct {
	cfg          config.OPCUASource
	patterns     *selection.Patterns
	port         source.Holder
	store        *pki.Store
	user         client.User
	log          *slog.Logger
	cache        string
	browseNow    chan struct{}
	reconnectNow chan struct{} // connect again now
	arrived      arrivals
	history      *history
	stats        sourceStats
	dialer       transport.Dialer
	pace         client.Pace // what sessions have learned of the server
	clauses      int         // select clauses that the server takes in a filter
	maxSpace     int         // bytes that the address space may use

	model      *model               // of Run's goroutine
	known      map[string]condition // see events; one session's at a time
	seed       maphash.Seed         // of known
	sent       sentTables           // which known names
	loggedDown bool                 // that no session stands, since one stood

	mu       sync.Mutex
	state    source.State
	why      string
	fault    error // why it is down
	complete bool
	wasUp    bool
	troubles map[topic]string
	notices  [subjects]string
}

// New prepares a source that keeps its cache in folder. certificates may be nil
// where the security policy is None.
func New(cfg config.OPCUASource, folder string, certificates *pki.Store, port source.Holder, log *slog.Logger) (*Source,
	error) {
	patterns, err := selection.Parse(cfg.Include, cfg.Exclude)
	if err != nil {
		return nil, err
	}
	s := &Source{
		cfg: cfg, patterns: patterns, port: port, store: certificates,
		log:   log.With("component", "opcua source", "channel", cfg.Channel),
		cache: filepath.Join(folder, "opcua-"+cfg.Channel), browseNow: make(chan struct{}, 1),
		reconnectNow: make(chan struct{}, 1),
		maxSpace:     cmp.Or(int(cfg.AddressSpace), defaultSpace), clauses: math.MaxInt,
		known: map[string]condition{}, seed: maphash.MakeSeed(),
		troubles: map[topic]string{},
	}
	if s.user, err = user(cfg); err != nil {
		return nil, err
	}
	mark := filepath.Join(folder, "history-"+cfg.Channel)
	if err := takeOverMark(s.cache+"-history", mark); err != nil {
		s.log.Warn("mark of the history not taken over", "error", err)
	}
	if s.history, err = newHistory(cfg.PublishingInterval, mark, s.scope()); err != nil {
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
	case s.state == source.Down && s.fault != nil:
		return cause.At(s.cfg.Endpoint, fmt.Errorf("%s: %w", s.cfg.Endpoint, s.fault))
	case s.state != source.Up:
		return fmt.Errorf("%s: %s", s.cfg.Endpoint, s.why)
	case !s.complete:
		return fmt.Errorf("%s: the initial snapshot is not complete yet", s.cfg.Endpoint)
	case len(s.troubles) > 0:
		return fmt.Errorf("%s: %s", s.cfg.Endpoint, s.troubleList())
	}
	return nil
}

// Browse makes the source browse again now.
func (s *Source) Browse() { signal(s.browseNow) }

// Reconnect makes the source connect again now, and so validate the server again.
func (s *Source) Reconnect() { signal(s.reconnectNow) }

// signal does not wait: one pending signal does as well as two.
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

// down reports why no session stands.
func (s *Source) down(err error) {
	s.mu.Lock()
	s.fault = err
	s.mu.Unlock()
	s.report(source.Down, err.Error())
}

// Run implements task.Task. It connects again after each session, and keeps what is
// known of the server.
func (s *Source) Run(ctx context.Context) error {
	s.loadCache()
	retry := task.Backoff{First: firstRetry, Last: lastRetry}
	for {
		began := time.Now()
		err := s.serve(ctx)
		if ctx.Err() != nil {
			s.report(source.Down, "heliotx is stopping")
			return nil
		}
		s.down(err)
		if errors.Is(err, errReconnect) {
			continue
		}
		if time.Since(began) > lastRetry {
			retry.Reset()
		}
		wait := retry.Next()
		s.logDown(err, wait)
		select {
		case <-ctx.Done():
			return nil
		case <-s.reconnectNow:
		case <-time.After(wait):
		}
	}
}

// logDown logs a change of state once; retries that fail are for a closer look.
func (s *Source) logDown(err error, wait time.Duration) {
	level := slog.LevelDebug
	if !s.loggedDown {
		level, s.loggedDown = slog.LevelWarn, true
	}
	s.log.Log(context.Background(), level, "server not connected", "state", source.Down.String(), "error", err, "retry",
		wait.Round(time.Millisecond).String(), "endpoint", s.cfg.Endpoint)
}

// loadCache begins with the address space of the run before, if it was this server's.
func (s *Source) loadCache() {
	m, err := loadModel(s.cache, s.scope(), s.maxSpace)
	if err != nil {
		s.log.Warn("address space cache not used; browsing", "error", err)
	}
	generation := uint32(0)
	if m != nil {
		generation = m.Generation
	}
	if err := s.history.restore(generation); err != nil {
		s.log.Warn("not known until when values were passed on; what was missed is not read", "error", err)
	}
	if m == nil {
		return
	}
	s.model = m
	if err := m.announce(s.port); err != nil {
		s.log.Error("announcing the address space", "error", err)
	}
	s.flush(m, true)
	s.log.Info("address space loaded from cache", "nodes", len(m.handles))
}

// scope is a hash of what a cache is valid for.
func (s *Source) scope() uint64 {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q", s.cfg.Endpoint, s.cfg.Include, s.cfg.Exclude)
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// serve runs one session to its end.
func (s *Source) serve(ctx context.Context) error {
	session, err := client.Connect(ctx, s.clientConfig())
	if err != nil {
		return err
	}
	s.stats.Sessions.Add(1)
	s.log.Info("connected", "state", source.Up.String(), "endpoint", s.cfg.Endpoint)
	s.loggedDown = false
	c := &connection{Source: s, session: session}
	err = c.run(ctx)
	session.Close()
	if c.events != nil { // nothing comes any more, but what has come may wait
		c.events.end()
	}
	return err
}

func (s *Source) clientConfig() client.Config {
	return client.Config{
		Endpoint: s.cfg.Endpoint, Policy: s.cfg.SecurityPolicy,
		Mode: ua.MessageSecurityModeFromString(s.cfg.SecurityMode), Store: s.store,
		User:            s.user,
		Tolerate:        pki.Tolerance{HostName: s.cfg.TolerateHostName, Dates: s.cfg.TolerateDates},
		ApplicationName: "Heliograph", SessionName: "heliograph " + s.cfg.Channel, Timeout: requestTimeout,
		Pace: &s.pace, Dialer: s.dialer, Log: s.log,
	}
}

const maxIdentity = 64 << 10 // bytes of a user's certificate or key

// user returns the identity that the session is activated with.
func user(cfg config.OPCUASource) (u client.User, err error) {
	u.Name, u.Password = cfg.Username, string(cfg.Password)
	u.ClearPassword = cfg.SecurityPolicy == "None" // the operator was warned
	if cfg.UserCertificate == "" {
		return u, nil
	}
	raw, err := regular.Read(cfg.UserCertificate, maxIdentity)
	if err != nil {
		return u, fmt.Errorf("user_certificate: %v", err)
	}
	if block, _ := pem.Decode(text.TrimMark(raw)); block != nil {
		raw = block.Bytes
	}
	u.Certificate = raw
	if raw, err = regular.Read(cfg.UserPrivateKey, maxIdentity); err != nil {
		return u, fmt.Errorf("user_private_key: %v", err)
	}
	u.Key, err = pki.ParseKey(text.TrimMark(raw))
	return u, err
}
