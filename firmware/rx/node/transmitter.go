package node

import (
	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/rx/pipeline"
)

// transmitter is what the transmitter reports of itself, on the gateway's own channel.
type transmitter struct {
	selfreport.Report
	complete bool              // nothing of it is missing
	values   map[string]string // as reported, but for the audit trail
}

// transmitter returns what is reported now.
func (n *Node) transmitter() transmitter {
	// Completeness first: what comes meanwhile is only more.
	t := transmitter{complete: n.gateway.Health().Complete, values: map[string]string{}}
	n.gateway.Range(func(key, value []byte) bool {
		e := selfreport.Entry{Key: string(key), Value: string(value)}
		t.Add(e) // what a newer transmitter reports besides is shown as it is
		if !selfreport.IsAudit(e.Key) {
			t.values[e.Key] = e.Value
		}
		return true
	})
	return t
}

// protocols returns the protocol of each channel; "" from an older transmitter.
func (t *transmitter) protocols() map[string]string {
	protocols := map[string]string{}
	for _, s := range t.Sources {
		protocols[s.Channel] = s.Protocol
	}
	return protocols
}

// why is the cause that the transmitter reports of a source's state. It crosses by another
// way than the state, and may be that of an earlier one.
func (t *transmitter) why(c pipeline.ChannelStatus) cause.Cause {
	for _, s := range t.Sources {
		if s.Channel == c.Name && s.State == c.State.String() && c.State != record.SourceUp {
			return s.Cause
		}
	}
	return cause.Cause{}
}

// missed is what the transmitter reports that a channel's source lost before the link.
func (t *transmitter) missed(channel string) (n *uint64, what string) {
	for _, s := range t.Sources {
		if s.Channel == channel {
			return s.Missed, s.What
		}
	}
	return nil, ""
}

func (t *transmitter) certificates() (list []status.Certificate) {
	for _, c := range t.Certificates {
		list = append(list, status.Certificate{Board: "tx", Name: c.Name, Expires: c.Expires})
	}
	return list
}

// collectAudit takes over what the transmitter shows of its audit trail. It is state of
// the gateway's channel, so that the carousel repairs what was lost on the way, or sent
// before this board ran.
func (n *Node) collectAudit() {
	t := n.transmitter()
	messages := make([][]byte, len(t.Audit))
	for i, event := range t.Audit {
		messages[i] = event.Message
	}
	n.state.journal.Take(messages, t.complete)
}
