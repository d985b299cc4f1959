package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
)

// reading is what node-opcua's client is to read of a history. Times are milliseconds
// since 1970.
type reading struct {
	Kind     string   `json:"kind"` // raw, attime, aggregate, events
	Node     string   `json:"node"`
	From     int64    `json:"from,omitempty"`
	To       int64    `json:"to,omitempty"`
	Limit    int      `json:"limit,omitempty"` // of a part
	Bounds   bool     `json:"bounds,omitempty"`
	Times    []int64  `json:"times,omitempty"`
	Function string   `json:"function,omitempty"`
	Interval int64    `json:"interval,omitempty"` // milliseconds
	Fields   []string `json:"fields,omitempty"`
}

// historyResult is what came of a reading.
type historyResult struct {
	Status string            `json:"status"`
	Parts  []int             `json:"parts"` // how much each answer brought
	Got    []json.RawMessage `json:"got"`
}

// historyValue is a value of a historyResult.
type historyValue struct {
	Value  *float64 `json:"value"`
	Status string   `json:"status"`
	Bits   int      `json:"bits"` // the lower half of the StatusCode
	At     int64    `json:"at"`
}

func (v historyValue) String() string {
	value := "null"
	if v.Value != nil {
		value = fmt.Sprint(*v.Value)
	}
	return fmt.Sprintf("%s %s %d", value, v.Status, v.At)
}

// values returns what came as text.
func (r historyResult) values(t *testing.T) (list []string) {
	t.Helper()
	for _, v := range r.decoded(t) {
		list = append(list, v.String())
	}
	return list
}

// decoded returns what came.
func (r historyResult) decoded(t *testing.T) (list []historyValue) {
	t.Helper()
	for _, raw := range r.Got {
		var v historyValue
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		list = append(list, v)
	}
	return list
}

// historian has node-opcua's client read from histories.
func historian(t *testing.T, url string, reads ...reading) []historyResult {
	t.Helper()
	script, err := filepath.Abs("../peers/historian.js")
	if err != nil {
		t.Fatal(err)
	}
	argument, _ := json.Marshal(map[string]any{"url": url, "reads": reads})
	var got struct {
		Error   string
		Results []historyResult
	}
	await.NoError(t, "node-opcua's client has read history", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), clientBound)
		defer cancel()
		out, err := exec.CommandContext(ctx, rig.Program(t, "node", "history against node-opcua"), script,
			string(argument)).Output()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if jerr := json.Unmarshal([]byte(lines[len(lines)-1]), &got); jerr != nil || got.Error != "" {
			return fmt.Errorf("%v %v: %.1000s", err, jerr, out)
		}
		return nil
	})
	if len(got.Results) != len(reads) {
		t.Fatalf("got %d results of %d reads", len(got.Results), len(reads))
	}
	return got.Results
}

// Bits of a StatusCode (OPC 10000-4 §7.39.1, OPC 10000-13 §5.3.3).
const (
	historianMask = 0x1f
	calculated    = 0x01
	interpolated  = 0x02
)

// series is how many values the tests of history have.
const series = 200

// newHistory starts a pair whose mirror has the same history as the plant: series values of
// Tag1 that the plant had while TX was away.
func newHistory(t *testing.T) (p *plant, mirror string, raw []historyValue) {
	t.Helper()
	p = startPlant(t, map[string]any{"tags": 20, "historical": 2, "aggregates": true})
	port := await.FreePort(t)
	tx, rx := everyValueTables(p, port, false)
	g := newGateway(t, linktest.Profile{}, tx, rx+"history = \"1d\"\n")
	g.Start()
	g.Ready()
	c := &it{t: t, url: fmt.Sprintf("opc.tcp://127.0.0.1:%d", port)}
	c.connect()
	p.do(map[string]any{"do": "set", "name": "Tag1", "value": -7})
	c.sees("Tag1", -7, ua.StatusOK)
	g.TX.Stop()
	time.Sleep(time.Second) // values come to lie some milliseconds apart
	p.do(map[string]any{"do": "series", "name": "Tag1", "count": series, "modulus": 101})
	g.TX.Start()
	g.Ready()
	read := reading{Kind: "raw", Node: tag("Tag1").String(), From: time.Now().Add(-time.Hour).UnixMilli(),
		To: time.Now().Add(time.Hour).UnixMilli()}
	raw = historian(t, p.url, read)[0].decoded(t)
	raw = raw[len(raw)-series:]
	read.From = raw[0].At
	want := historian(t, p.url, read)[0].values(t)
	await.NoError(t, "the plant's history at the mirror", func() error {
		got := historian(t, c.url, read)[0]
		if !slices.Equal(got.values(t), want) {
			return fmt.Errorf("got %d values %q, want %d", len(got.Got), got.values(t), len(want))
		}
		return nil
	})
	return p, c.url, raw
}

