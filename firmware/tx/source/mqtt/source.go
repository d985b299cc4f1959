// Package mqtt hears a broker in the plant: every message of the configured
// topics becomes a record, and retained messages become state.
//
// MQTT 5.0 is spoken through paho.golang and MQTT 3.1.1 through
// paho.mqtt.golang. The package never publishes, and subscribes to nothing
// that is not configured.
//
// # Retained messages
//
// A retained message is the newest value of its topic, and live ones are
// events besides: Key is the topic. To keep the flag on live messages, MQTT 5
// subscribes with Retain As Published (§3.8.3.1), and 3.1.1 connects as a bridge
// does (protocol level 0x84, which mosquitto honours). A broker that refuses
// that is subscribed to again each minute, and the channel's reason says so.
//
// What a broker sends upon subscribing cannot be told from live messages by its
// flags. So a window is open from each subscription until no new topic has come
// for a second, all of it is acknowledged, and one more round trip brought
// nothing. In it a topic's first retained message is state, a message that
// equals the topic's newest is skipped, and every other one is live. What a
// broker kept for the session comes before: the source subscribes once that is
// drained (for 5 s at most), and a message marked DUP is live always. So a
// window folds a live retained message that repeats its topic's value, and
// takes the first one of a topic that had none as state, which is published all
// the same. When it closes, topics that the broker no longer has are deleted.
//
// # Acknowledgement
//
// A QoS 1 or 2 message is acknowledged once it and its parity have left, in
// the order of arrival (§4.6). If one never leaves, the connection is given up and the
// broker sends it again. Within a session QoS 2 is exactly once, over lost
// connections too; after a restart of this program a message that had left
// without the broker knowing crosses again.
package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/task"
	"heliograph/firmware/tx/source"
)

// Our own choices.
const (
	keepAlive      = 4 * time.Second // a silent broker is noticed within 1.5 times that, and a bit
	pingPatience   = 3 * time.Second
	dialPatience   = 5 * time.Second
	sessionExpiry  = 7 * 24 * time.Hour
	receiveMaximum = 1000
	firstRetry     = 500 * time.Millisecond
	lastRetry      = 20 * time.Second
	steadyAfter    = 30 * time.Second // a connection that held this long starts the back-off anew

	maxMessage = 8<<20 - 128<<10 // bytes of a packet, as MQTT 5 is told: the link carries it
	maxPacket  = 64 << 20        // bytes of a packet that is read at all in 3.1.1, which knows no limit
)

// Source is one broker. It implements task.Task.
type Source struct {
	task.Status
	cfg   config.MQTTSource
	port  source.Port
	log   *slog.Logger
	sent  *sessions
	stats Stats

	again     time.Duration // between subscriptions where the flag of live messages is hidden
	noBridges bool          // the broker failed when it was spoken to as a bridge would

	deliveries *deliveries
	picture    *picture
	puts       sync.Mutex   // what is decided about a topic is put before it is decided again
	warned     atomic.Int64 // when a refusal was last logged, in nanoseconds since 1970
}

// Stats counts since the start. Safe for concurrent use.
type Stats struct {
	Received     atomic.Uint64
	Refused      atomic.Uint64 // too large, or no valid message
	Skipped      atomic.Uint64 // retained messages that were known already
	Acknowledged atomic.Uint64 // of QoS 1 and 2, to the broker
	Repeated     atomic.Uint64 // QoS 2 messages that came again and were on their way
	Retries      atomic.Uint64 // connections given up to have messages sent again
}

// New returns a source that is not running yet.
func New(cfg config.MQTTSource, port source.Port, log *slog.Logger) (*Source, error) {
	if _, err := tlsConfig(cfg); err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, port: port, log: log.With("channel", cfg.Channel), sent: newSessions(), deliveries: newDeliveries(), picture: newPicture(), again: resubscribeEvery}
	port.Whole(false)
	port.Report(source.Connecting, "starting")
	return s, nil
}

// String names the task.
func (s *Source) String() string { return "mqtt source " + s.cfg.Channel }

// Stats returns the counters.
func (s *Source) Stats() *Stats { return &s.stats }

// connection is a broker in one version of the protocol.
type connection interface {
	// subscribe asks for the configured topics, retained messages included.
	subscribe(ctx context.Context) error
	// resumed reports whether the broker kept the session.
	resumed() bool
	// barrier returns once the broker has answered what does nothing: all that
	// it sent before has arrived.
	barrier(ctx context.Context) error
	// lost is closed when the connection is; cause says why.
	lost() <-chan struct{}
	cause() error
	close()
}

// nowhere is a filter that nobody subscribed to.
const nowhere = "heliograph/nowhere"

