package broker

import (
	"cmp"
	"slices"
	"time"

	"heliograph/firmware/mqtt/topicfilter"
)

// retained keeps the newest retained message of each topic, and their order.
type retained struct {
	byTopic map[string]*Message
	log     []entry // by number
}

// entry is a place in the order of retained messages.
type entry struct {
	number  uint64
	message *Message // nil once it is not retained any more
}

// spareLog is how many more empty entries than others the log may have.
const spareLog = 64

// set keeps a message, or clears its topic when it has no payload.
func (r *retained) set(m *Message) {
	r.forget(m.topic)
	if len(m.payload) > 0 {
		r.byTopic[m.topic] = m
		r.log = append(r.log, entry{m.number, m})
	}
	r.compact()
}

func (r *retained) forget(topic string) {
	if old := r.byTopic[topic]; old != nil {
		delete(r.byTopic, topic)
		r.log[r.find(old.number)].message = nil
	}
}

// find is the place of the first entry that is not older than a number.
func (r *retained) find(number uint64) int {
	i, _ := slices.BinarySearchFunc(r.log, number, func(e entry, n uint64) int { return cmp.Compare(e.number, n) })
	return i
}

func (r *retained) compact() {
	if len(r.log) > 2*len(r.byTopic)+spareLog {
		r.log = slices.DeleteFunc(r.log, func(e entry) bool { return e.message == nil })
	}
}

// expire forgets what has expired.
func (r *retained) expire(now time.Time) {
	for topic, m := range r.byTopic {
		if m.expired(now) {
			r.forget(topic)
		}
	}
	r.compact()
}

// feed is a position among the retained messages, for a new subscription: it gets
// those that its filter selects and that were there when it was made.
type feed struct {
	sub  *subscription
	done uint64 // number of the last message that was scanned
	last uint64 // when the subscription was made
}

// scanStep bounds the messages that are scanned together.
const scanStep = 512

// next returns the next message, nil when none was found; more reports whether to
// call it again.
func (r *retained) next(f *feed, now time.Time) (m *Message, more bool) {
	if !hasWildcard(f.sub.filter) {
		m := r.byTopic[f.sub.filter]
		if m == nil || m.number > f.last || m.expired(now) {
			return nil, false
		}
		return m, false
	}
	i := r.find(f.done + 1)
	for end := min(i+scanStep, len(r.log)); i < end; i++ {
		e := r.log[i]
		if e.number > f.last {
			return nil, false
		}
		f.done = e.number
		if m := e.message; m != nil && topicfilter.Match(f.sub.filter, m.topic) && !m.expired(now) {
			return m, true
		}
	}
	return nil, i < len(r.log)
}
