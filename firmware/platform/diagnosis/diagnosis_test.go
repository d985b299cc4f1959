package diagnosis_test

import (
	"strings"
	"testing"
	"time"

	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/diagnosis"
	"heliograph/firmware/platform/disk"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/task"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func set(part, name string, n uint64) counter.Set {
	return counter.Set{Part: part, Channel: "c", Values: []counter.Value{{Name: name, Value: n}}}
}

func why(code cause.Code) cause.Cause { return cause.Cause{Code: code} }

// channel is a snapshot with one, whose source stands so.
func channel(state, reason string, c cause.Cause) status.Snapshot {
	return status.Snapshot{Channels: map[string]status.Channel{"c": {Protocol: "mqtt", SourceState: state,
		SourceReason: reason, SourceCause: c}}}
}

// notReady is a snapshot with a reason.
func notReady(part, words string, code cause.Code) status.Snapshot {
	return status.Snapshot{NotReady: task.Reasons{{Part: part, Cause: words, Why: why(code)}}}
}

// link is a snapshot whose link does not work.
func link(l status.Link, state string, code cause.Code, counters ...counter.Set) status.Snapshot {
	l.State, l.Cause = state, why(code)
	return status.Snapshot{Link: l, Counters: counters}
}

// trusted is a snapshot whose trust has a reason that several snapshots tell.
func trusted(kind status.Kind, counters ...counter.Set) status.Snapshot {
	s := channel("up", "", cause.Cause{})
	s.Peers = []status.Peer{{Channel: "c", Name: "mqtt sink c", State: "up"}}
	s.Counters = counters
	s.Trust = &status.Trust{Level: status.Partly, Reasons: []status.TrustReason{{Kind: kind, Channel: "c",
		Text: "7 records"}}}
	return s
}

// known is what a role knows, and what is found.
type known struct {
	snap        status.Snapshot
	role        string // rx unless given
	code        string // "" for no finding
	where       string
	host, board string // part of the cure
	warning     bool
	alarm       bool
}

func linkCases() map[string]known {
	of := status.Of[uint64]
	const nothing = "link: nothing received from the transmitter yet"
	uart, some := status.Link{Medium: "uart"}, status.Link{Medium: "uart", Bytes: 4711}
	return map[string]known{
		"another key": {snap: link(status.Link{AuthFailures: of(9)}, "link: frames arrive that", cause.KeyMismatch),
			code: "key-mismatch", where: "link", host: "heliograph key show --config f.toml", board: "key x"},
		"another baud, by framing errors": {snap: link(uart, nothing, cause.Silent, set("medium", "frame_errors", 5)),
			code: "baud", where: "link", host: "same baud in [link]", board: "same baud"},
		"another baud, by bytes without a frame": {snap: link(some, nothing, cause.Silent),
			code: "baud", where: "link", host: "same baud", board: "same baud"},
		"bytes of another program": {snap: link(status.Link{Medium: "udp", Bytes: 4711}, nothing, cause.Silent),
			code: "not-frames", where: "link", host: "another address", board: "another address"},
		"a line that is held at 0": {snap: link(uart, nothing, cause.Silent, set("medium", "breaks", 1)),
			code: "line-break", where: "link", host: "ground", board: "ground"},
		"a silent link": {snap: link(uart, nothing, cause.Silent), code: "silent", where: "link", host: "start heliotx",
			board: "start the transmitter"},
		"another key whose frames have stopped": {snap: link(status.Link{Bytes: 99, AuthFailures: of(9)},
			"link: silent for 40s", cause.Silent), code: "silent", where: "link", host: "start heliotx",
			board: "start the transmitter"},
		"a link that TX cannot use": {role: "tx", snap: link(status.Link{}, "link: no carrier", ""), code: "link-down",
			where: "link", host: "heliotx tries again", board: "tries again"},
		"a link that RX cannot read": {snap: link(status.Link{}, "link: input/output error", ""), code: "link-down",
			where: "link", host: "heliorx tries again", board: "tries again"},
		"an interface with an address": {snap: link(status.Link{}, "link: eth1 has", cause.InterfaceAddress),
			code: "interface-address", where: "link", host: "ip addr flush", board: "network.toml"},
		"an interface that is away": {snap: link(status.Link{}, "link: none", cause.InterfaceMissing),
			code: "interface-missing", where: "link", host: "`ip link`", board: "key n"},
		"a serial port that is away": {snap: link(status.Link{}, "link: none", cause.DeviceMissing),
			code: "device-missing", where: "link", host: "/dev/serial/by-id", board: "write the card"},
		"a way back": {snap: status.Snapshot{Boards: []status.Board{{Role: "rx", Facts: machine.Facts{
			Probe: &machine.Probe{Received: of(100), CameBack: true}}}}},
			code: "way-back", where: "link", host: "find the path back", board: "out of service", alarm: true},
		"a probe that did not come back": {snap: status.Snapshot{Boards: []status.Board{{Role: "rx",
			Facts: machine.Facts{Probe: &machine.Probe{Received: of(0)}}}}}},
		"a port that is too slow": {snap: status.Snapshot{Counters: []counter.Set{set("medium", "buffer_overruns", 2)}},
			code: "overruns", where: "link", host: "lower baud", board: "lower baud", warning: true},
		"a kernel that drops": {snap: status.Snapshot{Link: status.Link{Dropped: of(3)}}, code: "kernel-drops",
			where: "link", host: "sysctl -w net.core.rmem_max", board: "lower rate", warning: true},
		"a replaced transmitter": {snap: notReady("epoch_regressed", "epoch 1", cause.EpochRegressed),
			code: "epoch-regressed", where: "link", host: "heliograph epoch accept --config f.toml", board: "key e"},
	}
}