// Run hears the broker until ctx ends.
func (s *Source) Run(ctx context.Context) error {
	defer s.sent.close()
	retry := firstRetry
	for ctx.Err() == nil {
		began := time.Now()
		err := s.connectAndHear(ctx)
		if ctx.Err() != nil {
			break
		}
		s.report(source.Down, fmt.Sprintf("%s: %v", s.cfg.Broker, err))
		if time.Since(began) > steadyAfter {
			retry = firstRetry
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry/2 + rand.N(retry/2)): // jitter: brokers restart under all their clients
		}
		retry = min(2*retry, lastRetry)
	}
	s.report(source.Down, "the transmitter ends")
	return nil
}

// connectAndHear connects once and hears the broker until something fails.
func (s *Source) connectAndHear(ctx context.Context) error {
	f := newFeed(s)
	defer f.close()
	c, how, err := s.connect(ctx, f)
	if err != nil {
		return err
	}
	defer c.close()
	again := make(<-chan time.Time)
	if how.plain {
		ticker := time.NewTicker(s.again)
		defer ticker.Stop()
		again = ticker.C
	}
	ctx, unbind := bind(ctx, c)
	defer unbind()
	if err := f.ask(ctx, c); err != nil {
		// Some brokers let a bridge connect and then do not understand it.
		s.noBridges = how.bridge
		return because(c, err)
	}
	s.noBridges = false // the next connection may ask again
	s.report(source.Up, how.String())
	quiet := time.NewTicker(s.picture.patience / 4)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return because(c, ctx.Err())
		case err := <-f.failed:
			s.stats.Retries.Add(1)
			return fmt.Errorf("messages are to be sent again: %w", err)
		case <-quiet.C:
			if !f.quiet(time.Now()) {
				continue
			}
			if err := c.barrier(ctx); err != nil {
				return because(c, fmt.Errorf("asking whether that was all: %w", err))
			}
			f.settle(time.Now())
		case <-again:
			f.begin()
			if err := c.subscribe(ctx); err != nil {
				return because(c, fmt.Errorf("subscribing again: %w", err))
			}
		}
	}
}

// bind returns a context that ends with the connection: the libraries wait for
// an answer even when none can come any more.
func bind(ctx context.Context, c connection) (context.Context, context.CancelFunc) {
	bound, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-c.lost():
			cancel()
		case <-bound.Done():
		}
	}()
	return bound, cancel
}

// because prefers the reason why a connection was lost to what followed from it.
func because(c connection, err error) error {
	select {
	case <-c.lost():
		return fmt.Errorf("connection lost: %w", c.cause())
	default:
		return err
	}
}

// how says how a broker is spoken to, for the channel's reason.
type how struct {
	version string
	why     string
	bridge  bool // 3.1.1 as a bridge
	plain   bool // 3.1.1 without the bridge's flag
}

func (h how) String() string {
	s := "MQTT " + h.version
	if h.why != "" {
		s += ": " + h.why
	}
	if h.plain {
		s += "; the broker hides the retain flag of live messages, so retained state is asked for each minute"
	}
	return s
}

// resubscribeEvery is how often a broker that hides the retain flag of live
// messages is asked for what it retains.
const resubscribeEvery = time.Minute

// errVersion is a broker's refusal of the version of the protocol.
var errVersion = errors.New("the broker refuses this version of MQTT")

// errAnswer is a broker that lets us wait for longer than it may.
var errAnswer = errors.New("the broker does not answer")

// errPicture is why a source that is connected is not ready yet.
var errPicture = errors.New("what the broker retains is still being read")

// connect tries the versions that are configured, newest first.
func (s *Source) connect(ctx context.Context, f *feed) (connection, how, error) {
	why := ""
	if s.cfg.Version != config.MQTT311 {
		c, err := s.connect5(ctx, f)
		if err == nil || s.cfg.Version == config.MQTT5 || !errors.Is(err, errVersion) {
			return c, how{version: "5"}, err
		}
		why = "the broker refused 5"
		s.log.Warn("mqtt: the broker refuses version 5; trying 3.1.1", "broker", s.cfg.Broker, "error", err)
	}
	if !s.noBridges {
		c, err := s.connect3(ctx, f, bridgeLevel)
		if err == nil || !errors.Is(err, errVersion) {
			return c, how{version: "3.1.1", why: why, bridge: true}, err
		}
	}
	c, err := s.connect3(ctx, f, plainLevel)
	return c, how{version: "3.1.1", why: why, plain: true}, err
}

func (s *Source) report(state source.State, reason string) {
	s.port.Report(state, reason)
	if state == source.Up {
		if s.picture.isWhole() {
			s.Set(nil)
		} else {
			s.Set(errPicture)
		}
		s.log.Info("mqtt: broker", "state", state.String(), "reason", reason)
		return
	}
	s.Set(errors.New(reason))
	s.log.Warn("mqtt: broker", "state", state.String(), "reason", reason)
}