// TestAHistorianReadsTheMirror has node-opcua's client read raw values, values at times and
// aggregates of a mirror, and compares them with what node-opcua's server answers, where
// that can: it has no values at times, no bounds, and counts a value at the end of a
// time domain to it, which OPC 10000-11 §6.5.3 excludes.
func TestAHistorianReadsTheMirror(t *testing.T) {
	t.Parallel()
	p, mirror, raw := newHistory(t)
	texts := func(list []historyValue) (out []string) {
		for _, v := range list {
			out = append(out, v.String())
		}
		return out
	}
	node, first, last := tag("Tag1").String(), raw[0].At, raw[series-1].At
	step := raw[1].At - raw[0].At
	results := historian(t, mirror,
		reading{Kind: "raw", Node: node, From: first, To: last + 1, Limit: 30},
		reading{Kind: "raw", Node: node, From: last, To: first - 1, Limit: 30},
		reading{Kind: "raw", Node: node, From: raw[10].At, To: raw[20].At},
		reading{Kind: "raw", Node: node, From: raw[10].At + 1, To: raw[20].At - 1, Bounds: true, Limit: 5},
		reading{Kind: "attime", Node: node, Times: []int64{raw[5].At, raw[50].At + step/2, raw[7].At, raw[120].At + 1}})
	backward := slices.Clone(raw)
	slices.Reverse(backward)
	for i, c := range []struct {
		name  string
		want  []historyValue
		parts []int
	}{
		{"raw in parts", raw, []int{30, 30, 30, 30, 30, 30, 20}},
		{"raw backward, in parts", backward, []int{30, 30, 30, 30, 30, 30, 20}},
		{"raw, without the value at the end", raw[10:20], []int{10}},
		{"raw with bounds, in parts", raw[10:21], []int{5, 5, 1}},
	} {
		got := results[i]
		if !slices.Equal(got.values(t), texts(c.want)) || !slices.Equal(got.Parts, c.parts) || got.Status != "Good" {
			t.Errorf("%s: got %q in parts %v, %s; want %q in parts %v", c.name, got.values(t), got.Parts, got.Status,
				texts(c.want), c.parts)
		}
	}
	between := func(i int, by int64) float64 {
		return *raw[i].Value + (*raw[i+1].Value-*raw[i].Value)*float64(by)/float64(raw[i+1].At-raw[i].At)
	}
	atTimes := []struct {
		value float64
		at    int64
		bits  int
	}{
		{*raw[5].Value, raw[5].At, 0}, {between(50, step/2), raw[50].At + step/2, interpolated},
		{*raw[7].Value, raw[7].At, 0}, {between(120, 1), raw[120].At + 1, interpolated},
	}
	got := results[4].decoded(t)
	for i, want := range atTimes {
		if len(got) != len(atTimes) || got[i].Value == nil || math.Abs(*got[i].Value-want.value) > 1e-9 ||
			got[i].At != want.at || got[i].Bits&historianMask != want.bits || got[i].Status != "Good" {
			t.Fatalf("at times: got %v, want %+v", got, atTimes)
		}
	}
	sameAggregates(t, p.url, mirror, node, raw)
}

