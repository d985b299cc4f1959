package announce

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leodido/go-syslog/v4/rfc5424"

	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/status"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func snapshot() status.Snapshot {
	return status.Snapshot{
		Role: "rx", Pair: "press-hall", Version: "1.2.3",
		Channels: map[string]status.Channel{"cell-1": {Protocol: "mqtt", SourceState: "down", SourceReason: "refused",
			Lost: status.Of[uint64](3), OpenHoles: status.Of[uint64](1), Holes: []status.Hole{{Records: 3}}}},
		Link: status.Link{Medium: "udp", Frames: 7},
		Peers: []status.Peer{{Channel: "cell-1", Name: "mqtt sink cell-1", State: "down", Reason: "away",
			Spool: &status.Spool{Records: 5}}, {Channel: "heliograph", State: "up"}},
		Certificates: []status.Certificate{{Board: "tx", Name: "opcua own", Expires: noon}},
		Boards: []status.Board{{Role: "tx", Version: "1.2.2"}, {Role: "rx", Version: "1.2.3", Clock: "ntp",
			Facts: machine.Facts{Name: "rx-1", UptimeSeconds: 60}}},
		Trust: &status.Trust{Level: status.No, Sentence: "No.", Since: noon,
			Reasons: []status.TrustReason{{Channel: "cell-1", Text: "source down", Since: noon}}},
	}
}

func TestTopics(t *testing.T) {
	got := Topics(snapshot())
	if names := slices.Sorted(maps.Keys(got)); fmt.Sprint(names) != "[board/rx board/tx channel/cell-1 link trust]" {
		t.Errorf("topics: got %v", names)
	}
	for topic, want := range map[string]map[string]any{
		"trust": {"level": "no", "sentence": "No.", "since": "2026-11-23T12:00:00Z"},
		"link":  {"medium": "udp", "frames": 7.0},
		"channel/cell-1": {"protocol": "mqtt", "source_state": "down", "source_reason": "refused", "lost": 3.0,
			"open_holes": 1.0, "holes": nil, "sink_state": "down", "sink_reason": "away", "waiting_records": 5.0},
		"board/rx": {"role": "rx", "version": "1.2.3", "uptime_seconds": 60.0, "clock": "ntp", "name": "rx-1"},
		"board/tx": {"role": "tx", "version": "1.2.2", "uptime_seconds": nil},
	} {
		var fields map[string]any
		if err := json.Unmarshal(got[topic], &fields); err != nil {
			t.Errorf("%s: %v: %s", topic, err, got[topic])
		}
		for key, value := range want {
			if fields[key] != value {
				t.Errorf("%s: %s: got %v, want %v", topic, key, fields[key], value)
			}
		}
	}
	if text := string(got["board/tx"]); !strings.Contains(text, "opcua own") ||
		strings.Contains(string(got["board/rx"]), "opcua own") {
		t.Errorf("the certificate of TX is not, or not alone, in board/tx: %s", text)
	}
}

func TestALineIsRFC5424(t *testing.T) {
	for level, severity := range map[status.Level]uint8{status.Yes: 5, status.Partly: 4, status.No: 3} {
		c := Changes{Pair: "press-hall", Host: "rx-1"}
		v := &status.Trust{Level: level, Sentence: "It is so.", Since: noon, Reasons: []status.TrustReason{
			{Channel: "a", Text: "bad\x1b[2J\"]\n"}, {Text: "x"}, {Channel: "b"}, {Channel: "a"}}}
		c.Line(noon, v)
		line := c.Line(noon.Add(calm), v)
		m, err := rfc5424.NewParser().Parse(line)
		if err != nil {
			t.Fatalf("%s: %v: %q", level, err, line)
		}
		got := m.(*rfc5424.SyslogMessage)
		want := map[string]string{"pair": "press-hall", "level": string(level), "before": "",
			"since": "2026-11-23T12:00:00Z", "reasons": "4", "channels": "a,b"}
		if sd := (*got.StructuredData)["trust@32473"]; !maps.Equal(sd, want) || *got.Severity != severity ||
			*got.Facility != 3 || *got.MsgID != "trust" || *got.Hostname != "rx-1" || *got.Appname != "heliograph" {
			t.Errorf("%s: got %+v of %q, want %v", level, got, line, want)
		}
		if want := "It is so. a: bad?[2J\"]?"; strings.TrimPrefix(*got.Message, "\uFEFF") != want {
			t.Errorf("message: got %q, want %q", *got.Message, want)
		}
	}
}

func TestLinesAreOfChangesAndSeldom(t *testing.T) {
	c := Changes{Pair: "p", Host: "not a host"}
	if c.Line(noon, nil) != nil {
		t.Error("a line without a verdict")
	}
	var got []string
	for i, level := range []status.Level{ // each 4 s
		status.No, status.No, status.No, status.Yes, // the second line is due 12 s after the start
		status.Yes, status.Yes, status.Yes, status.Yes, status.Partly, status.Yes, status.Partly, status.No, status.No,
	} {
		at := noon.Add(time.Duration(i) * 4 * time.Second)
		line := string(c.Line(at, &status.Trust{Level: level, Since: at}))
		if _, rest, ok := strings.Cut(line, `level="`); ok {
			level, rest, _ := strings.Cut(rest, `" before="`)
			before, _, _ := strings.Cut(rest, `"`)
			got = append(got, fmt.Sprintf("%d:%s>%s", i, before, level))
		}
		if line != "" && !strings.Contains(line, "Z - heliograph - trust [") {
			t.Errorf("got %q, want no host", line)
		}
	}
	if want := "[3:>yes 8:yes>partly 11:partly>no]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
