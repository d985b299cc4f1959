package watch

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/status"
)

func TestLevels(t *testing.T) {
	for name, c := range map[string]struct{ json, level, why string }{
		"the board's own": {`{"trust":{"level":"partly","sentence":"s","reasons":[{"channel":"a","text":"late"}]}}`,
			Partly, "a: late"},
		"a level of the future": {`{"trust":{"level":"perhaps"}}`, Yes, ""},
		"older, well":           {`{"channels":{"a":{"source_state":"up","complete":true}}}`, Yes, ""},
		"older, TX, well":       {`{"role":"tx","channels":{"a":{"source_state":"up"}},"peers":[{"state":"up"}]}`, Yes, ""},
		"older, link":           {`{"link":{"state":"silent for 5 s"}}`, No, "link: silent for 5 s"},
		"older, source":         {`{"channels":{"a":{"source_state":"down"}}}`, No, "a: source down: no reason given"},
		"older, snapshot": {`{"channels":{"a":{"source_state":"up","complete":false}}}`, Partly,
			"a: the initial snapshot is not complete yet"},
		"older, healing": {`{"channels":{"a":{"source_state":"up","open_holes":1,"open_records":7}}}`, Partly,
			"a: 7 records are missing, and may still heal"},
		"older, sink": {`{"role":"rx","peers":[{"channel":"a","name":"mqtt sink a","state":"down","reason":"gone"}]}`,
			Partly, "a: mqtt sink a down: gone"},
		"older, not ready": {`{"ready":false,"reasons":["epoch_regressed: a"]}`, Partly, "epoch_regressed: a"},
		"two": {`{"link":{"state":"lost"},"reasons":["x"],"channels":{"a":{"source_state":"down"}}}`, No,
			"link: lost (and 1 more)"},
		"nothing known": {`{}`, Yes, ""},
	} {
		var s status.Snapshot
		if err := json.Unmarshal([]byte(c.json), &s); err != nil {
			t.Fatal(name, err)
		}
		var r Row
		r.fill(&s, time.Now())
		if r.Level != c.level || r.Why() != c.why {
			t.Errorf("%s: got %q %q, want %q %q", name, r.Level, r.Why(), c.level, c.why)
		}
	}
}

// recorded is what heliorx answered before it judged itself.
func recorded(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/rx-before-trust.json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What a board of this version says is read, field by field.
func TestTheStatusOfThisVersionIsRead(t *testing.T) {
	at := time.Date(2026, 11, 29, 14, 0, 0, 0, time.UTC)
	now := status.Snapshot{Role: "rx", Pair: "press", Version: "1.2.3", UptimeSeconds: 7, Clock: "ntp",
		Trust: &status.Trust{Level: status.Partly, Sentence: "In part.", Since: at,
			Reasons: []status.TrustReason{{Channel: "a", Text: "late", Since: at}}},
		Reasons: []string{"r"},
		Channels: map[string]status.Channel{"a": {Protocol: "mqtt", SourceState: "up", SourceReason: "on 5",
			Delivered: status.Of[uint64](1), Lost: status.Of[uint64](2), OpenHoles: status.Of[uint64](3),
			OpenRecords: status.Of[uint64](4), Complete: status.Of(true), Rate: status.Of(1.5),
			AgeSeconds: status.Of(2.5)}},
		Link: status.Link{Medium: "udp", State: "s", Frames: 9, Repaired: status.Of[uint64](8),
			Lost: status.Of[uint64](7), LastHeartbeatAgeSeconds: status.Of(0.5)},
		Replay: &status.Replay{WindowSeconds: 60, PassSeconds: status.Of(2.0)},
		Peers: []status.Peer{{Channel: "a", Name: "mqtt sink a", State: "up", Reason: "r", Address: "b",
			Spool: &status.Spool{Records: 5}}},
		Boards:       []status.Board{{Role: "tx", Version: "1.2.2", Facts: machine.Facts{Name: "tx-1", Supply: "ok"}}},
		Certificates: []status.Certificate{{Board: "rx", Name: "own", Expires: at}},
		Clients:      []status.Client{{Channel: "a", Protocol: "mqtt", Address: "::1", User: "ann"}}, ClientsMore: 2,
	}
	b, err := json.Marshal(now)
	if err != nil {
		t.Fatal(err)
	}
	var s status.Snapshot
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	r := Row{Contact: at}
	r.fill(&s, at)
	got := strings.Join(detail(&r, 200, at.Add(time.Minute)), "\n")
	for _, want := range []string{"◐ press  In part.  (since 2026-11-29 14:00:00, 1 min ago)", "a: late, for 1 min",
		"heliorx 1.2.3, up 7 s, clock: ntp", "link      udp, s, last heartbeat 0 s ago",
		"an outage of up to 1 min heals", "one pass takes 2 s", "1.5/s", "up on 5",
		"mqtt sink a up b r; 5 records wait",
		"heliotx  tx-1  1.2.2  supply ok",
		"rx own ends 2026-11-29 (ended)", "a mqtt ::1 ann", "and 2 more"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if r.OpenHoles != 3 || r.OpenRecords != 4 || fmt.Sprint(r.Trouble) != "[a]" || r.Certificate == nil ||
		*s.Link.Repaired != 8 || *s.Link.Lost != 7 || s.Reasons[0] != "r" {
		t.Errorf("got %+v", r)
	}
}
