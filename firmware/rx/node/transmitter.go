package node

import (
	"unicode/utf8"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/text"
	"heliograph/firmware/rx/pipeline"
)

// Our own bounds of what a transmitter reports, which may be anyone's by now. Its configuration has
// 256 channels at most, with a certificate each.
const (
	maxSources      = 256
	maxCertificates = 256
	maxValues       = 600
	maxKey          = 128  // bytes
	maxValue        = 2048 // bytes that are shown
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
		if len(key) <= maxKey && utf8.Valid(key) { // names of channels and certificates become labels of metrics
			t.addEntry(selfreport.Entry{Key: string(key), Value: string(value)})
		}
		return true
	})
	return t
}

// addEntry adds an entry, as far as there is room.
func (t *transmitter) addEntry(e selfreport.Entry) {
	t.Add(e) // what a newer transmitter reports besides is shown as it is
	t.Sources = t.Sources[:min(len(t.Sources), maxSources)]
	t.Certificates = t.Certificates[:min(len(t.Certificates), maxCertificates)]
	t.Audit = t.Audit[:min(len(t.Audit), selfreport.AuditSlots)]
	if !selfreport.IsAudit(e.Key) && len(t.values) < maxValues {
		t.values[e.Key] = text.Clip(e.Value, maxValue)
	}
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
			return s.Missed, text.Clip(s.What, maxValue)
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
	n.state.journal.AddRemote(messages, t.complete)
}
