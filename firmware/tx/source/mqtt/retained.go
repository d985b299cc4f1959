package mqtt

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/tx/source"
)

// Our own choices about reading what a broker retains.
const (
	askAtOnce    = 500       // topics in one SUBSCRIBE; mosquitto as Debian ships it queues 1,000 messages
	askBytes     = 64 << 10  // … and their bytes
	readAtOnce   = 1000      // Receive Maximum of the reader
	mostTopics   = 500_000   // that are asked for
	mostTopicLen = 32 << 20  // … and their bytes
	mostPasses   = 5         // over the filters
	rounds       = 3         // for topics that change while they are read
	readerSuffix = "-reader" // of the client identifier
)

// errTopics is why what a broker retains does not become known in whole.
var errTopics = fmt.Errorf("the broker retains more than %d topics; take fewer of them with topics", mostTopics)

// reader asks a broker for what it retains, over a connection of its own.
//
// First it learns which topics there are: it subscribes to the configured filters
// with QoS 0 and only skims what comes, until that brings no new topic. A broker
// drops what exceeds its queue without a word (mosquitto as Debian ships it 1,000
// messages), but of QoS 0 only as far as the client is slower than the broker. Then
// it asks for each topic by its name, to get the message with its QoS; and for
// those without an answer once more with QoS 0, of which none waits for an
// acknowledgement. Only if the broker has no answer to that, a topic is deleted.
// A topic that was not found does no harm: what was known is asked for all the same.
type reader struct {
	source *Source
	acks   *acker

	mu     sync.Mutex
	names  map[string]struct{} // topics that the filters brought
	bytes  int                 // of names
	asked  map[string]struct{} // topics without an answer
	again  []string            // topics that changed meanwhile
	last   time.Time           // when a retained message came
	failed error
}

// read reads all that the broker retains, once.
func (s *Source) read(ctx context.Context, h how) error {
	filters := s.plainFilters()
	if len(filters) == 0 {
		return nil
	}
	r := &reader{source: s, acks: newAcker(new(atomic.Uint64))}
	defer r.acks.close()
	skim := &skimmer{topic: r.name}
	c, err := s.connectAs(ctx, h, role{id: s.cfg.ClientID + readerSuffix, clean: true, window: readAtOnce, message: r.message, traffic: &traffic{}, skim: skim})
	if err != nil {
		return err
	}
	defer c.close()
	ctx, unbind := bind(ctx, c)
	defer unbind()
	s.show()
	s.picture.watch()
	defer s.picture.unwatch()
	topics, err := r.discover(ctx, c, filters, skim)
	for round := 0; err == nil && len(topics) > 0 && round < rounds; round++ {
		topics, err = r.askFor(ctx, c, topics)
	}
	if err != nil {
		return because(c, err)
	}
	return nil
}

// plainFilters are the configured filters that bring retained messages: a
// shared subscription never does (MQTT 5.0 §4.8.2).
func (s *Source) plainFilters() (filters []string) {
	for _, f := range s.cfg.Topics {
		if !strings.HasPrefix(f, "$share/") {
			filters = append(filters, f)
		}
	}
	return filters
}

// show tells the picture what the link has.
func (s *Source) show() {
	shown := map[string]mark{}
	s.port.Range(func(key, value []byte) bool {
		var m payload.Message
		if m.Parse(value) == nil {
			shown[string(key)] = s.picture.mark(&m, value)
		} else {
			shown[string(key)] = mark{}
		}
		return true
	})
	s.picture.show(shown)
}

// known returns all topics that are known, those of an earlier run included.
func (s *Source) known() map[string]struct{} {
	known := map[string]struct{}{}
	for _, topics := range [][]string{s.picture.topics(), s.names.load()} {
		for _, topic := range topics {
			known[topic] = struct{}{}
		}
	}
	return known
}

// discover subscribes to the filters until that brings no new topic, and returns
// all topics that are known then.
func (r *reader) discover(ctx context.Context, c connection, filters []string, skim *skimmer) (topics []string, err error) {
	skim.on.Store(true)
	defer skim.on.Store(false)
	r.names = map[string]struct{}{}
	for pass, found := 0, -1; pass < mostPasses && found < r.found(); pass++ {
		found = r.found()
		if err := c.subscribe(ctx, filters, 0); err != nil {
			return nil, fmt.Errorf("subscribing: %w", err)
		}
		if err := r.quiet(ctx, c); err != nil {
			return nil, err
		}
		if err := c.unsubscribe(ctx, filters); err != nil {
			return nil, fmt.Errorf("unsubscribing: %w", err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		return nil, r.failed
	}
	known := r.source.known()
	for topic := range r.names {
		known[topic] = struct{}{}
	}
	r.names = nil
	for topic := range known {
		if payload.ValidTopic(topic) && subscribed(topic, r.source.cfg.Topics) {
			topics = append(topics, topic)
		}
	}
	return topics, nil
}

func (r *reader) found() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.names)
}

