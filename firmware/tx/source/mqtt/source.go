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
// does (protocol level 0x84, which mosquitto honours). From a broker that refuses
// that, retained messages are read again each minute, and the channel's reason
// says so: a message that is retained then crosses twice, as an event when it
// comes, and as state once it was read, for nothing else tells IT that it is
// retained. What is read again unchanged does not cross.
//
// What the broker retains is read over a connection of its own, whose client
// identifier ends in "-reader" (retained.go): a broker queues so many messages
// for a session (mosquitto as Debian ships it 1,000) and drops the others of a
// large picture without a word, and there a retained message cannot be mistaken
// for a live one. A topic is deleted when a message clears it, or when the broker
// has no answer to a subscription to that very topic; never because it is missing
// in a picture. The topics that crossed are remembered over restarts (names.go).
//
// The session asks for no retained messages on MQTT 5 (Retain Handling 2). On
// 3.1.1 its subscription brings them, and their flags do not tell them from live
// ones. So a window is open from that subscription until no new topic has come
// for a second and all of it is acknowledged. In it a topic's first retained
// message is state, a message that equals the topic's newest is skipped, and
// every other one is live, as one marked DUP always is. What a broker kept for
// the session comes before: the source subscribes, and reads what is retained,
// once that is drained (for 5 s at most).
//
// # Acknowledgement and back-pressure
//
// A QoS 1 or 2 message is acknowledged once it and its parity have left, in
// the order of arrival (§4.6). While the link has no room for one, nothing is
// read from the broker, which keeps what it has; pings go out all the same, and
// only a broker that is being read can be silent. A QoS 0 message waits for
// nothing: the link drops the oldest, and counts it. If a message never leaves,
// for the link has ended, the broker sends it again. Within a session QoS 2 is
// exactly once, over lost connections too; after a restart of this program a
// message that had left without the broker knowing crosses again.
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

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/task"
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
	never          = 100 * 365 * 24 * time.Hour // for what the guard bounds
	saveEvery      = 10 * time.Minute           // how often topics are remembered while they change
	steadyAfter    = 30 * time.Second           // a connection that held this long starts the back-off anew

	// maxPacket is how many bytes of a packet are read at all. It is far more than
	// the link carries in a record: what an MQTT 5 broker is told as Maximum Packet
	// Size it drops without a word, and here it is refused and counted.
	maxPacket = 64 << 20
)

// Source is one broker. It implements task.Task.
type Source struct {
	task.Status
	cfg   config.MQTTSource
	port  source.Holder
	log   *slog.Logger
	sent  *sessions
	stats Stats

	again     time.Duration // between subscriptions where the flag of live messages is hidden
	noBridges bool          // the broker failed when it was spoken to as a bridge would

	deliveries *deliveries
	picture    *picture
	names      names
	subscribed how          // to the session that the broker may keep; zero: not since the start
	puts       sync.Mutex   // what is decided about a topic is put before it is decided again
	warned     atomic.Int64 // when a refusal was last logged, in nanoseconds since 1970
}

// Stats counts since the start. Safe for concurrent use.
type Stats struct {
	Received     atomic.Uint64 `count:"received_messages" help:"Messages that the broker sent."`
	Refused      atomic.Uint64 `count:"refused_messages" help:"Messages that did not cross: too large, too much retained, or not valid."`
	Skipped      atomic.Uint64 `count:"skipped_messages" help:"Retained messages that were known already."`
	Acknowledged atomic.Uint64 `count:"acknowledged_messages" help:"Messages of QoS 1 and 2 that were acknowledged to the broker."`
	Repeated     atomic.Uint64 `count:"repeated_messages" help:"QoS 2 messages that the broker sent again and that were on their way."`
	Retries      atomic.Uint64 `count:"given_up_connections" help:"Connections given up to have messages sent again."`
}

// Counters implements counter.Source.
func (s *Source) Counters() []counter.Set {
	return []counter.Set{counter.Of("mqtt_source", s.cfg.Channel, &s.stats)}
}

// New returns a source that is not running yet. It remembers the topics of
// retained messages in the file at remember, unless that is empty.
func New(cfg config.MQTTSource, remember string, port source.Holder, log *slog.Logger) (*Source, error) {
	if _, err := tlsConfig(cfg); err != nil {
		return nil, err
	}
	log = log.With("channel", cfg.Channel)
	s := &Source{cfg: cfg, port: port, log: log, sent: newSessions(), deliveries: newDeliveries(), picture: newPicture(),
		names: names{path: remember, log: log}, again: rereadEvery}
	port.SetComplete(false)
	port.Report(source.Connecting, "starting")
	return s, nil
}

// String names the task.
func (s *Source) String() string { return "mqtt source " + s.cfg.Channel }

