package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/tx/source"
)

// Our own choices.
const (
	keepAlive      = 4 * time.Second // a silent broker is noticed within 1.5 times that, and a bit
	pingTimeout    = 3 * time.Second
	dialTimeout    = 5 * time.Second
	sessionExpiry  = 7 * 24 * time.Hour
	receiveMaximum = 1000
	firstRetry     = 500 * time.Millisecond
	lastRetry      = 20 * time.Second
	steadyAfter    = 30 * time.Second           // a connection that held this long resets the back-off
	rereadEvery    = time.Minute                // of what a broker retains that hides the flag of live messages
	saveEvery      = 10 * time.Minute           // of the topics, while they change
	never          = 100 * 365 * 24 * time.Hour // for what brokerConn bounds

	// maxPacket is how many bytes of a packet are read at all. It is far more than
	// the link carries in a record: an MQTT 5 broker drops without notice what is
	// larger than the Maximum Packet Size, and here it is refused and counted.
	maxPacket = 64 << 20
)

// Source is one broker. It implements task.Task.
type Source struct {
	task.Status
	cfg     config.MQTTSource
	port    source.Holder
	log     *slog.Logger
	session *session5
	stats   Stats

	rereadEvery  time.Duration
	bridgeFailed bool // the broker failed on the protocol level of a bridge

	deliveries *deliveries
	retained   *retainedSet
	remembered remembered
	subscribed mode         // of the session that the broker may keep; zero: not yet, or not to its end
	puts       sync.Mutex   // what is decided about a topic is put before it is decided again
	warned     atomic.Int64 // when a refusal was last logged, in nanoseconds since 1970
	reported   source.State // of Run's goroutine

	lastArrival lastArrival // of all connections
}

// New returns a source that is not running yet. It keeps the topics of retained
// messages, and the filters of its session, in the file at path, unless that is
// empty.
func New(cfg config.MQTTSource, path string, port source.Holder, log *slog.Logger) (*Source, error) {
	if _, err := tlsConfig(cfg); err != nil {
		return nil, err
	}
	log = log.With("component", "mqtt source", "channel", cfg.Channel)
	s := &Source{
		cfg: cfg, port: port, log: log, session: newSession5(), deliveries: newDeliveries(), retained: newRetainedSet(),
		remembered: remembered{path: path, log: log}, rereadEvery: rereadEvery,
	}
	port.SetComplete(false)
	port.Report(source.Connecting, "starting")
	return s, nil
}

// String names the task.
func (s *Source) String() string { return "mqtt source " + s.cfg.Channel }

// Run receives from the broker until ctx ends.
func (s *Source) Run(ctx context.Context) error {
	defer s.session.close()
	backoff := task.Backoff{First: firstRetry, Last: lastRetry}
	for ctx.Err() == nil {
		began := time.Now()
		err := s.connectAndReceive(ctx)
		if ctx.Err() != nil {
			break
		}
		s.down(cause.At(s.cfg.Broker, fmt.Errorf("%s: %w", s.cfg.Broker, err)))
		if time.Since(began) > steadyAfter {
			backoff.Reset()
		}
		_ = backoff.Wait(ctx)
	}
	s.down(errors.New("the transmitter ends"))
	return nil
}

// connectAndReceive connects once and receives until something fails.
func (s *Source) connectAndReceive(ctx context.Context) error {
	f := newFeed(s)
	var c connection
	defer func() {
		f.close() // before the connection, whose end waits for what the feed waits for
		if c != nil {
			c.close()
		}
	}()
	c, m, err := s.connect(ctx, f)
	if err != nil {
		c = nil
		return err
	}
	ctx, unbind := bind(ctx, c)
	defer unbind()
	if err := f.subscribe(ctx, c, m); err != nil {
		// Some brokers let a bridge connect and then do not understand it.
		s.bridgeFailed = m.bridge
		return causeOfLoss(c, err)
	}
	s.bridgeFailed = false // the next connection may be a bridge again
	s.up(m)
	read := s.keepReading(ctx, f, m)
	select {
	case <-ctx.Done():
		err = causeOfLoss(c, ctx.Err())
	case err = <-f.failed:
		s.stats.Retries.Add(1)
		err = fmt.Errorf("messages have to be sent again: %w", err)
	}
	unbind()
	<-read
	return err
}

// keepReading reads what the broker retains, and does so again each minute from
// a broker that hides the retain flag of live messages. The channel is closed
// when it has ended with ctx.
func (s *Source) keepReading(ctx context.Context, f *feed, m mode) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer s.saveTopics()
		backoff := task.Backoff{First: firstRetry, Last: lastRetry}
		for wait, due := s.retained.quiet/4, true; ; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			switch {
			case !due:
				s.saveTopics()
			case !f.windowClosed(time.Now()):
			case s.readAll(ctx, m) != nil:
				wait = backoff.Next()
			default:
				backoff.Reset()
				wait, due = saveEvery, false
				if m.hidesRetain {
					wait, due = s.rereadEvery, true
				}
			}
		}
	}()
	return ended
}

// readAll reads all that the broker retains, after which the channel is complete. It is not while
// that fails: what is retained may have changed.
func (s *Source) readAll(ctx context.Context, m mode) error {
	if err := s.read(ctx, m); err != nil {
		if ctx.Err() == nil {
			s.log.Debug("reading retained messages failed", "error", err)
			s.port.SetComplete(false)
			s.Set(fmt.Errorf("%w: %v", errIncomplete, err))
		}
		return err
	}
	s.retained.setComplete()
	s.saveTopics()
	s.port.SetComplete(true)
	s.Set(nil)
	return nil
}

// saveTopics keeps the topics over restarts: until all was read, those of earlier runs too,
// which have yet to be asked for.
func (s *Source) saveTopics() {
	topics := s.retained.topics()
	if !s.retained.isComplete() {
		topics = slices.Collect(maps.Keys(s.knownTopics()))
	}
	s.remembered.saveTopics(topics)
}

// errIncomplete is why a source that is connected is not ready yet.
var errIncomplete = cause.New(cause.Incomplete, errors.New("the retained messages are still being read"))

// up reports that the broker is connected, and how. The channel is not complete before what the
// broker retains was read over this connection.
func (s *Source) up(m mode) {
	s.port.SetComplete(false)
	s.port.Report(source.Up, m.String())
	s.reported = source.Up
	s.Set(errIncomplete)
	s.log.Info("broker connected", "state", source.Up.String(), "protocol", m.String())
}

// down reports why the broker is not connected. A change of state is logged once; what
// follows while the broker is away is one attempt after the other.
func (s *Source) down(err error) {
	s.port.Report(source.Down, err.Error())
	before := s.reported
	s.reported = source.Down
	if before == source.Down {
		s.log.Debug("connecting failed", "state", source.Down.String(), "error", err)
	} else {
		s.log.Warn("broker disconnected", "state", source.Down.String(), "error", err)
	}
	s.Set(err)
}
