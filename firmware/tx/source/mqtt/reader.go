package mqtt

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/tx/source"
)

// Our own choices about reading what a broker retains.
const (
	topicsAtOnce  = 500       // in one SUBSCRIBE; mosquitto as Debian ships it queues 1,000 messages
	bytesAtOnce   = 64 << 10  // … of them
	readerWindow  = 1000      // Receive Maximum of the reader
	maxTopics     = 500_000   // that are asked for
	maxTopicBytes = 32 << 20  // … of them
	maxPasses     = 5         // over the filters
	maxRounds     = 3         // for topics that change while they are read
	readerSuffix  = "-reader" // of the client identifier
)

// errTopics is why not everything that a broker retains becomes known.
var errTopics = fmt.Errorf("the broker retains more than %d topics; take fewer of them with topics", maxTopics)

// reader asks a broker for what it retains, over a connection of its own.
//
// First it finds out which topics there are: it subscribes to the configured filters
// with QoS 0 and only skims what comes, until that brings no new topic. A broker
// drops what exceeds its queue without notice (mosquitto as Debian ships it 1,000
// messages), but of QoS 0 only as far as the client is slower than the broker. Then
// it asks for each topic by its name, to get the message with its QoS; and for
// those without an answer once more with QoS 0, of which none waits for an
// acknowledgement. Only if the broker has no answer to that, a topic is deleted.
// A topic that was not found does no harm: what was known is asked for all the same.
type reader struct {
	source *Source
	acks   *acker

	mu      sync.Mutex
	found   map[string]struct{} // topics that the filters brought; nil: they are not subscribed to
	bytes   int                 // of found
	times   map[uint64]int      // how often this pass brought a topic, by its hash
	filters int                 // that bring each topic once in a pass, at most
	asked   map[string]struct{} // topics without an answer
	changed []string            // topics that changed meanwhile
	last    time.Time           // when a retained message came that was asked for
	failed  error
}

// read reads all that the broker retains, once.
func (s *Source) read(ctx context.Context, m mode) error {
	filters := s.unsharedFilters()
	if len(filters) == 0 {
		return nil
	}
	r := &reader{source: s, acks: newAcker(new(atomic.Uint64))}
	defer r.acks.close()
	skim := &skimmer{topic: r.addFound}
	c, err := s.connectAs(ctx, m, role{
		id: s.cfg.ClientID + readerSuffix, clean: true, window: readerWindow,
		message: r.message, traffic: &traffic{}, skim: skim,
	})
	if err != nil {
		return err
	}
	defer c.close()
	ctx, unbind := bind(ctx, c)
	defer unbind()
	s.addShown()
	defer s.retained.unwatchLive()
	topics, err := r.discover(ctx, c, filters, skim)
	for round := 0; err == nil && len(topics) > 0 && round < maxRounds; round++ {
		topics, err = r.readTopics(ctx, c, topics)
	}
	if err != nil {
		return causeOfLoss(c, err)
	}
	return nil
}

// unsharedFilters are the configured filters that bring retained messages: a
// shared subscription never does (MQTT 5.0 §4.8.2).
func (s *Source) unsharedFilters() (filters []string) {
	for _, f := range s.cfg.Topics {
		if !strings.HasPrefix(f, "$share/") {
			filters = append(filters, f)
		}
	}
	return filters
}

// addShown adds what the link has to what is known.
func (s *Source) addShown() {
	shown := map[string]mark{}
	s.port.Range(func(key, value []byte) bool {
		var m payload.Message
		if m.Parse(value) == nil {
			shown[string(key)] = s.retained.mark(&m, value)
		} else {
			shown[string(key)] = mark{}
		}
		return true
	})
	s.retained.addShown(shown)
}

// knownTopics returns all topics that are known, those of an earlier run included.
func (s *Source) knownTopics() map[string]struct{} {
	known := map[string]struct{}{}
	for _, topics := range [][]string{s.retained.topics(), s.remembered.topics()} {
		for _, topic := range topics {
			known[topic] = struct{}{}
		}
	}
	return known
}

