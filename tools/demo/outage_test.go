package demo

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/creack/pty"
	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
	"heliograph/tools/pair"
	"heliograph/tools/plant"
)

func TestWhatFillsAHoleIsHealedAndNotOutOfOrder(t *testing.T) {
	type text struct {
		n   uint64
		how arrival
	}
	for name, c := range map[string]struct {
		texts              []text
		healed, outOfOrder uint64
		lost               uint64 // of 6 that were sent
	}{
		"in order": {[]text{{1, asNew}, {2, asNew}, {3, asNew}}, 0, 0, 3},
		"a hole":   {[]text{{1, asNew}, {4, asNew}, {6, asNew}}, 0, 0, 3},
		"late ones": {[]text{{1, asNew}, {4, asNew}, {2, asLate}, {5, asNew}, {3, asLate}, {6, asNew}}, 2,
			0, 0},
		"late ones, not marked":     {[]text{{1, asEither}, {4, asEither}, {2, asEither}, {3, asEither}}, 2, 0, 2},
		"late, and then as a state": {[]text{{1, asNew}, {4, asNew}, {3, asLate}, {3, asEither}}, 1, 0, 3},
		"late as a new one":         {[]text{{1, asNew}, {4, asNew}, {2, asNew}}, 1, 1, 3},
		"late ones disordered":      {[]text{{4, asNew}, {3, asLate}, {2, asLate}}, 2, 1, 3},
		"late and twice":            {[]text{{4, asNew}, {2, asLate}, {2, asLate}}, 1, 1, 4},
		"new and twice":             {[]text{{1, asNew}, {1, asNew}}, 0, 1, 5},
		"late before its time":      {[]text{{1, asNew}, {2, asLate}}, 0, 1, 4},
	} {
		var a arrivals
		now := time.Unix(100, 0)
		for _, x := range c.texts {
			a.add(plant.Message(x.n, now, "tag", 1), x.how, now)
		}
		if got := a.lost(6); a.healed != c.healed || a.outOfOrder != c.outOfOrder || got != c.lost ||
			a.arrived != 6-got {
			t.Errorf("%s: got %d healed, %d out of order, %d lost, %d arrived; want %d, %d, %d", name, a.healed,
				a.outOfOrder, got, a.arrived, c.healed, c.outOfOrder, c.lost)
		}
	}
}

