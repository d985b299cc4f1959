package mqtt

import (
	"hash/maphash"
	"sync"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
)

// retainedQuiet is how long no retained message may come for all to be there.
const retainedQuiet = time.Second

// retainedSet is what the broker retains, as far as it was seen. It lives as long
// as the source. What the link refuses is kept nowhere but in sets of hashes, each of them bounded.
type retainedSet struct {
	seed  maphash.Seed
	quiet time.Duration // see retainedQuiet

	mu       sync.Mutex
	known    map[string]mark // topic → newest retained message that was put
	live     topicSet        // those of which a live message came since watchLive; nil: not watched
	tooLive  bool            // of more than live has
	invalid  map[uint64]mark // topic's hash → retained message that is not valid
	complete bool            // it was read to its end since the start

	// On 3.1.1 a subscription brings retained messages with the flags of live ones,
	// while this window is open:
	window topicSet  // those in it; nil: closed
	last   time.Time // when its newest topic came
	place  uint64    // how many acknowledgements that was behind
	passed time.Time // when those were seen to be sent; zero: not yet
}

// topicSet has topics by their hashes, maxTopics at most: a topic has up to 64 kB.
type topicSet map[uint64]struct{}

// has reports whether a topic is in the set.
func (s topicSet) has(hash uint64) bool {
	_, ok := s[hash]
	return ok
}

// add adds a topic, and reports whether it is in the set then.
func (s topicSet) add(hash uint64) bool {
	if len(s) >= maxTopics && !s.has(hash) {
		return false
	}
	s[hash] = struct{}{}
	return true
}

// hash returns a topic's hash.
func (r *retainedSet) hash(topic string) uint64 { return maphash.String(r.seed, topic) }

// verdict is what a retained message is.
type verdict uint8

const (
	isLive     verdict = iota // an event that is its topic's newest value
	isState                   // what the broker had before
	isRepeated                // known already
)

func newRetainedSet() *retainedSet {
	return &retainedSet{seed: maphash.MakeSeed(), quiet: retainedQuiet, known: map[string]mark{},
		invalid: map[uint64]mark{}}
}

// openWindow opens the window.
func (r *retainedSet) openWindow(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.window, r.last, r.place, r.passed = topicSet{}, now, 0, time.Time{}
}

// dropWindow closes the window, and reports whether it was open.
func (r *retainedSet) dropWindow() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	open := r.window != nil
	r.window = nil
	return open
}

// closeWindow closes the window if nothing more belongs into it: no new topic came
// for a while, and everything up to the newest was acknowledged, so that a broker that
// waited for that had its time. Other messages, which may come all the time, do not
// count. It reports whether the window is closed.
func (r *retainedSet) closeWindow(now time.Time, acked uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if acked >= r.place && r.passed.IsZero() {
		r.passed = now
	}
	if r.window != nil && now.Sub(r.last) >= r.quiet && acked >= r.place &&
		(r.place == 0 || now.Sub(r.passed) >= r.quiet/4) {
		r.window = nil
	}
	return r.window == nil
}

// addSession adds a retained message of the session; place is its place among the
// acknowledgements. known reports whether an earlier one of its topic was put.
func (r *retainedSet) addSession(
	m *payload.Message, dup bool, now time.Time, mk mark, place uint64,
) (v verdict, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, known := r.known[m.Topic]
	v = r.judgeSession(m, dup, now, known && before.same(mk), place)
	if v == isLive && r.live != nil && !r.live.add(r.hash(m.Topic)) {
		r.tooLive = true
	}
	if len(m.Payload) == 0 {
		delete(r.known, m.Topic)
	} else {
		r.known[m.Topic] = mk
	}
	return v, known
}

// judgeSession returns what a retained message of the session is; same says that it
// is the newest one of its topic once more.
func (r *retainedSet) judgeSession(m *payload.Message, dup bool, now time.Time, same bool, place uint64) verdict {
	if len(m.Payload) == 0 || r.window == nil {
		return isLive
	}
	hash := r.hash(m.Topic)
	again := r.window.has(hash)
	if !again {
		if !r.window.add(hash) {
			r.window = nil // a read ends too, for the same reason
			return isLive
		}
		r.last, r.place, r.passed = now, max(r.place, place), time.Time{}
	}
	switch {
	case dup: // sent before, so nothing that the subscription brought
		return isLive
	case same:
		return isRepeated
	case again:
		return isLive
	}
	return isState
}

// addRead adds what the broker retains of a topic that was asked for after
// watchLive. isLive: a live message has come since, and may be older or newer.
// known reports whether an earlier one of its topic was put.
func (r *retainedSet) addRead(topic string, mk mark) (v verdict, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, known := r.known[topic]
	if known && before.same(mk) {
		return isRepeated, known
	}
	if r.tooLive || r.live.has(r.hash(topic)) {
		return isLive, known
	}
	r.known[topic] = mk
	return isState, known
}

// addShown adds what the link has.
func (r *retainedSet) addShown(shown map[string]mark) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for topic, m := range shown {
		if _, ok := r.known[topic]; !ok { // what waits in the link is newer than what it shows
			r.known[topic] = m
		}
	}
}

// addInvalid notes a message that is not valid, and reports whether it is not the retained
// one of its topic that was noted last.
func (r *retainedSet) addInvalid(m *payload.Message) bool {
	if !m.Retain {
		return true
	}
	mk, hash := r.mark(m, m.Append(nil)), r.hash(m.Topic)
	r.mu.Lock()
	defer r.mu.Unlock()
	if before, ok := r.invalid[hash]; ok && before.same(mk) {
		return false
	}
	if len(r.invalid) >= maxInvalid {
		clear(r.invalid)
	}
	r.invalid[hash] = mk
	return true
}

// forget removes a topic whose newest value does not leave. It reports whether
// the topic was known.
func (r *retainedSet) forget(topic string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.known[topic]
	delete(r.known, topic)
	return known
}

// remove removes a topic of which the broker has nothing. It returns false
// when a live message has come since watchLive.
func (r *retainedSet) remove(topic string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tooLive || r.live.has(r.hash(topic)) {
		return false
	}
	delete(r.known, topic)
	return true
}

// watchLive begins to note topics of which live messages come.
func (r *retainedSet) watchLive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live, r.tooLive = topicSet{}, false
}

// liveExceeded reports whether live messages of more topics came since watchLive than can be noted.
func (r *retainedSet) liveExceeded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tooLive
}

// unwatchLive ends that.
func (r *retainedSet) unwatchLive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live, r.tooLive = nil, false
}

// topics returns all known topics.
func (r *retainedSet) topics() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	topics := make([]string, 0, len(r.known))
	for topic := range r.known {
		topics = append(topics, topic)
	}
	return topics
}

// setComplete notes that the set was read to its end.
func (r *retainedSet) setComplete() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.complete = true
}

// isComplete reports whether the set was read to its end since the start.
func (r *retainedSet) isComplete() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.complete
}
