package mqtt

import (
	"hash/maphash"
	"sync"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
)

// pictureQuiet is how long no retained message may come for all to be there.
const pictureQuiet = time.Second

// expirySlack is how many seconds two ends of one message's life may be apart:
// brokers count down in whole seconds.
const expirySlack = 2

// mark tells whether two retained messages are the same one: everything but
// its QoS, which a subscription may lower, and its remaining life; and that.
type mark struct {
	sum    uint64
	expiry uint32
	until  int64 // seconds since 1970
}

func (m mark) same(o mark) bool {
	apart := m.until - o.until
	return m.sum == o.sum && (m.expiry == o.expiry || (apart >= -expirySlack && apart <= expirySlack))
}

// picture is what the broker retains, as far as it was seen. It lives as long
// as the source.
type picture struct {
	seed     maphash.Seed
	patience time.Duration // see pictureQuiet

	mu    sync.Mutex
	known map[string]mark     // topic → newest retained message that was put
	lives map[string]struct{} // topics of which a live message came since watch; nil: nothing watches
	whole bool                // it was read to its end since the start

	// On 3.1.1 a subscription brings retained messages that look like live ones,
	// while this window is open:
	window map[string]struct{} // topics in it; nil: closed
	last   time.Time           // when its newest topic came
	place  uint64              // how many acknowledgements that was behind
}

// verdict is what a retained message is.
type verdict uint8

const (
	isLive     verdict = iota // an event that is its topic's newest value
	isState                   // what the broker had before
	isRepeated                // known already
)

func newPicture() *picture {
	return &picture{seed: maphash.MakeSeed(), patience: pictureQuiet, known: map[string]mark{}}
}

// mark returns what identifies a message. encoded are its bytes.
func (p *picture) mark(m *payload.Message, encoded []byte) mark {
	if !m.Expires {
		return mark{sum: p.sum(encoded)}
	}
	bare := *m
	bare.Expiry, bare.Received = 0, time.Time{}
	return mark{
		sum: p.sum(bare.Append(nil)), expiry: m.Expiry,
		until: m.Received.Add(time.Duration(m.Expiry) * time.Second).Unix(),
	}
}

// sum hashes an encoded message but for its QoS.
func (p *picture) sum(encoded []byte) uint64 {
	const flags, qos = 1, 3 // see package payload/mqtt
	var h maphash.Hash
	h.SetSeed(p.seed)
	_ = h.WriteByte(encoded[flags] &^ qos)
	_, _ = h.Write(encoded[flags+1:])
	return h.Sum64()
}

// open opens the window.
func (p *picture) open(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.window, p.last, p.place = map[string]struct{}{}, now, 0
}

// closed closes the window if it has seen all it will: no new topic came for a
// while, and everything before was acknowledged, so that a broker that waited
// for that had its time. It reports whether the window is closed.
func (p *picture) closed(now time.Time, acked uint64, ackedAt time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.window != nil && now.Sub(p.last) >= p.patience && acked >= p.place && (p.place == 0 || now.Sub(ackedAt) >= p.patience/4) {
		p.window = nil
	}
	return p.window == nil
}

// take notes a retained message of the session; place is its place among the
// acknowledgements.
func (p *picture) take(m *payload.Message, dup bool, now time.Time, mk mark, place uint64) (v verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() {
		if v == isLive && p.lives != nil {
			p.lives[m.Topic] = struct{}{}
		}
	}()
	before, ok := p.known[m.Topic]
	if len(m.Payload) == 0 {
		delete(p.known, m.Topic)
		return isLive
	}
	p.known[m.Topic] = mk
	if p.window == nil {
		return isLive
	}
	_, again := p.window[m.Topic]
	if !again {
		p.window[m.Topic] = struct{}{}
		p.last = now
	}
	p.place = max(p.place, place)
	switch {
	case dup: // sent before, so nothing that the subscription brought
		return isLive
	case ok && before.same(mk):
		return isRepeated
	case again:
		return isLive
	}
	return isState
}

// forget says that a topic's newest value never left.
func (p *picture) forget(topic string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, topic)
}

// show adds what the link has to what is known.
func (p *picture) show(shown map[string]mark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for topic, m := range shown {
		if _, ok := p.known[topic]; !ok { // what waits in the link is newer than what it shows
			p.known[topic] = m
		}
	}
}

// watch begins to note topics of which live messages come.
func (p *picture) watch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lives = map[string]struct{}{}
}

func (p *picture) unwatch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lives = nil
}

// answer takes what the broker retains of a topic that was asked for after
// watch. isLive: a live message has come since, and may be older or newer.
func (p *picture) answer(topic string, mk mark) verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	if before, ok := p.known[topic]; ok && before.same(mk) {
		return isRepeated
	}
	if _, ok := p.lives[topic]; ok {
		return isLive
	}
	p.known[topic] = mk
	return isState
}

// remove takes a topic out of which the broker has nothing. It returns false
// when a live message has come since watch.
func (p *picture) remove(topic string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.lives[topic]; ok {
		return false
	}
	delete(p.known, topic)
	return true
}

// topics returns all known topics.
func (p *picture) topics() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	topics := make([]string, 0, len(p.known))
	for topic := range p.known {
		topics = append(topics, topic)
	}
	return topics
}

// read says that it was read to its end.
func (p *picture) read() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.whole = true
}

// isWhole reports whether it was read to its end since the start.
func (p *picture) isWhole() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.whole
}
