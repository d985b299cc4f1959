package diagnosis

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"heliograph/firmware/platform/status"
)

// nearExpiry is how long before its end a certificate is to be renewed.
const nearExpiry = 30 * 24 * time.Hour

// Snapshot returns what a role knows to be wrong, the cause before what follows from it.
func (s Site) Snapshot(snap *status.Snapshot, now time.Time) (l List) {
	for _, fault := range snap.Refused {
		l.Add(Finding{"configuration", "configuration", fault, s.pick("correct the line, and start helioROLE again",
			"correct the line with \"heliograph image configure\", or in the card's folder heliograph")})
	}
	s.oneWay(&l, snap)
	s.link(&l, snap)
	s.state(&l, snap)
	s.peers(&l, snap)
	s.refusals(&l, snap)
	s.clock(&l, snap)
	s.certificates(&l, snap, now)
	s.reasons(&l, snap)
	return l
}

// oneWay names a link that has carried a reverse probe back.
func (s Site) oneWay(l *List, snap *status.Snapshot) {
	for _, b := range snap.Boards {
		if p := b.Probe; p != nil && p.CameBack {
			l.Add(Finding{"way-back", "link", fmt.Sprintf("it is not one-way: TX's end has received %d packets or "+
				"bytes, as it says after a reverse probe", value(p.Received)),
				"take the link out of service, and find the path back; heliograph accept then proves that it is gone"})
		}
	}
}

// counted returns a counter of a part, over all channels.
func counted(snap *status.Snapshot, part, name string) (n uint64) {
	for _, set := range snap.Counters {
		for _, v := range set.Values {
			if set.Part == part && v.Name == name {
				n += v.Value
			}
		}
	}
	return n
}

func value(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}

// link names why the link does not deliver, or loses.
func (s Site) link(l *List, snap *status.Snapshot) {
	link := snap.Link
	uart := link.Medium == "uart"
	baud := "the same baud in [link] of both files, and a good ground between both ends; then restart both roles"
	add := func(code, cause, cure string) { l.Add(Finding{code, "link", cause, cure}) }
	framing, breaks := counted(snap, "medium", "frame_errors"), counted(snap, "medium", "breaks")
	switch {
	case s.Role == "tx" && link.State != "":
		add("link-down", link.State, "correct what it names; helio"+s.Role+" tries again by itself")
	case link.State == "":
	case strings.Contains(link.State, "frames arrive that"):
		add("key-mismatch", fmt.Sprintf("%d frames arrive that this side's pair key does not open, and none that it "+
			"does",
			value(link.AuthFailures)), s.pick("`heliograph key show --config CONFIG` and the same on the other side "+
			"must print one ID: copy one pair.key to both sides, and restart", "key x of both consoles must show "+
			"one ID: change the key with it, the receiver first"))
	case epochRegressed(snap):
	case uart && (framing > 0 || link.Frames == 0 && link.Bytes > 0 && value(link.AuthFailures) == 0):
		add("baud", fmt.Sprintf("bytes arrive (%d) and no frame: the transmitter sends at another baud, or what is "+
			"connected is not its line (%d bytes without a stop bit)", link.Bytes, framing), baud)
	case uart && breaks > 0:
		add("line-break", "the line is held at 0: the wire is not connected, or the transmitter has no power",
			"check wire, ground and the transmitter's power")
	case link.Frames == 0 && link.Bytes > 0 && value(link.AuthFailures) == 0:
		add("not-frames", fmt.Sprintf("%d bytes arrive that are not frames: another program sends to this link",
			link.Bytes), "end what sends there, or choose another address or interface in [link] of both files")
	default:
		add("silent", link.State, s.pick("start heliotx, and check that both files have the same [link], its cable "+
			"(TX to RX), and a firewall on this side", "start the transmitter, and check the cable (TX to RX) and "+
			"[link] of both files"))
	}
	if n := counted(snap, "medium", "overruns") + counted(snap, "medium", "buffer_overruns"); n > 0 {
		add("overruns", fmt.Sprintf("bytes were lost %d times because this machine is too slow for the baud", n),
			"lower baud in [link] of both files, and restart both roles")
	}
	if n := value(link.Dropped); n > 0 {
		add("kernel-drops", fmt.Sprintf("the kernel dropped %d frames because this machine was too slow", n),
			s.pick("sysctl -w net.core.rmem_max=16777216, and restart helioROLE; or a lower rate in [link] of both "+
				"files",
				"lower rate in [link] of both files"))
	}
}

func epochRegressed(snap *status.Snapshot) bool {
	return slices.ContainsFunc(snap.Reasons, func(r string) bool { return strings.HasPrefix(r, "epoch_regressed") })
}

// state names what is wrong with the disk, and with the run that is received.
func (s Site) state(l *List, snap *status.Snapshot) {
	space := s.pick("free space there, or set directory in [state] of CONFIG to a larger disk",
		"lower spool, history_size or [replay] disk, or use a larger card")
	if d := snap.Disk; d != nil && d.Fault != "" {
		l.Add(Finding{"disk-full", "state", d.Fault, space})
	}
	for _, r := range snap.Reasons {
		switch {
		case strings.HasPrefix(r, "epoch_regressed"):
			l.Add(Finding{"epoch-regressed", "link", r, s.pick("if the transmitter was replaced: heliograph epoch "+
				"accept --config CONFIG", "if the transmitter was replaced: key e")})
		case strings.Contains(r, "no space left"):
			l.Add(Finding{"disk-full", "state", r, space})
		case strings.HasPrefix(r, "state: ") || strings.Contains(r, "permission denied") ||
			strings.Contains(r, "read-only file system"):
			l.Add(Finding{"state-unwritable", "state", r, s.pick("give the folder to the user of helioROLE: chown "+
				"-R, or set directory in [state] of CONFIG", "write the card again, or replace it: key t tests it")})
		}
	}
}

