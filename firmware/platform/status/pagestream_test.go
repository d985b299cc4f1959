package status

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// next returns what a page is sent for a snapshot.
func next(t *testing.T, p *pageStream, s Snapshot, now time.Time) pageEvent {
	t.Helper()
	var live livePage
	newest, err := live.newest(now, func() Snapshot { return s })
	if err != nil {
		t.Fatal(err)
	}
	event, err := p.next(newest)
	if err != nil {
		t.Fatal(err)
	}
	head, data, _ := bytes.Cut(bytes.TrimSuffix(event, []byte("\n\n")), []byte("\n"))
	body, found := bytes.CutPrefix(data, []byte("data: "))
	if string(head) != "event: page" || !found || bytes.ContainsRune(body, '\n') {
		t.Fatalf("got %q", event)
	}
	var got pageEvent
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAnOpenPageIsSentWhatChanged(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	var p pageStream
	all := slices.Sorted(maps.Keys(next(t, &p, rx(), now).Parts))
	want := append((&view{Snapshot: rx()}).partNames(), "top")
	slices.Sort(want)
	if !slices.Equal(all, want) {
		t.Errorf("first: got %q, want all parts: %q", all, want)
	}
	same := slices.Sorted(maps.Keys(next(t, &p, rx(), now.Add(time.Second)).Parts))
	if !slices.Equal(same, []string{"top"}) {
		t.Errorf("the same a second later: got %q, want the time in top alone", same)
	}
	changed := rx()
	changed.Link.Frames++
	got := next(t, &p, changed, now.Add(time.Second)).Parts
	if len(got) != 1 || !strings.Contains(got["link"], `id="link"`) {
		t.Errorf("another frame: got %q, want the link", slices.Collect(maps.Keys(got)))
	}
}

// Pages that are open share what is rendered.
func TestThePageIsRenderedOnceASecond(t *testing.T) {
	var live livePage
	rendered := 0
	for _, after := range []time.Duration{0, 1, time.Second - 1, time.Second, time.Second + 1} {
		if _, err := live.newest(time.Unix(0, 0).Add(after), func() Snapshot { rendered++; return rx() }); err != nil {
			t.Fatal(err)
		}
	}
	if rendered != 2 {
		t.Errorf("rendered %d times in two seconds", rendered)
	}
}

func TestAssetsAreKeptByBrowsersUntilTheyChange(t *testing.T) {
	s := server(rx())
	for name, a := range assets() {
		r := get(t, s, http.MethodGet, a.path, nil)
		if body := bodyOf(t, r); r.StatusCode != http.StatusOK || body != string(a.content) ||
			r.Header.Get("Content-Type") != a.kind || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: got %d, %v", name, r.StatusCode, r.Header)
		}
		if _, old, _ := strings.Cut(strings.TrimPrefix(a.path, "/assets/"), "/"); old == name {
			r := get(t, s, http.MethodGet, "/assets/000000000000/"+old, nil)
			if r.StatusCode != http.StatusNotFound || r.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s with another hash: got %d, %v", name, r.StatusCode, r.Header)
			}
		}
	}
	if len(assets()) < 6 {
		t.Errorf("got %d assets", len(assets()))
	}
}

func TestAConfigurationThatIsRefusedIsShownAlone(t *testing.T) {
	s := Snapshot{Role: "tx", Refused: []string{`heliograph.toml:3: <b>"x"</b>`}}
	got := words(bodyOf(t, get(t, server(s), http.MethodGet, "/", nil)))
	for _, want := range []string{"✕ TX – heliograph", "Configuration refused: the role does not run.",
		"boot partition", `heliograph.toml:3: &lt;b&gt;"x"`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "Channels") {
		t.Errorf("more than that is shown:\n%s", got)
	}
}

func TestRepairsSayHowMuchParityTheyTook(t *testing.T) {
	bounds := []float64{1, 2, 4}
	got := (&view{Snapshot: Snapshot{Measurement: &Measurement{Classes: []ClassRepairs{
		{Class: "low-latency", Needed: Histogram{Bounds: bounds, Counts: []uint64{90, 9, 1, 0}}, Beyond: 2},
		{Class: "bulk", Needed: Histogram{Bounds: bounds, Counts: []uint64{0, 0, 0, 5}}},
		{Class: "replay", Needed: Histogram{Bounds: bounds, Counts: []uint64{0, 0, 0, 0}}},
	}}}}).Repairs()
	want := []repairs{{"low-latency", "4", 100, 2}, {"bulk", "more than 4", 5, 0}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWhatIsNotKnownIsADash(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{count(nil), "–"}, {count(Of[uint64](0)), "0"}, {count(Of[uint64](1234567)), "1\u202f234\u202f567"},
		{perSecond(nil), "–"}, {perSecond(Of(0.)), "0/s"}, {perSecond(Of(0.25)), "0.2/s"},
		{perSecond(Of(1999.6)), "2\u202f000/s"},
		{share(nil, 5), ""}, {share(Of[uint64](1), 0), ""}, {share(Of[uint64](1), 1e6), "< 0.01 %"},
		{share(Of[uint64](5), 1000), "0.50 %"},
		{daysLeft(Certificate{DaysLeft: -1}), "expired"}, {daysLeft(Certificate{DaysLeft: 0}), "0"},
		{certificateTone(Certificate{DaysLeft: 29}), "warn"}, {certificateTone(Certificate{DaysLeft: 6}), "bad"},
		{certificateTone(Certificate{DaysLeft: 30}), ""},
		{seconds(nil), "–"}, {seconds(Of(0.44)), "0.4 s"}, {seconds(Of(84.)), "1 min 24 s"}, {humanBytes(0), "0"},
		{moment(time.Time{}), "–"}, {tone("bad", nil), "n zero"}, {tone("bad", Of[uint64](1)), "n bad"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