// TestAHoleIsDescribedInWords follows RX's account from the cut on.
func TestAHoleIsDescribedInWords(t *testing.T) {
	o := outage{before: map[string]pair.Channel{"c": {Lost: 5, Unknown: 1, Healed: 7}}, holes: map[string]hole{}}
	var kept, off pair.Status
	kept.Replay = &pair.Replay{WindowSeconds: 220}
	for _, step := range []struct {
		account pair.Channel
		rx      pair.Status
		want    string
	}{
		{pair.Channel{Lost: 5, Unknown: 1, Healed: 7}, kept, "nothing is missing that RX knows of"},
		{pair.Channel{Lost: 3125, Unknown: 1, Healed: 7, OpenRecords: 3120}, kept,
			"healed 0 of 3,120, the rest is on its way"},
		{pair.Channel{Lost: 1921, Unknown: 1, Healed: 1211, OpenRecords: 1916}, kept,
			"healed 1,204 of 3,120, the rest is on its way"},
		{pair.Channel{Lost: 1921, Unknown: 1, Healed: 1211, OpenRecords: 1000}, kept,
			"healed 1,204 of 3,120, 916 lost for good: TX keeps 3m40s"},
		{pair.Channel{Lost: 1921, Unknown: 1, Healed: 1211}, off,
			"healed 1,204 of 3,120, 1,916 lost for good: TX keeps nothing"},
		{pair.Channel{Lost: 5, Unknown: 1, Healed: 3127}, kept, "healed 3,120 of 3,120: the hole is closed"},
	} {
		o.follow(map[string]pair.Channel{"c": step.account})
		if got := o.holes["c"].words("", step.rx); got != step.want {
			t.Errorf("got %q, want %q", got, step.want)
		}
	}
	// One that began to heal before it was looked at.
	o.holes = map[string]hole{}
	o.follow(map[string]pair.Channel{"c": {Lost: 15, Unknown: 1, Healed: 97, OpenRecords: 10}})
	if got, want := o.holes["c"].words("", kept), "healed 90 of 100, the rest is on its way"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestAnOutageHeals cuts the link for a while: what the brokers and the collector did not
// get then arrives late, once and in order, and HistoryRead has all values.
func TestAnOutageHeals(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s, err := Run(t.Context(), Options{Programs: rig.Roles(t), Medium: "udp", Loss: 0.01, Rate: 30,
		Duration: 7 * time.Second, CutAfter: 2 * time.Second, CutFor: 3 * time.Second}, func(*Demo) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range channelNames {
		c, least := s.Channels[name], uint64(20)
		if name == opcuaChannel {
			least = 1 // the carousel brings the newest value of each tag
		}
		if c.Lost+c.Unknown+c.OutOfOrder+c.Altered > 0 || c.Healed < least || c.Arrived != c.Sent {
			t.Errorf("%s: got %+v, want all delivered, once and in order, some healed", name, c)
		}
	}
	if h := s.History; h == nil || h.Holes+h.Wrong > 0 || h.Values != s.Channels[opcuaChannel].Sent {
		t.Errorf("got history %+v, want all %d values and no hole", h, s.Channels[opcuaChannel].Sent)
	}
	if !s.OK {
		t.Errorf("got %q", s.Reasons)
	}
	if o := s.Outage; o == nil || o.To == nil || o.To.Sub(o.From) < 3*time.Second || o.Healed < 80 {
		t.Errorf("got outage %+v, want one of 3 s that has healed", o)
	}
}

// terminal is a pseudo terminal with the demo's screen on it.
type terminal struct {
	*os.File
	mu   sync.Mutex
	text bytes.Buffer
}

// escapes are what moves the cursor and gives text its colours.
var escapes = regexp.MustCompile("\x1b\\[[0-9;?=>]*[a-zA-Z]|\x1b\\][^\a\x1b]*(\a|\x1b\\\\)")

func newTerminal(t *testing.T) (near *terminal, far *os.File) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(master, &pty.Winsize{Rows: 26, Cols: 84}); err != nil {
		t.Fatal(err)
	}
	near = &terminal{File: master}
	t.Cleanup(func() { _, _ = slave.Close(), master.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			if err != nil {
				return
			}
			near.mu.Lock()
			near.text.Write(b[:n])
			near.mu.Unlock()
		}
	}()
	return near, slave
}

// shows reports whether the screen has shown the words.
func (n *terminal) shows(words string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Contains(escapes.ReplaceAllString(n.text.String(), ""), words)
}

// TestKeyCCutsTheLinkAndJoinsItAgain types at the demo's screen.
func TestKeyCCutsTheLinkAndJoinsItAgain(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	programs := rig.Roles(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	near, far := newTerminal(t)
	drawn, ended := make(chan error, 1), make(chan error, 1)
	var s Summary
	go func() {
		var err error
		s, err = Run(ctx, Options{Programs: programs, Medium: "udp", Rate: 50}, func(d *Demo) {
			go func() {
				_, err := tea.NewProgram(NewScreen(d), tea.WithInput(far), tea.WithOutput(far),
					tea.WithWindowSize(84, 26), tea.WithEnvironment([]string{"TERM=xterm-256color"})).Run()
				cancel()
				drawn <- err
			}()
		})
		ended <- err
	}()
	for _, step := range []struct{ want, key string }{
		{"c cuts the link, c joins it again", "c"}, {"THE LINK IS CUT since", ""}, {"hole open since", "c"},
		{"The link was cut from", "q"},
	} {
		await.True(t, step.want, func() bool { return near.shows(step.want) })
		if _, err := near.WriteString(step.key); err != nil {
			t.Fatal(err)
		}
	}
	for what, end := range map[string]chan error{"the screen's end": drawn, "the demo's end": ended} {
		if err := await.Receive(t, what, end); err != nil {
			t.Fatal(err)
		}
	}
	if s.Outage == nil || s.Outage.To == nil || s.Link.Frames == 0 {
		t.Errorf("got %+v, want an outage that has ended", s)
	}
}

func TestARoleThatDiesEndsTheDemo(t *testing.T) {
	for name, of := range map[string]func(*Demo) *pair.Role{
		"heliotx": func(d *Demo) *pair.Role { return &d.gateway.TX },
		"heliorx": func(d *Demo) *pair.Role { return &d.gateway.RX },
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			_, err := Run(t.Context(), Options{Programs: rig.Roles(t), Medium: "udp", Rate: 50}, func(d *Demo) {
				of(d).Kill()
			})
			if err == nil || !strings.Contains(err.Error(), name+" ended by itself (signal: killed)") ||
				!strings.Contains(err.Error(), "level=INFO") {
				t.Errorf("got %v, want that %s was killed, and the end of its log", err, name)
			}
		})
	}
}

// dataValue is one of a tag of the plant, plus what is added to it.
func dataValue(tag int, at time.Time, status ua.StatusCode, more float64) rawvalue.DataValue {
	raw := binary.LittleEndian.AppendUint64([]byte{byte(ua.TypeIDDouble)},
		math.Float64bits(plant.Reading(tag, at)+more))
	return rawvalue.DataValue{Value: rawvalue.Variant{Raw: raw}, Status: status, SourceTime: uabinary.Ticks(at)}
}

