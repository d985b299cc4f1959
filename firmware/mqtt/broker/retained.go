package broker

import (
	"slices"
	"time"
)

// retained keeps the newest retained message of each topic, and their order.
type retained struct {
	byTopic map[string]*Message
	log     []*Message // by number; one that byTopic does not hold is over
}

// spareLog is how many messages that are over the log may hold beside as many
// as are not.
const spareLog = 64

// set keeps a message, or clears its topic when it has no payload.
func (r *retained) set(m *Message) {
	if len(m.payload) == 0 {
		delete(r.byTopic, m.topic)
	} else {
		r.byTopic[m.topic] = m
		r.log = append(r.log, m)
	}
	r.compact()
}

func (r *retained) compact() {
	if len(r.log) > 2*len(r.byTopic)+spareLog {
		r.log = slices.DeleteFunc(r.log, func(m *Message) bool { return !r.holds(m) })
	}
}

func (r *retained) holds(m *Message) bool { return r.byTopic[m.topic] == m }

// expire forgets what has expired.
func (r *retained) expire(now time.Time) {
	for topic, m := range r.byTopic {
		if m.expired(now) {
			delete(r.byTopic, topic)
		}
	}
	r.compact()
}

// feed is the way of the retained messages to a new subscription: those that
// its filter selects and that were there when it was made.
type feed struct {
	sub  *subscription
	done uint64 // number of the last message that was looked at
	last uint64 // when the subscription was made
}

// scanStep bounds the messages that are looked at together.
const scanStep = 512

// next returns the next message, nil when none was found; more says whether to
// ask again.
func (r *retained) next(f *feed, now time.Time) (m *Message, more bool) {
	if !hasWildcard(f.sub.filter) {
		m := r.byTopic[f.sub.filter]
		if m == nil || m.number > f.last || m.expired(now) {
			return nil, false
		}
		return m, false
	}
	i, _ := slices.BinarySearchFunc(r.log, f.done+1, func(m *Message, n uint64) int {
		switch {
		case m.number < n:
			return -1
		case m.number > n:
			return 1
		}
		return 0
	})
	for end := min(i+scanStep, len(r.log)); i < end; i++ {
		m := r.log[i]
		if m.number > f.last {
			return nil, false
		}
		f.done = m.number
		if r.holds(m) && matches(f.sub.filter, m.topic) && !m.expired(now) {
			return m, true
		}
	}
	return nil, i < len(r.log)
}
