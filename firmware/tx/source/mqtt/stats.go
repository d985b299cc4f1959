package mqtt

import (
	"sync/atomic"

	"heliograph/firmware/platform/counter"
)

// Stats counts since the start. Safe for concurrent use.
type Stats struct {
	Received     atomic.Uint64 `count:"received_messages" help:"Messages that the broker sent."`
	Refused      atomic.Uint64 `count:"refused_messages" help:"Messages that did not cross: too large, too much retained, or not valid."`
	Cleared      atomic.Uint64 `count:"cleared_topics" help:"Topics deleted at IT because their newest retained message was refused."`
	Skipped      atomic.Uint64 `count:"skipped_messages" help:"Retained messages that were known already."`
	Acknowledged atomic.Uint64 `count:"acknowledged_messages" help:"Messages of QoS 1 and 2 that were acknowledged to the broker."`
	Repeated     atomic.Uint64 `count:"repeated_messages" help:"QoS 2 messages that the broker sent again and that were on their way."`
	Retries      atomic.Uint64 `count:"given_up_connections" help:"Connections closed to have messages sent again."`
}

// Stats returns the counters.
func (s *Source) Stats() *Stats { return &s.stats }

// Counters implements counter.Source.
func (s *Source) Counters() []counter.Set {
	return []counter.Set{counter.Of("mqtt_source", s.cfg.Channel, &s.stats)}
}
