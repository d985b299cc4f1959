package mqtt

import (
	"hash/maphash"
	"sync"
	"time"

	payload "heliograph/firmware/payload/mqtt"
)

// pictureQuiet is how long no new topic may come for the picture to be whole.
const pictureQuiet = time.Second

// expirySlack is how many seconds two ends of one message's life may be apart:
// brokers count down in whole seconds.
const expirySlack = 2

// mark tells whether two retained messages are the same one: everything but
// its remaining life, and that.
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
// as the source; a window is open while a connection's first sight is taken.
type picture struct {
	seed     maphash.Seed
	patience time.Duration // how long no new topic may come for it to be whole

	mu    sync.Mutex
	known map[string]mark     // topic → newest retained message that was put
	seen  map[string]struct{} // topics in this window; nil: none is open
	last  time.Time           // when the window's newest topic came
	place uint64              // how many acknowledgements that was behind
	whole bool                // a window was closed since the start
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
		return mark{sum: maphash.Bytes(p.seed, encoded)}
	}
	bare := *m
	bare.Expiry, bare.Received = 0, time.Time{}
	return mark{
		sum: maphash.Bytes(p.seed, bare.Append(nil)), expiry: m.Expiry,
		until: m.Received.Add(time.Duration(m.Expiry) * time.Second).Unix(),
	}
}

// open opens a window. shown is what the link has.
func (p *picture) open(now time.Time, shown map[string]mark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen, p.last, p.place = map[string]struct{}{}, now, 0
	for topic, m := range shown {
		if _, ok := p.known[topic]; !ok { // what waits in the link is newer than what it shows
			p.known[topic] = m
		}
	}
}

// take notes a retained message; place is its place among the acknowledgements.
func (p *picture) take(m *payload.Message, dup bool, now time.Time, mk mark, place uint64) verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, ok := p.known[m.Topic]
	if len(m.Payload) == 0 {
		delete(p.known, m.Topic)
		return isLive
	}
	p.known[m.Topic] = mk
	if p.seen == nil {
		return isLive
	}
	_, again := p.seen[m.Topic]
	if !again {
		p.seen[m.Topic] = struct{}{}
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

// quiet reports whether an open window has seen all it will: no new topic came
// for a while, and everything before was acknowledged, so that a broker that
// waited for that had its time.
func (p *picture) quiet(now time.Time, acked uint64, ackedAt time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen != nil && now.Sub(p.last) >= p.patience && acked >= p.place && (p.place == 0 || now.Sub(ackedAt) >= p.patience/4)
}

// close closes the window and returns the topics that were known and not seen.
func (p *picture) close() (gone []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for topic := range p.known {
		if _, ok := p.seen[topic]; !ok {
			gone = append(gone, topic)
			delete(p.known, topic)
		}
	}
	p.seen, p.whole = nil, true
	return gone
}

// isWhole reports whether a window was closed since the start.
func (p *picture) isWhole() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.whole
}