// discover subscribes to the filters until that brings no new topic, and returns
// all topics that are known then.
func (r *reader) discover(
	ctx context.Context, c connection, filters []string, skim *skimmer,
) (topics []string, err error) {
	skim.on.Store(true)
	defer skim.on.Store(false)
	r.mu.Lock()
	r.found, r.filters = map[string]struct{}{}, len(filters)
	r.mu.Unlock()
	for pass, before := 0, -1; pass < maxPasses && before < r.foundTopics(); pass++ {
		before = r.beginPass()
		if err := c.subscribe(ctx, filters, 0); err != nil {
			return nil, fmt.Errorf("subscribing: %w", err)
		}
		if err := r.awaitQuiet(ctx, c); err != nil {
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
	all := r.source.knownTopics()
	maps.Copy(all, r.found)
	r.found, r.times = nil, nil
	for topic := range all {
		if payload.ValidTopic(topic) && subscribed(topic, r.source.cfg.Topics) {
			topics = append(topics, topic)
		}
	}
	return topics, nil
}

func (r *reader) foundTopics() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.found)
}

// beginPass begins another pass over the filters, and returns how many topics were found before.
func (r *reader) beginPass() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times = map[uint64]int{}
	return len(r.found)
}

// addFound notes a topic that the filters brought. What a pass may not bring any more does not
// extend it.
func (r *reader) addFound(topic []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.found == nil || r.failed != nil {
		return
	}
	hash := maphash.Bytes(r.source.retained.seed, topic)
	if r.times[hash] < r.filters {
		r.times[hash]++
		r.last = time.Now()
	}
	if _, ok := r.found[string(topic)]; ok {
		return
	}
	if len(r.found) >= maxTopics || r.bytes+len(topic) > maxTopicBytes {
		r.failed = errTopics
		return
	}
	r.found[string(topic)] = struct{}{}
	r.bytes += len(topic)
}

// message handles what the broker sends to the reader. Live messages come to the
// other connection; here only those that it retains have the flag.
func (r *reader) message(m *payload.Message, o origin) {
	r.acks.expect(o.ack)()
	s := r.source
	if !m.Retain || len(m.Payload) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !m.Valid() || !subscribed(m.Topic, s.cfg.Topics) {
		s.refuseInvalid(m, true)
		return
	}
	if _, ok := r.asked[m.Topic]; !ok {
		return
	}
	delete(r.asked, m.Topic)
	r.last = time.Now()
	if !s.putRead(m) {
		r.changed = append(r.changed, m.Topic)
	}
}

// putRead puts what the broker retains of a topic. It returns false when a live
// message came since it was asked for, for either may be the newer one.
func (s *Source) putRead(m *payload.Message) bool {
	encoded := m.Append(nil)
	mk := s.retained.mark(m, encoded)
	s.puts.Lock()
	defer s.puts.Unlock()
	v, known := s.retained.addRead(m.Topic, mk)
	switch v {
	case isRepeated:
		s.stats.Skipped.Add(1)
		return true
	case isLive:
		return false
	}
	s.stats.Received.Add(1)
	switch err := s.port.Put(source.Update{Key: []byte(m.Topic), Payload: encoded}); {
	case errors.Is(err, source.ErrClosed):
		s.retained.forget(m.Topic)
	case err != nil:
		s.refusePut(m, known, err)
	}
	return true
}

// deleteMissing deletes a topic of which the broker has nothing, unless a live
// message came meanwhile.
func (s *Source) deleteMissing(topic string) {
	s.puts.Lock()
	defer s.puts.Unlock()
	if s.retained.remove(topic) {
		_ = s.port.Put(source.Update{Key: []byte(topic), Delete: true}) // a deletion is never too large
	}
}