func channelCases() map[string]known {
	const refused = "dial tcp 10.0.0.6:1883: connect: connection refused"
	sink := status.Peer{Channel: "c", Name: "mqtt sink c", State: "down", Address: "mqtt://10.0.0.6:1883",
		Reason: refused, Cause: why(cause.ConnectionRefused)}
	incomplete := channel("up", "", cause.Cause{})
	incomplete.NotReady = notReady("channel c", "the initial snapshot", cause.Incomplete).NotReady
	full := channel("up", "", cause.Cause{})
	full.NotReady = notReady("channel c", "3 values did not cross", cause.MemoryFull).NotReady
	other := channel("down", "the transmitter has no channel of this name", why(cause.ChannelName))
	other.NotReady = notReady("channel c", "the transmitter has no channel of this name", cause.ChannelName).NotReady
	return map[string]known{
		"a name of one side": {snap: notReady("channel c", "no sink here takes it", cause.ChannelName),
			code: "channel-name", where: "channel c", host: "heliograph check TX-FILE RX-FILE", board: "one name"},
		"a name of the other side": {snap: other, code: "channel-name", where: "channel c",
			host: "heliograph check TX-FILE RX-FILE", board: "one name"},
		"a sink's peer": {snap: status.Snapshot{Peers: []status.Peer{sink},
			NotReady: notReady("mqtt sink c", refused, cause.ConnectionRefused).NotReady},
			code: "connection-refused", where: "channel c", host: "start the server there", board: "start the server"},
		"a port in use": {snap: status.Snapshot{Peers: []status.Peer{{Channel: "c", Name: "opcua sink c", State: "down",
			Address: "opc.tcp://0.0.0.0:4840", Reason: "x", Cause: why(cause.PortInUse)}}},
			code: "port-in-use", where: "channel c", host: "another port", board: "another port"},
		"a source, seen by RX": {snap: channel("down", refused, why(cause.ConnectionRefused)),
			code: "connection-refused", where: "channel c (at the transmitter)", host: "start the server",
			board: "start the server"},
		"a source, seen by TX": {role: "tx", snap: channel("down", refused, why(cause.ConnectionRefused)),
			code: "connection-refused", where: "channel c", host: "start the server", board: "start the server"},
		"a source that connects": {role: "tx", snap: channel("connecting", "", cause.Cause{}), code: "connecting",
			where: "channel c", host: "wait", board: "wait"},
		"a snapshot that is on its way": {snap: incomplete, code: "incomplete", where: "channel c", host: "wait",
			board: "wait"},
		"more state than memory": {role: "tx", snap: full, code: "memory-full", where: "channel c",
			host: "[memory] of " +
				"f.toml", board: "[memory] of heliograph.toml"},
		"records that may come": {snap: trusted(status.KindMissing), code: "missing", where: "channel c", host: "wait",
			board: "wait"},
		"records that are lost": {snap: trusted(status.KindLost), code: "lost", where: "channel c", host: "[replay]",
			board: "[replay]"},
		"records that expire": {snap: trusted(status.KindExpired), code: "expired", where: "channel c",
			host: "set spool in [[mqtt]] c of f.toml to more, and restart", board: "spool"},
		"a spool that was full": {snap: trusted(status.KindSpool), code: "spool", where: "channel c", host: "spool",
			board: "spool"},
		"a spool that is damaged": {snap: trusted(status.KindDamaged), code: "damaged", where: "channel c",
			host: "replace the card", board: "replace the card"},
		"a history that does not keep all": {snap: trusted(status.KindUnkept), code: "unkept", where: "channel c",
			host: "history_size", board: "history_size"},
		"a peer that is slow": {snap: trusted(status.KindBehind), code: "behind", where: "channel c",
			host: "slows the peer", board: "slows the peer"},
		"records lost before the link": {role: "tx", snap: trusted(status.KindMissed), code: "missed",
			where: "channel c", host: "correct the publisher", board: "correct the publisher"},
		"a plant that sends too much": {role: "tx", snap: trusted(status.KindDropped), code: "dropped",
			where: "channel c", host: "higher rate", board: "higher rate"},
		"records that a peer refuses": {snap: trusted(status.KindRefused), code: "refused", where: "channel c",
			host: "counters", board: "counters"},
		"records too large for the link": {role: "tx", snap: trusted(status.KindRefused), code: "refused",
			where: "channel c", host: "smaller records", board: "smaller records"},
		"messages that are not let in": {snap: trusted(status.KindRefused, set("mqtt_sink",
			"refused_not_authorized_messages", 2)), code: "mqtt-acl", where: "channel c",
			host: "let the user publish there", board: "heliograph.toml"},
		"messages that were not let in before": {snap: status.Snapshot{Counters: []counter.Set{set("mqtt_sink",
			"refused_not_authorized_messages", 2)}}, code: "mqtt-acl", where: "channel c",
			host: "let the user publish there", board: "heliograph.toml", warning: true},
	}
}

