package mqtt

import "heliograph/firmware/platform/counter"

// Stats counts what a sink has done.
type Stats struct {
	Published  uint64 `count:"published_messages" help:"Messages off the queue that the broker has."`
	Late       uint64 `count:"late_messages" help:"Of the published messages, those that an outage had delayed."`
	LateDrops  uint64 `count:"dropped_late_messages" help:"Messages that an outage had delayed and that late = drop keeps from the broker; they count as expired."`
	Repeated   uint64 `count:"repeated_messages" help:"Retained messages published again after a connect."`
	Expired    uint64 `count:"expired_messages" help:"Messages not published because their time was over."`
	Superseded uint64 `count:"superseded_messages" help:"Queued states that a newer value made needless."`
	Stripped   uint64 `count:"stripped_messages" help:"Messages published without their properties, which MQTT 3.1.1 cannot carry."`
	Lowered    uint64 `count:"lowered_messages" help:"Messages published with a lower QoS or without the retain flag, as the broker demands."`
	Unreadable uint64 `count:"unreadable_records" help:"Records that are not MQTT messages."`
	Refusals
}

// Stats returns the counters.
func (s *Sink) Stats() Stats {
	return Stats{
		Published: s.published.Load(), Late: s.late.Load(), LateDrops: s.lateDropped.Load(),
		Repeated: s.repeated.Load(), Expired: s.expired.Load(),
		Superseded: s.superseded.Load(), Stripped: s.stripped.Load(),
		Lowered: s.lowered.Load(), Unreadable: s.unreadable.Load(),
		Refusals: s.refusalStats(),
	}
}

// Counters implements counter.Source.
func (s *Sink) Counters() []counter.Set {
	st := s.Stats()
	sets := []counter.Set{counter.Of("mqtt_sink", s.cfg.Channel, &st)}
	if e := s.embedded; e != nil {
		if server := e.current.Load(); server != nil {
			b := server.Stats()
			sets = append(sets, counter.Of("mqtt_broker", s.cfg.Channel, &b))
		}
	}
	return sets
}