// Stats returns the counters.
func (s *Source) Stats() *Stats { return &s.stats }

// connection is a broker in one version of the protocol.
type connection interface {
	// subscribe asks for filters, retained messages included unless it is the
	// session's on MQTT 5.
	subscribe(ctx context.Context, filters []string, qos byte) error
	unsubscribe(ctx context.Context, filters []string) error
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

// role is what a connection is for.
type role struct {
	id      string // client identifier
	clean   bool   // nothing is kept of it
	window  uint16 // Receive Maximum
	message func(*payload.Message, origin)
	traffic *traffic
	skim    *skimmer // nil: all messages are handed over
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
	var c connection
	defer func() {
		f.close() // before the connection, whose end waits for what the feed waits for
		if c != nil {
			c.close()
		}
	}()
	c, how, err := s.connect(ctx, f)
	if err != nil {
		c = nil
		return err
	}
	ctx, unbind := bind(ctx, c)
	defer unbind()
	if err := f.ask(ctx, c, how); err != nil {
		// Some brokers let a bridge connect and then do not understand it.
		s.noBridges = how.bridge
		return because(c, err)
	}
	s.noBridges = false // the next connection may ask again
	s.report(source.Up, how.String())
	read := s.keepReading(ctx, f, how)
	select {
	case <-ctx.Done():
		err = because(c, ctx.Err())
	case err = <-f.failed:
		s.stats.Retries.Add(1)
		err = fmt.Errorf("messages are to be sent again: %w", err)
	}
	unbind()
	<-read
	return err
}

// keepReading reads what the broker retains, and does so again now and then from
// a broker that hides the retain flag of live messages. The channel is closed
// when it has ended with ctx.
func (s *Source) keepReading(ctx context.Context, f *feed, h how) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { s.names.save(s.picture.topics()) }()
		retry, wait, due := firstRetry, s.picture.patience/4, true
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			switch {
			case !due:
				s.names.save(s.picture.topics())
			case f.shut(time.Now()):
				if err := s.readWhole(ctx, h); err != nil {
					wait, retry = retry/2+rand.N(retry/2), min(2*retry, lastRetry)
					continue
				}
				retry, wait, due = firstRetry, saveEvery, false
				if h.plain {
					wait, due = s.again, true
				}
			}
		}
	}()
	return ended
}

// readWhole reads all that the broker retains, after which the channel's picture
// is whole.
func (s *Source) readWhole(ctx context.Context, h how) error {
	if err := s.read(ctx, h); err != nil {
		if ctx.Err() == nil {
			s.log.Warn("mqtt: what the broker retains cannot be read", "error", err)
			s.Set(fmt.Errorf("%w: %v", errPicture, err))
		}
		return err
	}
	s.picture.read()
	s.names.save(s.picture.topics())
	s.port.SetComplete(true)
	s.Set(nil)
	return nil
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

// rereadEvery is how often a broker that hides the retain flag of live messages
// is asked for what it retains.
const rereadEvery = time.Minute

// errVersion is a broker's refusal of the version of the protocol.
var errVersion = errors.New("the broker refuses this version of MQTT")

// errAnswer is a broker that lets us wait for longer than it may.
var errAnswer = errors.New("the broker does not answer")

// errPicture is why a source that is connected is not ready yet.
var errPicture = errors.New("what the broker retains is still being read")

// five is the version in which how is said.
const five = "5"

// connect tries the versions that are configured, newest first.
func (s *Source) connect(ctx context.Context, f *feed) (connection, how, error) {
	r := role{id: s.cfg.ClientID, window: receiveMaximum, message: f.message, traffic: &f.traffic}
	why := ""
	if s.cfg.Version != config.MQTT311 {
		c, err := s.connect5(ctx, r)
		if err == nil || s.cfg.Version == config.MQTT5 || !errors.Is(err, errVersion) {
			return c, how{version: five}, err
		}
		why = "the broker refused 5"
		s.log.Warn("mqtt: the broker refuses version 5; trying 3.1.1", "broker", s.cfg.Broker, "error", err)
	}
	if !s.noBridges {
		c, err := s.connect3(ctx, r, bridgeLevel)
		if err == nil || !errors.Is(err, errVersion) {
			return c, how{version: "3.1.1", why: why, bridge: true}, err
		}
	}
	c, err := s.connect3(ctx, r, plainLevel)
	return c, how{version: "3.1.1", why: why, plain: true}, err
}

// connectAs connects in the version that the broker is known to speak.
func (s *Source) connectAs(ctx context.Context, h how, r role) (connection, error) {
	if h.version == five {
		return s.connect5(ctx, r)
	}
	return s.connect3(ctx, r, plainLevel)
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
