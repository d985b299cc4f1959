package status

import (
	"net/http"
	"strings"
	"testing"

	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/release"
)

func TestReleaseInWords(t *testing.T) {
	for name, c := range map[string]struct {
		running      *release.Running
		release, was string
	}{
		"not a board": {nil, "", ""},
		"not known":   {&release.Running{}, "", ""},
		"first one":   {&release.Running{Version: 7, Name: "v7"}, "7", ""},
		"kept": {&release.Running{Version: 8, Name: "2.1.0", Update: &release.Outcome{Version: 8, Name: "2.1.0",
			Result: release.Kept, Time: noon}}, "8 (2.1.0)", "8 (2.1.0) kept, 2026-11-23 12:00 UTC"},
		"on trial, after one was refused": {&release.Running{Version: 8, OnTrial: true, Update: &release.Outcome{
			Version: 6, Result: release.Refused, Reason: "older", Time: noon}}, "8, on trial",
			"6 refused, 2026-11-23 12:00 UTC: older"},
	} {
		var b Board
		if b.SetRelease(c.running); b.Release != c.release || b.LastUpdate != c.was {
			t.Errorf("%s: got %q, %q; want %q, %q", name, b.Release, b.LastUpdate, c.release, c.was)
		}
	}
}

// The names are a contract: a key that is gone fails here.
func TestKeysOfBoardsAndClients(t *testing.T) {
	s := rx()
	s.Boards = []Board{{Role: "rx", Version: "2", Clock: "c", Release: "8", LastUpdate: "kept", Facts: machine.Facts{
		Name: "rx-1", UptimeSeconds: 7, Temperature: Of(50.5), Supply: machine.Fine, Card: "new",
		LED: &machine.LED{Pattern: "1 flash", Means: "loses frames"}}}}
	s.SetClients([]Client{{Channel: "cell-1", Protocol: "mqtt", Address: "192.0.2.1", User: "ann", Application: "hmi",
		Since: noon}})
	got := strings.Join(strings.Fields(bodyOf(t, get(t, server(s), http.MethodGet, "/status.json", nil))), " ")
	for _, want := range []string{
		`"boards": [ { "role": "rx", "version": "2", "clock": "c", "release": "8", "last_update": "kept", ` +
			`"name": "rx-1", "uptime_seconds": 7, "temperature_celsius": 50.5, "supply": "ok", "card": "new", ` +
			`"led": { "pattern": "1 flash", "means": "loses frames" } } ]`,
		`"clients": [ { "channel": "cell-1", "protocol": "mqtt", "address": "192.0.2.1", "user": "ann", ` +
			`"application": "hmi", "since": "2026-11-23T12:00:00Z" } ]`,
		`"trust": { "level": "`, `"days_left": `,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := bodyOf(t, get(t, server(tx()), http.MethodGet, "/status.json", nil)); !strings.Contains(got,
		`"boards": []`) || !strings.Contains(got, `"clients": []`) {
		t.Errorf("of none: got %s", got)
	}
}

func TestTheReverseProbeOnThePage(t *testing.T) {
	of := func(change func(*machine.Probe)) machine.Facts {
		p := &machine.Probe{Key: "v", Time: noon, Sent: []machine.Means{{Name: "ARP request", Count: 400},
			{Name: "ICMP echo", Count: 100}}}
		if change != nil {
			change(p)
		}
		return machine.Facts{Probe: p}
	}
	none := func(p *machine.Probe) { p.Sent, p.Reason = nil, "the link is <away>" }
	for name, c := range map[string]struct {
		facts machine.Facts
		want  string // of the page; "": no line
	}{
		"not a board": {machine.Facts{}, ""},
		"none yet":    {of(func(p *machine.Probe) { *p = machine.Probe{Key: "v"} }), ""},
		"not crossed": {of(nil), "500 sent at 12:00 UTC, what TX received is not known yet"},
		"one-way": {of(func(p *machine.Probe) { p.Received = Of[uint64](0) }),
			"500 sent at 12:00 UTC, 0 received at TX"},
		"of another day": {of(func(p *machine.Probe) { p.Time = noon.AddDate(0, 0, -1) }),
			"500 sent at 2026-11-22 12:00 UTC"},
		"nothing could be":      {of(none), "none sent at 12:00 UTC"},
		"nothing, and why":      {of(none), "the link is &lt;away&gt;"},
		"a neighbour's packets": {of(func(p *machine.Probe) { p.Received = Of[uint64](7) }), `class="warn">500 sent`},
		"a way back": {of(func(p *machine.Probe) { p.Received, p.CameBack = Of[uint64](7), true }),
			"this link is not one-way"},
	} {
		t.Run(name, func(t *testing.T) {
			s := rx()
			s.Boards = []Board{{Role: "rx", Version: "2", Facts: c.facts}}
			parts, err := (&view{s, noon}).parts()
			if err != nil {
				t.Fatal(err)
			}
			got := parts["boards"]
			if strings.Contains(got, "Reverse probe") != (c.want != "") || !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %q", got, c.want)
			}
			if strings.Contains(got, `<dd class="bad">500 sent`) != (name == "a way back") {
				t.Errorf("the tone is wrong: %s", got)
			}
		})
	}
}

func TestWhatAMachineIsCalled(t *testing.T) {
	card, led := "33.6 GB written since boot", &machine.LED{Pattern: "lit", Means: "all is well"}
	for name, c := range map[string]struct {
		board Board
		want  []string
	}{
		"a host": {Board{Role: "rx", Facts: machine.Facts{Card: card}},
			[]string{"<dt>Disk</dt>", "this machine", "Clock and machines"}},
		"a board": {Board{Role: "rx", Facts: machine.Facts{Card: card, LED: led}},
			[]string{"<dt>Card</dt>", "this board", "Clock and boards"}},
		"a board without an LED": {Board{Role: "rx", Release: "12", Facts: machine.Facts{Card: card}},
			[]string{"<dt>Card</dt>", "this board", "Clock and boards"}},
	} {
		s := rx()
		s.Boards, s.Release = []Board{c.board}, nil
		parts, err := (&view{s, noon}).parts()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(parts["boards"], want) {
				t.Errorf("%s: got %s, want %q", name, parts["boards"], want)
			}
		}
	}
}