func TestAHistoryIsJudged(t *testing.T) {
	at := func(ms int64) time.Time { return time.UnixMilli(1_700_000_000_000 + ms) }
	lost := rawvalue.DataValue{Status: ua.StatusBadDataLost, SourceTime: uabinary.Ticks(at(5))}
	for name, c := range map[string]struct {
		entries []rawvalue.DataValue
		want    History
		words   string
	}{
		"whole": {[]rawvalue.DataValue{dataValue(3, at(0), 0, 0), dataValue(3, at(9), 0, 0)}, History{Values: 2},
			"2 values, without a hole"},
		"with a hole": {[]rawvalue.DataValue{dataValue(3, at(0), 0, 0), lost, dataValue(3, at(9), 0, 0)},
			History{Values: 2, Holes: 1}, "2 values, with a hole (Bad_DataLost)"},
		"twice": {[]rawvalue.DataValue{dataValue(3, at(0), 0, 0), dataValue(3, at(0), 0, 0)},
			History{Values: 1, Wrong: 1}, "1 values, 1 wrong ones"},
		"altered": {[]rawvalue.DataValue{dataValue(3, at(0), 0, 1)}, History{Wrong: 1}, "0 values, 1 wrong ones"},
		"of another quality": {[]rawvalue.DataValue{dataValue(3, at(0), ua.StatusUncertain, 0)}, History{Wrong: 1},
			"0 values, 1 wrong ones"},
	} {
		var h History
		last := int64(0)
		for _, v := range c.entries {
			last = h.add(3, v, last)
		}
		if h != c.want || !strings.HasSuffix(h.words(), ": "+c.words) {
			t.Errorf("%s: got %+v, %q; want %+v, %q", name, h, h.words(), c.want, c.words)
		}
	}
}

func TestTheHistorySaysWhatWasDeliveredLate(t *testing.T) {
	for name, c := range map[string]struct {
		before  ChannelSummary
		history History
		want    ChannelSummary
		ok      bool
	}{
		"all": {ChannelSummary{Sent: 10, Arrived: 8, Healed: 1, Conflated: 2}, History{Values: 10},
			ChannelSummary{Sent: 10, Arrived: 10, Healed: 3}, true},
		"a hole": {ChannelSummary{Sent: 10, Arrived: 7, Lost: 3}, History{Values: 7, Holes: 1},
			ChannelSummary{Sent: 10, Arrived: 7, Lost: 3}, false},
		"a value that a newer one replaced": {ChannelSummary{Sent: 10, Arrived: 9, Conflated: 1}, History{Values: 9},
			ChannelSummary{Sent: 10, Arrived: 9, Conflated: 1}, true},
		"a wrong value": {ChannelSummary{Sent: 10, Arrived: 10}, History{Values: 9, Wrong: 1},
			ChannelSummary{Sent: 10, Arrived: 10}, false},
	} {
		s := Summary{Channels: map[string]ChannelSummary{opcuaChannel: c.before}}
		if s.useHistory(c.history); s.Channels[opcuaChannel] != c.want || s.OK != c.ok {
			t.Errorf("%s: got %+v, %t %q; want %+v, %t", name, s.Channels[opcuaChannel], s.OK, s.Reasons, c.want, c.ok)
		}
	}
}

// TestAnUncertainValueIsNotAltered gives a value, the same one in doubt while the link is
// silent, the same one again, and a newer one.
func TestAnUncertainValueIsNotAltered(t *testing.T) {
	at := func(ms int64) time.Time { return time.UnixMilli(1_700_000_000_000 + ms) }
	data := func(status ua.StatusCode, ms int64) rawvalue.DataValue { return dataValue(1, at(ms), status, 0) }
	doubt := ua.StatusUncertainLastUsableValue
	for name, c := range map[string]struct {
		values                       []rawvalue.DataValue
		arrived, altered, outOfOrder uint64
	}{
		"in doubt and not": {[]rawvalue.DataValue{data(0, 0),
			data(doubt, 0), data(0, 0),
			data(doubt, 9), data(0, 9)}, 2, 0, 0},
		"twice": {[]rawvalue.DataValue{data(0, 0),
			data(0, 0)}, 2, 0, 1},
		"in doubt and altered": {[]rawvalue.DataValue{dataValue(1, at(0), doubt, 1)}, 0, 1, 0},
		"bad":                  {[]rawvalue.DataValue{data(ua.StatusBad, 0)}, 0, 1, 0},
	} {
		w := &watcher{arrivals: &arrivals{}}
		for _, v := range c.values {
			w.Data(1, v)
		}
		if w.arrived != c.arrived || w.altered != c.altered || w.outOfOrder != c.outOfOrder {
			t.Errorf("%s: got %d arrived, %d altered, %d out of order; want %d, %d, %d", name, w.arrived, w.altered,
				w.outOfOrder, c.arrived, c.altered, c.outOfOrder)
		}
	}
}
