package mqtt

import (
	"errors"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	payload "heliograph/firmware/payload/mqtt"
	"heliograph/firmware/tx/source"
)

// pictureQuiet is how long no new topic may come for the picture to be whole.
const pictureQuiet = time.Second

// feed takes the messages of one connection, whatever its version.
type feed struct {
	source *Source
	failed chan error // why the connection has to be given up
	acks   *acker

	mu    sync.Mutex
	seed  maphash.Seed
	known map[string]uint64   // topic → hash of what was sent, while the picture is being taken
	seen  map[string]struct{} // topics of this picture; nil: no picture is being taken
	last  time.Time           // when the newest topic came
}

func newFeed(s *Source) *feed {
	f := &feed{source: s, failed: make(chan error, 1), seed: maphash.MakeSeed()}
	f.acks = newAcker()
	return f
}

// close ends the feed: nothing is acknowledged any more.
func (f *feed) close() { f.acks.close() }

// begin starts to take a picture of what the broker retains.
func (f *feed) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen, f.known, f.last = map[string]struct{}{}, map[string]uint64{}, time.Now()
	f.source.port.Range(func(key, value []byte) bool {
		f.known[string(key)] = maphash.Bytes(f.seed, value)
		return true
	})
}

// settle closes the picture once it is quiet, and deletes what it lacks.
func (f *feed) settle(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen == nil || now.Sub(f.last) < pictureQuiet {
		return
	}
	for topic := range f.known {
		if _, ok := f.seen[topic]; !ok {
			// Refused only once the link is closed.
			_ = f.source.port.Put(source.Update{Key: []byte(topic), Delete: true})
		}
	}
	f.seen, f.known = nil, nil
	f.source.port.Whole(true)
}

// message takes one message; ack tells the broker that it is ours now.
func (f *feed) message(m *payload.Message, ack func()) {
	s := f.source
	s.stats.Received.Add(1)
	done := f.acks.expect(ack)
	if !m.Valid() || !subscribed(m.Topic, s.cfg.Topics) {
		s.stats.Refused.Add(1)
		s.log.Warn("mqtt: a message that no link may carry was refused", "topic", clip(m.Topic))
		done()
		return
	}
	u := source.Update{Payload: m.Append(nil), Event: true}
	if m.Retain {
		u.Key = []byte(m.Topic)
		u.Delete = len(m.Payload) == 0
		if f.pictured(m) {
			if u.Event = false; f.repeats(m, u.Payload) {
				s.stats.Skipped.Add(1)
				done()
				return
			}
		}
	}
	u.Left = func(err error) {
		if err != nil {
			f.fail(err)
			return
		}
		done()
	}
	switch err := s.port.Put(u); {
	case errors.Is(err, source.ErrTooLarge):
		s.stats.Refused.Add(1)
		s.log.Warn("mqtt: a message larger than the link carries was refused", "topic", clip(m.Topic), "bytes", len(m.Payload))
		done() // or the broker would send it for ever
	case err != nil:
		f.fail(err)
	}
}

// pictured reports whether a retained message is its topic's first in the
// picture that is being taken.
func (f *feed) pictured(m *payload.Message) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen == nil || len(m.Payload) == 0 {
		return false
	}
	if _, ok := f.seen[m.Topic]; ok {
		return false
	}
	f.seen[m.Topic] = struct{}{}
	f.last = time.Now()
	return true
}

// repeats reports whether the topic's value was sent already. One that expires
// counts down from its arrival, so it is never the same.
func (f *feed) repeats(m *payload.Message, encoded []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	sum, ok := f.known[m.Topic]
	return ok && !m.Expires && sum == maphash.Bytes(f.seed, encoded)
}

func (f *feed) fail(err error) {
	select {
	case f.failed <- err:
	default: // it is being given up already
	}
}

// subscribed keeps a broker from pushing what was not asked for, $SYS above
// all (MQTT 5.0 §4.7.2).
func subscribed(topic string, filters []string) bool {
	for _, filter := range filters {
		if matches(filter, topic) {
			return true
		}
	}
	return false
}

func matches(filter, topic string) bool {
	if rest, shared := strings.CutPrefix(filter, "$share/"); shared {
		_, filter, _ = strings.Cut(rest, "/")
	}
	if strings.HasPrefix(topic, "$") && !strings.HasPrefix(filter, "$") {
		return false
	}
	for {
		want, restFilter, moreFilter := strings.Cut(filter, "/")
		got, restTopic, moreTopic := strings.Cut(topic, "/")
		switch {
		case want == "#":
			return true
		case want != "+" && want != got:
			return false
		case !moreFilter && !moreTopic:
			return true
		case !moreTopic:
			return restFilter == "#" // "a/#" has "a" in it
		case !moreFilter:
			return false
		}
		filter, topic = restFilter, restTopic
	}
}

func clip(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
