package status

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestHealsInWords(t *testing.T) {
	for name, c := range map[string]struct {
		replay Replay
		want   string
	}{
		"nothing kept": {Replay{}, "outages do not heal: TX keeps nothing to send again ([replay] memory)"},
		"no pass yet":  {Replay{WindowSeconds: 12}, "an outage of up to 12 s heals"},
		"small window": {Replay{WindowSeconds: 95, PassSeconds: Of(0.001)},
			"an outage of up to 1 min 35 s heals within 2 s of the link's return"},
		"hours": {Replay{WindowSeconds: 13_245, PassSeconds: Of(4.5)},
			"an outage of up to 3 h 40 min heals within 9 s of the link's return"},
		"days": {Replay{WindowSeconds: 7*86400 + 3600, PassSeconds: Of(620.0)},
			"an outage of up to 7 d 1 h heals within 20 min 40 s of the link's return"},
	} {
		if got := c.replay.Heals(); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// words is the text of a page, with one space between words.
func words(page string) string {
	page = regexp.MustCompile(`(?s)<style>.*</style>|<[^>]*>`).ReplaceAllString(page, " ")
	page = strings.NewReplacer("&#34;", `"`, "&#39;", "'", "\u202f", ",").Replace(page)
	return strings.Join(strings.Fields(page), " ")
}

func TestThePageSaysWhatHealsAndWhatDoesNot(t *testing.T) {
	off, started, away, closed := rx(), rx(), rx(), rx()
	off.Replay, started.Replay, started.Link.Frames = nil, nil, 0
	away.Link.State = "nothing received for 12 s"
	c := closed.Channels["cell-1"]
	c.OpenHoles, c.OpenRecords, c.Lost, c.Healed, c.Holes = Of[uint64](0), Of[uint64](0), Of[uint64](0),
		Of[uint64](3120), []Hole{}
	closed.Channels["cell-1"] = c
	unknown := rx()
	unknown.Channels = map[string]Channel{"old": {OpenHoles: Of[uint64](1), OpenRecords: Of[uint64](5),
		Unknown: Of[uint64](5), Holes: []Hole{{Records: 5, To: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}}}}
	txOn := tx()
	txOn.Replay = &Replay{WindowSeconds: 60}
	for name, tt := range map[string]struct {
		of         Snapshot
		want, none string
	}{
		"rx": {rx(), "Outages An outage of up to 3 h 40 min heals within 9 s of the link's return. " +
			"Can still heal 1,916 in 2 holes Healed 1,204 Final 3 " +
			"The newest holes Channel Missing since (UTC) Until (UTC) For Records Can it heal? " +
			"cell-1 2026-11-23 16:00:00 2026-11-23 16:00:20 20 s 1,900 open: can still heal " +
			"cell-1 2026-11-23 15:00:00 2026-11-23 15:01:30 1 min 30 s 16 open: can still heal " +
			"cell-1 2026-11-23 14:00:00 2026-11-23 14:00:01 1 s 3 final: TX does not send them again, " +
			"or the sink does not take them late", "The link is away"},
		"rx with all healed": {closed, "Can still heal 0 Healed 3,120 Final 0", "Missing since"},
		"rx that receives nothing": {away, "of the link's return. The link is away: what is missing since then is " +
			"known when it is back. Can still heal", ""},
		"rx whose transmitter keeps nothing": {off,
			"Outages do not heal: TX has not said that it sends anything again.", "An outage of"},
		"rx before the first frame": {started, "Outages Which outages heal is not known yet: nothing has been " +
			"received from TX. Can still heal 1,916", ""},
		"a hole that began before this receiver": {unknown,
			"old – 2026-11-23 09:00:00 not known 5 open: can still heal", ""},
		"tx": {txOn, "Outages An outage of up to 1 min 0 s heals. Certificates", "Can still heal"},
		"tx that keeps nothing": {tx(), `Outages Outages do not heal: [replay] memory is "0". Certificates`,
			"Can still heal"},
	} {
		got := words(bodyOf(t, get(t, server(tt.of), "GET", "/", nil)))
		if !strings.Contains(got, tt.want) || tt.none != "" && strings.Contains(got, tt.none) {
			t.Errorf("%s: got\n%s\nwant %q in it, and not %q", name, got, tt.want, tt.none)
		}
	}
}

func TestOpenHolesComeBeforeThoseThatAreFinal(t *testing.T) {
	at := func(n int) time.Time { return time.Unix(int64(n), 0) }
	s := Snapshot{Channels: map[string]Channel{}}
	for _, name := range []string{"a", "b"} {
		var c Channel
		for n := MaxHoles; n > 0; n-- { // the older half of a is open
			c.Holes = append(c.Holes, Hole{From: at(n), Final: name == "b" || n > MaxHoles/2})
		}
		s.Channels[name] = c
	}
	list := newestHoles(s)
	if len(list) != MaxHoles {
		t.Fatalf("got %d holes, want %d", len(list), MaxHoles)
	}
	for i, h := range list {
		if open := i < MaxHoles/2; h.Final == open || open && (h.Channel != "a" || h.From != at(MaxHoles/2-i)) {
			t.Errorf("place %d: got %+v", i, h)
		}
	}
}

func TestHealingIsMeasured(t *testing.T) {
	got := bodyOf(t, get(t, server(rx()), "GET", "/metrics", nil))
	for _, want := range []string{
		`heliograph_channel_healed_records_total{channel="cell-1"} 1210`,
		`heliograph_channel_open_holes{channel="cell-1"} 2`,
		`heliograph_channel_open_records{channel="cell-1"} 1916`,
		`heliograph_channel_lost_records{channel="cell-1"} 1919`,
		"heliograph_replay_window_seconds 13245", "heliograph_replay_pass_seconds 4.5",
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("/metrics has no %s", want)
		}
	}
}
