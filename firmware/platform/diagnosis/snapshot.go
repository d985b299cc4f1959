package diagnosis

import (
	"cmp"
	"strings"
	"time"

	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/status"
)

// nearExpiry is how long before its end a certificate is to be renewed.
const nearExpiry = 30 * 24 * time.Hour

// Snapshot returns what a role knows to be wrong. Each status.Fact, which is what trust is
// judged by, has a finding of the level Fault; what else is wrong is a Warning.
func (s Site) Snapshot(snap *status.Snapshot, now time.Time) (l List) {
	s.oneWay(&l, snap)
	for _, f := range status.Facts(now, snap) {
		for _, found := range s.fact(snap, &f) {
			found.Level = Fault
			l.Add(found)
		}
	}
	s.frames(&l, snap)
	s.disk(&l, snap)
	s.refusals(&l, snap)
	s.certificates(&l, snap, now)
	s.reasons(&l, snap)
	return l
}

// fact returns the findings of a fact; never none.
func (s Site) fact(snap *status.Snapshot, f *status.Fact) List {
	channel := "channel " + f.Channel
	one := func(code, where, words, cure string) List { return List{{Fault, code, where, words, cure}} }
	switch f.Kind {
	case status.KindConfiguration:
		return s.configuration(snap, f)
	case status.KindLink:
		return List{s.link(snap, f)}
	case status.KindEpoch:
		return one("epoch-regressed", "link", f.Text, s.pick("if the transmitter was replaced: heliograph epoch "+
			"accept --config CONFIG", "if the transmitter was replaced: key e"))
	case status.KindClock:
		return List{s.clock(snap, f)}
	case status.KindUnmatched:
		return one("channel-name", channel, f.Text, s.oneName())
	case status.KindSource:
		return List{s.source(snap, f)}
	case status.KindChannel:
		return List{s.channel(f)}
	case status.KindSink:
		return List{s.sink(f)}
	case status.KindState:
		return List{s.state(f.Text, f.Why)}
	}
	return List{s.loss(snap, f)}
}

func (s Site) configuration(snap *status.Snapshot, f *status.Fact) (l List) {
	cure := s.pick("correct the line, and start helioROLE again",
		"correct the line with \"heliograph image configure\", or in the card's folder heliograph")
	for _, fault := range snap.Refused {
		l = append(l, Finding{Fault, "configuration", "configuration", fault, cure})
	}
	if len(l) == 0 {
		l = List{{Fault, "configuration", "configuration", f.Text, cure}}
	}
	return l
}

// oneName is the cure of a channel that only one side has.
func (s Site) oneName() string {
	return s.pick("heliograph check TX-FILE RX-FILE names the lines; write one name in both files, and restart",
		"write one name in both boards' heliograph.toml")
}

// source names why a channel's source is not up.
func (s Site) source(snap *status.Snapshot, f *status.Fact) Finding {
	c, where := snap.Channels[f.Channel], ""
	if f.Why.Code == cause.ChannelName {
		return Finding{Fault, "channel-name", "channel " + f.Channel, cmp.Or(c.SourceReason, f.Text), s.oneName()}
	}
	if s.Role == "rx" {
		s.Role, where = "tx", " (at the transmitter)"
		if !s.board() {
			s.Config = "the transmitter's file"
		}
	}
	found := s.Peer(Peer{Channel: f.Channel, Protocol: c.Protocol, Reason: cmp.Or(c.SourceReason, f.Text),
		Cause: f.Why})
	if found.Code == "peer-down" && c.SourceState == "connecting" {
		found.Code, found.Cause = "connecting", f.Text
		found.Cure = "wait: it connects by itself; if it stays so, " + found.Cure
	}
	found.Where += where
	return found
}

// sink names why a channel's sink is not up.
func (s Site) sink(f *status.Fact) Finding {
	if f.Peer == nil { // the report was too long for it
		return s.Peer(Peer{Channel: f.Channel, Reason: f.Text, Cause: f.Why})
	}
	protocol, _, _ := strings.Cut(f.Peer.Name, " ")
	return s.Peer(Peer{f.Channel, protocol, f.Peer.Address, cmp.Or(f.Peer.Reason, f.Text), f.Why})
}

