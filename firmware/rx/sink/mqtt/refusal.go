package mqtt

import (
	"fmt"
)

// reason is why the broker does not take a message.
type reason int

const (
	notAuthorized reason = iota
	quotaExceeded
	tooLarge
	badTopic
	badPayload
	disconnects // the broker drops the connection over the message
	unspecified
	reasons // how many there are
)

func (r reason) String() string {
	return [...]string{
		"not authorized: the broker's access control does not let this user publish there", "quota exceeded",
		"too large",
		"topic name not accepted", "payload format not accepted",
		"the broker drops the connection over it", "no reason given",
	}[r]
}

// Refusals counts the messages that the broker did not take, by reason.
type Refusals struct {
	NotAuthorized uint64 `count:"refused_not_authorized_messages" help:"Messages that the broker's access control refused (MQTT 5; on 3.1.1 and for QoS 0 a broker does not report it)."`
	Quota         uint64 `count:"refused_quota_messages" help:"Messages refused because a quota of the broker is exceeded."`
	TooLarge      uint64 `count:"refused_too_large_messages" help:"Messages larger than the broker takes."`
	Topic         uint64 `count:"refused_topic_messages" help:"Messages whose topic the broker or MQTT does not take."`
	Payload       uint64 `count:"refused_payload_messages" help:"Messages whose payload is not of the format that they state."`
	Disconnects   uint64 `count:"refused_disconnect_messages" help:"Messages dropped, or left out of what is repeated, because the broker closed the connection over them several times."`
	Unspecified   uint64 `count:"refused_other_messages" help:"Messages that the broker refused for another reason."`
}

// Refused is the sum.
func (r Refusals) Refused() uint64 {
	return r.NotAuthorized + r.Quota + r.TooLarge + r.Topic + r.Payload + r.Disconnects + r.Unspecified
}

func (s *Sink) refusalStats() Refusals {
	n := func(r reason) uint64 { return s.refusals[r].Load() }
	return Refusals{
		NotAuthorized: n(notAuthorized), Quota: n(quotaExceeded), TooLarge: n(tooLarge), Topic: n(badTopic),
		Payload: n(badPayload), Disconnects: n(disconnects), Unspecified: n(unspecified),
	}
}

// verdict is what became of a message: nil when the broker has it.
type verdict *refusal

// refusal is why the broker does not have a message.
type refusal struct {
	reason
	words string // of the broker
}

// refused returns a broker's refusal by its reason code, nil for a code that
// means success (MQTT 5.0 section 3.4.2.1).
func refused(code byte, words string) verdict {
	if code < 0x80 {
		return nil
	}
	r, known := map[byte]reason{
		0x87: notAuthorized, 0x97: quotaExceeded, 0x95: tooLarge, 0x90: badTopic, 0x99: badPayload,
	}[code]
	if !known {
		r = unspecified
	}
	return &refusal{r, fmt.Sprintf("reason 0x%02x %s", code, words)}
}

// namedTopics bounds the refused topics that the log names.
const namedTopics = 100

// refuse counts a message that the broker does not take and, when it counts as delivered,
// moves it in the channel's account. The log names each topic once.
func (s *Sink) refuse(v verdict, topic string, accounted bool) {
	s.refusals[v.reason].Add(1)
	if account := s.deps.Channel; accounted && account != nil {
		account.Refused(1)
	}
	s.mu.Lock()
	s.lastRefusal = fmt.Sprintf("%q: %s", topic, v.reason)
	seen := s.warned[topic] || len(s.warned) >= namedTopics
	if !seen {
		s.warned[topic] = true
	}
	s.mu.Unlock()
	if !seen {
		s.log.Warn("broker refuses messages to a topic; they are dropped and counted",
			"error", v.reason.String(), "topic", topic, "broker", v.words)
	}
}

// expire counts a message whose time was over before the broker had it.
func (s *Sink) expire(accounted bool) {
	s.expired.Add(1)
	if account := s.deps.Channel; accounted && account != nil {
		account.Expired(1)
	}
}