// sameAggregates compares aggregates over intervals that lie within a history. Others are
// compared with the examples of OPC 10000-13 in package aggregate: node-opcua does not look
// beyond the time domain for values to interpolate with.
func sameAggregates(t *testing.T, plant, mirror, node string, raw []historyValue) {
	t.Helper()
	step := raw[1].At - raw[0].At
	interval := 5*step + step/2 + 1
	functions := []string{"Average", "Minimum", "Maximum", "Count", "Interpolative"}
	var reads []reading
	for _, f := range functions {
		reads = append(reads, reading{Kind: "aggregate", Node: node, From: raw[10].At, To: raw[10].At + 20*interval,
			Function: f, Interval: interval})
	}
	theirs, ours := historian(t, plant, reads...), historian(t, mirror, reads...)
	for i, f := range functions {
		want, got := theirs[i].decoded(t), ours[i].decoded(t)
		if len(want) != 20 || len(got) != len(want) {
			t.Errorf("%s: got %d values, want the %d of node-opcua, which are 20", f, len(got), len(want))
			continue
		}
		for n := range want {
			w, g := want[n], got[n]
			bits := w.Bits & (calculated | interpolated)
			if f == "Minimum" || f == "Maximum" {
				bits = extremeBits(raw, w)
			}
			if w.Value == nil || g.Value == nil || math.Abs(*g.Value-*w.Value) > 1e-9 || g.At != w.At ||
				g.Status != w.Status || g.Bits&(calculated|interpolated) != bits {
				t.Errorf("%s, interval %d: got %v with bits %#x, want %v with bits %#x", f, n, g, g.Bits, w, bits)
			}
		}
	}
}

// extremeBits returns the bits of a Minimum or Maximum: it is calculated unless it stands at
// the start of its interval (OPC 10000-13 §5.4.3.11). node-opcua leaves the bit out as well
// where any other value stands there.
func extremeBits(raw []historyValue, v historyValue) int {
	for _, r := range raw {
		if v.Value != nil && r.At == v.At && *r.Value == *v.Value {
			return 0
		}
	}
	return calculated
}

// TestAHistorianReadsEvents has events occur before and while the link is cut. node-opcua's
// server keeps none, so the plant's commands are the reference.
func TestAHistorianReadsEvents(t *testing.T) {
	t.Parallel()
	p := startPlant(t, map[string]any{"tags": 20})
	port := await.FreePort(t)
	tx, rx := mirrorTables(p, port, false)
	g := newGateway(t, linktest.Profile{}, tx, rx+"history = \"1d\"\n")
	g.Start()
	g.Ready()
	const events = 10
	raise := func(from, to int) (want []string) {
		for i := from; i < to; i++ {
			p.do(map[string]any{"do": "event", "text": fmt.Sprintf("stroke %d", i), "severity": 100 + i})
			want = append(want, fmt.Sprintf("[\"stroke %d\",%d]", i, 100+i))
			time.Sleep(2 * time.Millisecond) // each has a time of its own
		}
		return want
	}
	from := time.Now().Add(-time.Second)
	want := raise(0, events/2)
	g.Link.SetCut(true)
	want = append(want, raise(events/2, events)...)
	await.NoError(t, "the link is cut for long enough to show", func() error {
		if c := g.RX.Channel("plant"); c.SourceState != "down" {
			return errors.New(c.SourceState)
		}
		return nil
	})
	g.Link.SetCut(false)
	g.Ready()
	strokes := func(r historyResult) (out []string) {
		for _, e := range r.Got {
			if strings.Contains(string(e), "stroke ") {
				out = append(out, string(e))
			}
		}
		return out
	}
	read := reading{Kind: "events", Node: "i=2253", From: from.UnixMilli(),
		To: time.Now().Add(time.Hour).UnixMilli(), Fields: []string{"Message", "Severity"}}
	limited, backward := read, read
	limited.Limit = 3
	backward.From, backward.To = read.To, read.From
	url := fmt.Sprintf("opc.tcp://127.0.0.1:%d", port)
	await.NoError(t, "all events in the mirror's history", func() error {
		if got := strokes(historian(t, url, read)[0]); !slices.Equal(got, want) {
			return fmt.Errorf("got %q, want %q", got, want)
		}
		return nil
	})
	results := historian(t, url, limited, backward)
	if got := strokes(results[0]); !slices.Equal(got, want) || results[0].Parts[0] != 3 {
		t.Errorf("in parts of 3: got %q in parts %v, want %q", got, results[0].Parts, want)
	}
	slices.Reverse(want)
	if got := strokes(results[1]); !slices.Equal(got, want) {
		t.Errorf("backward: got %q, want %q", got, want)
	}
}