// peers names sources and sinks that do not work.
func (s Site) peers(l *List, snap *status.Snapshot) {
	source := s
	where := ""
	if s.Role == "rx" {
		source.Role, where = "tx", " (at the transmitter)"
		if !s.board() {
			source.Config = "the transmitter's file"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(snap.Channels)) {
		c := snap.Channels[name]
		if c.SourceState == "up" || c.SourceReason == "" || strings.Contains(c.SourceReason, "last known: ") ||
			strings.HasPrefix(c.SourceReason, status.NoChannel) { // reasons has it
			continue
		}
		f := source.Peer(Peer{name, c.Protocol, address(c.SourceReason), c.SourceReason})
		f.Where += where
		l.Add(f)
	}
	for _, p := range snap.Peers {
		if p.State == "up" || p.Reason == "" {
			continue
		}
		protocol, _, _ := strings.Cut(p.Name, " ")
		l.Add(s.Peer(Peer{p.Channel, protocol, p.Address, p.Reason}))
	}
}

// address finds the peer's in the words about it.
func address(reason string) string {
	for _, word := range strings.Fields(reason) {
		if strings.Contains(word, "://") {
			return strings.TrimRight(word, ":,")
		}
	}
	return "the peer"
}

// refusals names records that a peer does not take.
func (s Site) refusals(l *List, snap *status.Snapshot) {
	for _, set := range snap.Counters {
		for _, v := range set.Values {
			if set.Part == "mqtt_sink" && v.Name == "refused_not_authorized_messages" && v.Value > 0 {
				p := Peer{Channel: set.Channel, Protocol: "mqtt"}
				l.Add(Finding{"mqtt-acl", p.where(), fmt.Sprintf("access control of the broker refused %d messages",
					v.Value),
					"let the user publish there in the broker's access rules, or " +
						s.set(p.table(), "topic_prefix, to where the user may publish")})
			}
		}
	}
}

// clock names a clock that is not the time of day.
func (s Site) clock(l *List, snap *status.Snapshot) {
	add := func(cause, cure string) { l.Add(Finding{"clock", "clock", cause, cure}) }
	servers := s.set("[time]", "servers, to NTP servers that this network reaches")
	why, unanswered := strings.CutPrefix(snap.Clock, "not synchronized: ")
	switch {
	case unanswered:
		add("the time servers do not answer: "+why, servers)
	case snap.Clock == "not synchronized":
		add("nothing keeps this machine's clock: the times of records may be wrong",
			s.pick("timedatectl set-ntp true, or ", "")+servers)
	case snap.Clock == "transmitter's clock not set" && snap.Link.State == "":
		add("nothing keeps the transmitter's clock: the times of records may be wrong",
			"set [time] servers in the transmitter's file, to NTP servers that its network reaches")
	}
}

// certificates names those that end soon.
func (s Site) certificates(l *List, snap *status.Snapshot, now time.Time) {
	for _, c := range snap.Certificates {
		if c.Expires.Sub(now) < nearExpiry {
			l.Add(s.Expiry(c.Name, c.Board, c.Expires, now))
		}
	}
}

// Expiry is the finding of a certificate that has ended, or ends soon.
func (s Site) Expiry(name, board string, end, now time.Time) Finding {
	verb := "ends on "
	if end.Before(now) {
		verb = "ended on "
	}
	f := Finding{"certificate-expiry", "certificate " + name + " of " + strings.ToUpper(board),
		verb + end.UTC().Format(time.DateOnly), "renew it, and trust the new one where the old one was"}
	if name == "opcua own" && board == s.Role {
		f.Cure = s.pick("heliograph cert new --config CONFIG, then trust the new one at each peer",
			"make the pair's cards again with \"heliograph flash --pair\", or cert new on the card in a reader")
	}
	return f
}

// reasons adds why the role is not ready, as far as no finding says it.
func (s Site) reasons(l *List, snap *status.Snapshot) {
	found := slices.Clone(*l)
	for _, r := range snap.Reasons {
		part, cause, _ := strings.Cut(r, ": ")
		for _, kind := range []string{"source ", "sink "} {
			if _, channel, ok := strings.Cut(part, kind); ok {
				part = "channel " + channel
			}
		}
		switch {
		case strings.Contains(cause, "the same name"), strings.Contains(cause, "no sink here takes it"):
			l.Add(Finding{"channel-name", part, cause, s.pick("heliograph check TX-FILE RX-FILE names the lines; "+
				"write one name in both files, and restart", "write one name in both boards' heliograph.toml")})
		case strings.Contains(cause, "address already in use"):
			l.Add(Finding{"port-in-use", part, cause, "end the other program, or choose another port for listen"})
		case found.names(part), found.names(part + " (at the transmitter)"), found.names("link") && cause == waiting,
			strings.HasPrefix(part, "epoch_"), found.names("state") && part == "state",
			strings.Contains(cause, "the link is silent"):
		default:
			l.Add(Finding{"not-ready", part, cause, s.pick("the log of helioROLE says more", "key l shows the log")})
		}
	}
}

// waiting is the reason of a channel that follows from a link without frames.
const waiting = "the initial snapshot is not complete yet"