// name notes a topic that the filters brought.
func (r *reader) name(topic []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = time.Now()
	if _, ok := r.names[string(topic)]; ok || r.failed != nil {
		return
	}
	if len(r.names) >= mostTopics || r.bytes+len(topic) > mostTopicLen {
		r.failed = errTopics
		return
	}
	r.names[string(topic)] = struct{}{}
	r.bytes += len(topic)
}

// askFor asks for topics by their names, and deletes those that the broker has
// nothing of. It returns those that changed meanwhile.
func (r *reader) askFor(ctx context.Context, c connection, topics []string) (again []string, err error) {
	s := r.source
	s.picture.watch()
	r.mu.Lock()
	r.asked, r.again = make(map[string]struct{}, len(topics)), nil
	for _, topic := range topics {
		r.asked[topic] = struct{}{}
	}
	r.mu.Unlock()
	if err := r.ask(ctx, c, topics); err != nil {
		return nil, err
	}
	if topics = r.missing(); len(topics) > 0 {
		if err := r.insist(ctx, c, topics); err != nil {
			return nil, err
		}
	}
	for _, topic := range r.missing() {
		s.gone(topic)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.again, r.failed
}

func (r *reader) missing() (topics []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for topic := range r.asked {
		topics = append(topics, topic)
	}
	return topics
}

// some cuts topics into what is asked for at once.
func some(topics []string) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for len(topics) > 0 {
			n, bytes := 1, len(topics[0])
			for n < min(len(topics), askAtOnce) && bytes+len(topics[n]) <= askBytes {
				bytes += len(topics[n])
				n++
			}
			if !yield(topics[:n]) {
				return
			}
			topics = topics[n:]
		}
	}
}

// ask subscribes to topics by their names, some at once.
func (r *reader) ask(ctx context.Context, c connection, topics []string) error {
	for part := range some(topics) {
		if err := c.subscribe(ctx, part, 2); err != nil {
			return fmt.Errorf("asking for %d topics: %w", len(part), err)
		}
		if err := c.unsubscribe(ctx, part); err != nil {
			return fmt.Errorf("asking for %d topics: %w", len(part), err)
		}
	}
	return r.quiet(ctx, c)
}

// insist asks with QoS 0, of which no message waits for an acknowledgement, and
// stays subscribed until all answers must be there.
func (r *reader) insist(ctx context.Context, c connection, topics []string) error {
	for part := range some(topics) {
		if err := c.subscribe(ctx, part, 0); err != nil {
			return fmt.Errorf("asking for %d topics again: %w", len(part), err)
		}
	}
	if err := r.quiet(ctx, c); err != nil {
		return err
	}
	for part := range some(topics) {
		if err := c.unsubscribe(ctx, part); err != nil {
			return fmt.Errorf("unsubscribing: %w", err)
		}
	}
	return nil
}

// quiet waits until no retained message has come for a while and the broker has
// answered after that, so that no answer is on its way: brokers may send retained
// messages after they have said that they will.
func (r *reader) quiet(ctx context.Context, c connection) error {
	r.mu.Lock()
	r.last = time.Now()
	r.mu.Unlock()
	for {
		if err := c.barrier(ctx); err != nil {
			return fmt.Errorf("asking whether that was all: %w", err)
		}
		r.mu.Lock()
		wait := time.Until(r.last.Add(r.source.picture.patience))
		r.mu.Unlock()
		if wait <= 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// message takes what the broker sends to the reader. Live messages come to the
// other connection; here only those that it retains have the flag.
func (r *reader) message(m *payload.Message, o origin) {
	r.acks.expect(o.ack)()
	s := r.source
	if !m.Retain || len(m.Payload) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = time.Now()
	if !m.Valid() || !subscribed(m.Topic, s.cfg.Topics) {
		s.refuse("mqtt: a message that no link may carry was refused", m)
		return
	}
	encoded := m.Append(nil)
	mk := s.picture.mark(m, encoded)
	if _, ok := r.asked[m.Topic]; !ok {
		return
	}
	delete(r.asked, m.Topic)
	if !s.state(m, mk, encoded) {
		r.again = append(r.again, m.Topic)
	}
}

// state puts what the broker retains of a topic. It returns false when a live
// message came since it was asked for, and nobody knows which is newer.
func (s *Source) state(m *payload.Message, mk mark, encoded []byte) bool {
	s.puts.Lock()
	defer s.puts.Unlock()
	switch s.picture.answer(m.Topic, mk) {
	case isRepeated:
		s.stats.Skipped.Add(1)
		return true
	case isLive:
		return false
	}
	s.stats.Received.Add(1)
	if err := s.port.Put(source.Update{Key: []byte(m.Topic), Payload: encoded}); err != nil {
		s.picture.forget(m.Topic)
		if !errors.Is(err, source.ErrClosed) {
			s.refuse("mqtt: a retained message was refused: "+err.Error(), m)
		}
	}
	return true
}

// gone deletes a topic of which the broker has nothing, unless a live message
// came meanwhile.
func (s *Source) gone(topic string) {
	s.puts.Lock()
	defer s.puts.Unlock()
	if s.picture.remove(topic) {
		_ = s.port.Put(source.Update{Key: []byte(topic), Delete: true}) // a deletion is never too large
	}
}
