package diagnosis_test

import (
	"strings"
	"testing"
	"time"

	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/diagnosis"
	"heliograph/firmware/platform/disk"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/status"
)

func set(part, name string, n uint64) counter.Set {
	return counter.Set{Part: part, Channel: "c", Values: []counter.Value{{Name: name, Value: n}}}
}

func TestWhatARoleKnowsIsNamedWithItsCure(t *testing.T) {
	of := status.Of[uint64]
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	silent := status.Link{Medium: "uart", State: "link: nothing received from the transmitter yet"}
	garbage := silent
	garbage.Bytes = 4711
	stranger := garbage
	stranger.Medium = "udp"
	refused := "dial tcp 10.0.0.6:1883: connect: connection refused"
	for name, c := range map[string]struct {
		snap        status.Snapshot
		role        string // rx unless given
		code        string // "" for no finding
		where       string
		host, board string // part of the cure
	}{
		"all is well": {snap: status.Snapshot{Ready: true}},
		"another key": {snap: status.Snapshot{Link: status.Link{AuthFailures: of(9),
			State: "link: frames arrive that this pair key does not open: compare (auth_failure, 9 frames)"}},
			code: "key-mismatch", where: "link", host: "heliograph key show --config f.toml", board: "key x"},
		"another baud, by framing errors": {snap: status.Snapshot{Link: silent,
			Counters: []counter.Set{set("medium", "frame_errors", 5)}},
			code: "baud", where: "link", host: "same baud in [link]", board: "same baud"},
		"another baud, by bytes without a frame": {snap: status.Snapshot{Link: garbage},
			code: "baud", where: "link", host: "same baud", board: "same baud"},
		"bytes of another program": {snap: status.Snapshot{Link: stranger},
			code: "not-frames", where: "link", host: "another address", board: "another address"},
		"a line that is held at 0": {snap: status.Snapshot{Link: silent,
			Counters: []counter.Set{set("medium", "breaks", 1)}}, code: "line-break", where: "link", host: "ground",
			board: "ground"},
		"a way back": {snap: status.Snapshot{Boards: []status.Board{{Role: "rx", Facts: machine.Facts{
			Probe: &machine.Probe{Received: of(100), CameBack: true}}}}},
			code: "way-back", where: "link", host: "find the path back", board: "out of service"},
		"a probe that did not come back": {snap: status.Snapshot{Boards: []status.Board{{Role: "rx",
			Facts: machine.Facts{Probe: &machine.Probe{Received: of(0)}}}}}},
		"a silent link": {snap: status.Snapshot{Link: silent}, code: "silent", where: "link", host: "start heliotx",
			board: "start the transmitter"},
		"a port that is too slow": {snap: status.Snapshot{Counters: []counter.Set{set("medium", "buffer_overruns", 2)}},
			code: "overruns", where: "link", host: "lower baud", board: "lower baud"},
		"a kernel that drops": {snap: status.Snapshot{Link: status.Link{Dropped: of(3)}}, code: "kernel-drops",
			where: "link", host: "sysctl -w net.core.rmem_max", board: "lower rate"},
		"a link that TX cannot use": {role: "tx", snap: status.Snapshot{Link: status.Link{State: "link: no carrier"}},
			code: "link-down", where: "link", host: "heliotx tries again", board: "tries again"},
		"a full disk": {snap: status.Snapshot{Disk: &disk.Usage{Fault: "the disk is nearly full"}}, code: "disk-full",
			where: "state", host: "[state] of f.toml", board: "larger card"},
		"a state that is not kept": {snap: status.Snapshot{Reasons: []string{"state: runs not kept: read-only file " +
			"system"}},
			code: "state-unwritable", where: "state", host: "chown -R", board: "key t"},
		"a replaced transmitter": {snap: status.Snapshot{Link: silent, Reasons: []string{"epoch_regressed: epoch 1"}},
			code: "epoch-regressed", where: "link", host: "heliograph epoch accept --config f.toml", board: "key e"},
		"a name of one side": {snap: status.Snapshot{Reasons: []string{"channel c: the transmitter has no channel of " +
			"this " +
			"name (it has: d); use the same name in both configurations"}},
			code: "channel-name", where: "channel c", host: "heliograph check TX-FILE RX-FILE", board: "one name"},
		"a name of one side whose source was down before": {snap: status.Snapshot{
			Channels: map[string]status.Channel{"c": {Protocol: "mqtt", SourceState: "down",
				SourceReason: status.NoChannel + " (it has: d); use the same name in both configurations"}},
			Reasons: []string{"channel c: " + status.NoChannel + " (it has: d); use the same name in both " +
				"configurations"}},
			code: "channel-name", where: "channel c", host: "heliograph check TX-FILE RX-FILE", board: "one name"},
		"another key whose frames have stopped": {snap: status.Snapshot{Link: status.Link{Bytes: 99,
			AuthFailures: of(9), State: "link: silent for 40s; frames before were not of this pair key"}},
			code: "silent", where: "link", host: "start heliotx", board: "start the transmitter"},
		"a port in use": {snap: status.Snapshot{Reasons: []string{"opcua sink c: listen tcp: address already in use"}},
			code: "port-in-use", where: "channel c", host: "another port", board: "another port"},
		"messages that are not let in": {snap: status.Snapshot{
			Counters: []counter.Set{set("mqtt_sink", "refused_not_authorized_messages", 2)}},
			code: "mqtt-acl", where: "channel c", host: "let the user publish there", board: "heliograph.toml"},
		"time servers that do not answer": {role: "tx", snap: status.Snapshot{Clock: "not synchronized: no answer"},
			code: "clock", where: "clock", host: "[time] of f.toml", board: "[time] of heliograph.toml"},
		"a clock that nothing keeps": {role: "tx", snap: status.Snapshot{Clock: "not synchronized"}, code: "clock",
			where: "clock", host: "timedatectl set-ntp true", board: "[time] of heliograph.toml"},
		"the other side's clock": {snap: status.Snapshot{Clock: "transmitter's clock not set"}, code: "clock",
			where: "clock", host: "[time] servers in the transmitter's file", board: "[time] servers"},
		"a certificate that ends": {snap: status.Snapshot{Certificates: []status.Certificate{{Board: "rx",
			Name: "opcua own", Expires: now.AddDate(0, 0, 3)}}}, code: "certificate-expiry",
			where: "certificate opcua own of RX", host: "heliograph cert new --config f.toml", board: "flash --pair"},
		"a sink's peer": {snap: status.Snapshot{Peers: []status.Peer{{Channel: "c", Name: "mqtt sink c", State: "down",
			Address: "mqtt://10.0.0.6:1883", Reason: refused}}, Reasons: []string{"mqtt sink c: " + refused}},
			code: "connection-refused", where: "channel c", host: "start the server there", board: "start the server"},
		"a source, seen by RX": {snap: status.Snapshot{Channels: map[string]status.Channel{"c": {Protocol: "mqtt",
			SourceState: "down", SourceReason: refused}}}, code: "connection-refused",
			where: "channel c (at the transmitter)", host: "start the server", board: "start the server"},
		"a refused configuration": {snap: status.Snapshot{Refused: []string{"heliograph.toml:3: bad"}},
			code: "configuration", where: "configuration", host: "correct the line", board: "heliograph image " +
				"configure"},
		"a reason that has no rule": {snap: status.Snapshot{Reasons: []string{"clockwork: it stands still"}},
			code: "not-ready", where: "clockwork", host: "the log", board: "key l"},
	} {
		t.Run(name, func(t *testing.T) {
			role := c.role
			if role == "" {
				role = "rx"
			}
			for config, cure := range map[string]string{"f.toml": c.host, "": c.board} {
				got := diagnosis.Site{Role: role, Config: config}.Snapshot(&c.snap, now)
				if c.code == "" && len(got) > 0 || c.code != "" && len(got) != 1 {
					t.Fatalf("got %+v, want %q alone", got, c.code)
				}
				if c.code != "" && (got[0].Code != c.code || got[0].Where != c.where ||
					!strings.Contains(got[0].Cure, cure) || got[0].Cause == "") {
					t.Errorf("got %+v, want %s of %s with cure %q", got[0], c.code, c.where, cure)
				}
			}
		})
	}
}