func machineCases() map[string]known {
	clock := func(code cause.Code) status.Snapshot {
		return status.Snapshot{ClockSet: status.Of(false), ClockCause: cause.Cause{Code: code, Detail: "no answer"}}
	}
	return map[string]known{
		"all is well": {snap: status.Snapshot{Ready: true}},
		"a full disk": {snap: status.Snapshot{Disk: &disk.Usage{Fault: "the disk is nearly full"}}, code: "disk-full",
			where: "state", host: "[state] of f.toml", board: "larger card", warning: true},
		"a state for which there is no space": {snap: notReady("state", "runs not kept", cause.DiskFull),
			code: "disk-full", where: "state", host: "[state] of f.toml", board: "larger card"},
		"a trail for which there is no space": {snap: notReady("audit trail", "events are not kept", cause.DiskFull),
			code: "disk-full", where: "state", host: "[state] of f.toml", board: "larger card"},
		"a state that is not kept, of a report that was cut": {snap: trusted(status.KindState), code: "not-kept",
			where: "state", host: "the log", board: "key l"},
		"a state that is not kept": {snap: notReady("state", "runs not kept: read-only", cause.StateUnwritable),
			code: "state-unwritable", where: "state", host: "chown -R", board: "key t"},
		"a status port in use": {snap: notReady("status", "address already in use", cause.PortInUse),
			code: "port-in-use", where: "status", host: "another port", board: "another port", warning: true},
		"time servers that do not answer": {role: "tx", snap: clock(cause.TimeServers), code: "clock",
			where: "clock", host: "[time] of f.toml", board: "[time] of heliograph.toml"},
		"a clock that nothing keeps": {role: "tx", snap: clock(cause.Clock), code: "clock",
			where: "clock", host: "timedatectl set-ntp true, or set servers in [time] of f.toml to NTP servers that " +
				"this network reaches, and",
			board: "set servers in [time] of heliograph.toml to NTP servers that this network reaches: \"heliograph"},
		"the other side's clock": {snap: clock(cause.Clock), code: "clock",
			where: "clock", host: "[time] servers in the transmitter's file", board: "[time] servers"},
		"a certificate that ends": {snap: status.Snapshot{Certificates: []status.Certificate{{Board: "rx",
			Name: "opcua own", Expires: now.AddDate(0, 0, 3)}}}, code: "certificate-expiry",
			where: "certificate opcua own of RX", host: "heliograph cert new --config f.toml", board: "flash --pair",
			warning: true},
		"a refused configuration": {snap: status.Snapshot{Refused: []string{"heliograph.toml:3: bad"}},
			code: "configuration", where: "configuration", host: "correct the line", board: "heliograph image " +
				"configure"},
		"a reason that has no rule": {snap: notReady("clockwork", "it stands still", ""),
			code: "not-ready", where: "clockwork", host: "the log", board: "key l", warning: true},
	}
}

