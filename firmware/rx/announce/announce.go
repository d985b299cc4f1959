// Package announce is the gateway's own state as others read it, beside the page of
// package status: retained MQTT topics, lines of syslog, nodes of OPC UA. This package
// makes what is said; sinks bring it there.
//
// MQTT topics, behind [announce] mqtt_prefix and the pair's name, with JSON in each,
// retained. Names are those of /status.json; keys are added, never changed.
//
//	trust          level ("yes", "partly", "no"), sentence, since, reasons: [{channel, text, since}]
//	link           medium, state ("" when all is well), frames, repaired, lost, crc_errors, …
//	channel/NAME   source_state, source_reason, complete, delivered, lost, healed, open_holes, …;
//	               sink_state, sink_reason, waiting_records
//	board/ROLE     role ("rx", and "tx" as it reports itself), version, uptime_seconds, clock, …;
//	               certificates: [{board, name, expires, …}]
//	status         all of the above but trust and boards, in one
//	state          "online"; "offline", from the will, when the receiver is gone: all others
//	               are then of the past
//
// Trust is published within 3 s of a change, the others within 10 s. The topics of a
// channel that is removed from the configuration stay at the broker until they are
// cleared there.
//
// A line of syslog (RFC 5424, facility "system daemons") says that the level of trust has
// changed, with the severity notice for yes, warning for partly, error for no:
//
//	<27>1 TIME HOST heliograph - trust [trust@32473 pair="press-hall" level="no"
//	before="yes" since="TIME" reasons="2" channels="cell-1,press-line"] SENTENCE REASON
//
// The nodes of OPC UA are those of package nodes.
//
// The package refuses to say anything of records that cross: neither topic names nor
// values stand in what it makes.
package announce

import (
	"encoding/json"

	"heliograph/firmware/platform/status"
)

// Parts returns the gateway's state by topic: structs whose fields have the names of their
// JSON form.
func Parts(s status.Snapshot) map[string]any {
	parts := map[string]any{"link": s.Link}
	if s.Trust != nil {
		parts["trust"] = *s.Trust
	}
	for name, c := range s.Channels {
		parts["channel/"+name] = channelOf(c, name, s.Peers)
	}
	for _, b := range boards(s) {
		parts["board/"+b.Role] = b
	}
	return parts
}

// Topics returns the topics behind prefix and pair, but state and status.
func Topics(s status.Snapshot) map[string][]byte {
	topics := map[string][]byte{}
	for topic, part := range Parts(s) {
		if b, err := json.Marshal(part); err == nil { // numbers and strings always marshal, but for a NaN
			topics[topic] = b
		}
	}
	return topics
}

// channel is one, with its sink.
type channel struct {
	status.Channel
	SinkState  string `json:"sink_state,omitempty"`
	SinkReason string `json:"sink_reason,omitempty"`
	Waiting    int    `json:"waiting_records"` // for the sink's peer
}

func channelOf(c status.Channel, name string, peers []status.Peer) channel {
	c.Holes = nil // OpenHoles and OpenRecords are their sum
	out := channel{Channel: c}
	for _, p := range peers {
		if p.Channel != name {
			continue
		}
		out.SinkState, out.SinkReason = p.State, p.Reason
		if p.Spool != nil {
			out.Waiting = p.Spool.Records
		}
	}
	return out
}

// board is one of the two.
type board struct {
	status.Board
	Certificates []status.Certificate `json:"certificates"` // that it uses or trusts
}

// boards returns this one, and the transmitter's once it has reported itself.
func boards(s status.Snapshot) (list []board) {
	for _, b := range s.Boards {
		one := board{Board: b, Certificates: []status.Certificate{}}
		for _, c := range s.Certificates {
			if c.Board == b.Role {
				one.Certificates = append(one.Certificates, c)
			}
		}
		list = append(list, one)
	}
	return list
}
