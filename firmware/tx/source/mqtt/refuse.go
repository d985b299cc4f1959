package mqtt

import (
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/platform/text"
	"heliograph/firmware/tx/source"
)

const (
	warnEvery   = 10 * time.Second // how often refused messages are logged
	loggedTopic = 100              // bytes of a topic in the log
	maxInvalid  = 10_000           // topics of retained messages that are known to be not valid
)

// refuseInvalid counts a message that no link may carry. What was not subscribed to is not
// missed, nor is a retained message again that was read before.
func (s *Source) refuseInvalid(m *payload.Message, read bool) {
	s.refuse(m, "not valid, or not subscribed to")
	if !m.Valid() && (s.retained.addInvalid(m) || !read) {
		s.port.Missed(1, "messages that are not valid")
	}
	if !m.Retain || !payload.ValidTopic(m.Topic) {
		return
	}
	s.puts.Lock()
	defer s.puts.Unlock()
	if s.retained.forget(m.Topic) {
		s.clear(m.Topic)
	}
}

// refusePut counts a message that the link refused; known says that the link has
// an earlier value of its topic. Called with puts.
func (s *Source) refusePut(m *payload.Message, known bool, err error) {
	s.refuse(m, err.Error())
	if m.Retain {
		s.retained.forget(m.Topic)
	}
	if known {
		s.clear(m.Topic)
	}
}

// clear deletes a topic whose newest value does not cross: its old one would pass
// for the newest at IT.
func (s *Source) clear(topic string) {
	s.stats.Cleared.Add(1)
	_ = s.port.Put(source.Update{Key: []byte(topic), Delete: true}) // a deletion is never too large
}

// refuse counts a refused message, and logs one now and then.
func (s *Source) refuse(m *payload.Message, why string) {
	n := s.stats.Refused.Add(1)
	now := time.Now().UnixNano()
	if last := s.warned.Load(); now-last >= int64(warnEvery) && s.warned.CompareAndSwap(last, now) {
		s.log.Warn("message refused", "error", why, "topic", text.Shorten(m.Topic, loggedTopic),
			"bytes", len(m.Payload), "refused", n)
	}
}