// channel names what keeps a channel from being ready while its source is up.
func (s Site) channel(f *status.Fact) Finding {
	found := Finding{Fault, "not-ready", "channel " + f.Channel, f.Text, s.log()}
	switch f.Why.Code {
	case cause.ChannelName:
		found.Code, found.Cure = "channel-name", s.oneName()
	case cause.MemoryFull:
		found.Code = "memory-full"
		found.Cure = s.set("[memory]", "channel_state and state, to more") + "; or have less cross: exclude, topics"
	case cause.Incomplete:
		found.Code = "incomplete"
		found.Cure = "wait until all state has crossed once; if that takes long: a higher rate or baud in [link] of " +
			"both files, or exclude what IT does not need"
	}
	return found
}

// log is where more is said.
func (s Site) log() string { return s.pick("the log of helioROLE says more", "key l shows the log") }

// loss names why records are missing.
func (s Site) loss(snap *status.Snapshot, f *status.Fact) Finding {
	found := Finding{Fault, string(f.Kind), "channel " + f.Channel, f.Text, s.log()}
	c := snap.Channels[f.Channel]
	table := Peer{Channel: f.Channel, Protocol: cmp.Or(c.Protocol, "PROTOCOL")}.table()
	switch f.Kind {
	case status.KindMissing:
		found.Cure = "wait: the transmitter sends them again while the line is idle; `replay` in its status says " +
			"how long that takes"
	case status.KindLost:
		found.Cure = "for longer outages: memory or disk of [replay] in the transmitter's configuration, to more"
	case status.KindRefused:
		if s.Role == "tx" {
			found.Cure = "have the plant send smaller records; or " + s.set(table, "exclude or topics, to leave "+
				"them out")
		} else if n := snap.Counted("mqtt_sink", f.Channel, notAuthorized); n > 0 {
			return s.access(f.Channel, f.Text)
		} else {
			found.Cure = "see what the peer logs about them; `counters` in the status says how many for which reason"
		}
	case status.KindExpired:
		found.Cure = "bring the peer back sooner, or " + s.set(table, "spool, to more") + "; messages with an expiry " +
			"of their own end with it"
	case status.KindDropped:
		found.Cure = "a higher rate or baud in [link] of both files, or have less cross: exclude, topics, class = " +
			"\"bulk\""
	case status.KindMissed:
		found.Cure = map[string]string{
			"opcua": "have the server keep longer queues of events, or a history of events that heliotx may read",
			"syslog": "have senders frame lines of at most 1 MiB (RFC 6587), and use TCP; where the kernel drops " +
				"datagrams: sysctl -w net.core.rmem_max=16777216 on the transmitter",
			"mqtt": "correct the publisher: the log of the transmitter names the topic",
		}[c.Protocol]
		found.Cure = cmp.Or(found.Cure, s.log())
	case status.KindBehind:
		found.Cure = "find out what slows the peer, or have less cross"
	case status.KindDamaged:
		found.Cure = "run fsck on the disk, or replace the card: it loses what is written to it"
	case status.KindUnkept:
		found.Cure = "a faster disk or card, or " + s.set(table, "history_size, to less than the disk has free") +
			"; large or fast values: exclude"
	case status.KindSpool:
		found.Cure = s.set(table, "spool, to more than an outage of the peer takes")
	}
	return found
}

// notAuthorized is the counter of messages that a broker's access control refused.
const notAuthorized = "refused_not_authorized_messages"

func (s Site) access(channel, words string) Finding {
	p := Peer{Channel: channel, Protocol: "mqtt"}
	return Finding{Fault, "mqtt-acl", p.where(), "access control of the broker refuses messages: " + words,
		"let the user " +
			"publish there in the broker's access rules, or " + s.set(p.table(), "topic_prefix, to where the user may "+
			"publish")}
}

// clock names a clock that is not the time of day.
func (s Site) clock(snap *status.Snapshot, f *status.Fact) Finding {
	servers := s.set("[time]", "servers, to NTP servers that this network reaches")
	found := Finding{Fault, "clock", "clock", f.Text, servers}
	switch {
	case s.Role == "rx":
		found.Cure = "set [time] servers in the transmitter's file, to NTP servers that its network reaches"
	case f.Why.Code == cause.TimeServers:
		found.Cause = "the time servers do not answer: " + f.Why.Detail
	default:
		found.Cause = "nothing keeps this machine's clock: the times of records may be wrong"
		found.Cure = s.pick("timedatectl set-ntp true, or ", "") + servers
	}
	return found
}