func TestWhatARoleKnowsIsNamedWithItsCure(t *testing.T) {
	for _, cases := range []map[string]known{linkCases(), channelCases(), machineCases()} {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) { c.check(t) })
		}
	}
}

// A disk that is full is the cause of what else cannot be written.
func TestAFullDiskIsTheCauseOfAllThatIsNotKept(t *testing.T) {
	snap := notReady("state", "own certificate not kept", cause.StateUnwritable)
	snap.NotReady = append(snap.NotReady, notReady("state", "spool of c not kept", cause.DiskFull).NotReady...)
	got := diagnosis.Site{Role: "rx", Config: "f.toml"}.Snapshot(&snap, now)
	if len(got) != 1 || got[0].Code != "disk-full" || !strings.Contains(got[0].Cause, "own certificate") {
		t.Errorf("got %+v, want disk-full alone", got)
	}
}

// A cause that begins with its place is not said twice.
func TestACauseDoesNotRepeatItsPlace(t *testing.T) {
	snap := link(status.Link{}, "link: nothing received from the transmitter yet", cause.Silent)
	got := diagnosis.Site{Role: "rx", Config: "f.toml"}.Snapshot(&snap, now)
	if lines := got.Lines(); len(lines) != 2 || !strings.HasPrefix(lines[0], "link: nothing received") {
		t.Errorf("got %q, want the link named once", lines)
	}
}

// What a mirror waits for is not said beside the link that does not bring it.
func TestAMirrorThatWaitsForASilentLinkIsNotNamed(t *testing.T) {
	snap := link(status.Link{}, "link: silent for 9s", cause.Silent)
	snap.NotReady = notReady("opcua sink c", "mirror c: the link is silent", cause.Incomplete).NotReady
	got := diagnosis.Site{Role: "rx", Config: "f.toml"}.Snapshot(&snap, now)
	if len(got) != 1 || got[0].Where != "link" {
		t.Errorf("got %+v, want the link alone", got)
	}
}

func (c known) check(t *testing.T) {
	if c.role == "" {
		c.role = "rx"
	}
	c.snap.Role = c.role
	level := diagnosis.Fault
	switch {
	case c.warning:
		level = diagnosis.Warning
	case c.alarm:
		level = diagnosis.Alarm
	}
	for config, cure := range map[string]string{"f.toml": c.host, "": c.board} {
		got := diagnosis.Site{Role: c.role, Config: config}.Snapshot(&c.snap, now)
		if c.code == "" && len(got) > 0 || c.code != "" && len(got) != 1 {
			t.Fatalf("got %+v, want %q alone", got, c.code)
		}
		if c.code != "" && (got[0].Code != c.code || got[0].Where != c.where || got[0].Level != level ||
			!strings.Contains(got[0].Cure, cure) || got[0].Cause == "") {
			t.Errorf("got %+v, want a %s, %s of %s, with cure %q", got[0], level, c.code, c.where, cure)
		}
	}
}
