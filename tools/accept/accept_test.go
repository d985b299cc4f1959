package accept

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/platform/status"
)

var start = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// figures are those of a sample that tests set.
type figures struct {
	expected, missing, lost, repaired, damaged, dropped uint64
	medium                                              string
	burst                                               int // run of missing frames: all of them have this length
	received                                            *Receipt
	link                                                *selfreport.Link
}

func counter(n uint64) *uint64 { return &n }

func bins(bounds ...float64) histogram {
	return histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}
}

// at returns a sample some seconds after the start.
func (f figures) at(seconds float64) Sample {
	s := Sample{At: start.Add(time.Duration(seconds * float64(time.Second))), Pair: "hall", Uptime: 10 + seconds}
	s.Link = status.Link{Medium: f.medium, Epoch: 3, Frames: f.expected - f.missing,
		Bytes:     1400 * (f.expected - f.missing),
		CRCErrors: &f.damaged, Lost: &f.lost, Repaired: &f.repaired, Dropped: &f.dropped,
		LastHeartbeatAgeSeconds: new(0.5)}
	s.Measurement = status.Measurement{Sequence: f.expected, Expected: f.expected, Missing: f.missing,
		TransmitterUptimeSeconds: 100 + seconds - 0.5,
		Bursts:                   bins(1, 4, 16, 64, 256, 1024, 4096), Delay: bins(0.001, 0.1, 1)}
	if f.burst > 0 {
		for i, b := range s.Bursts.Bounds {
			if float64(f.burst) <= b {
				s.Bursts.Counts[i] = f.missing / uint64(f.burst)
				break
			}
		}
	}
	s.Delay.Counts[0] = uint64(seconds)
	s.TX = selfreport.Report{Link: f.link, Received: f.received}
	return s
}

// report returns that of ten minutes in which the figures came to be.
func (f figures) report(t *testing.T, reverse Reverse, carrier Carrier) *Report {
	t.Helper()
	if f.medium == "" {
		f.medium = "ethernet"
	}
	first := f
	first.expected, first.missing, first.lost, first.repaired, first.damaged, first.dropped = 0, 0, 0, 0, 0, 0
	r, err := New("test", []Sample{first.at(0), f.at(600)}, reverse, carrier)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// silence and wentOn are of a link that is one-way.
func silence() Reverse {
	return Reverse{Sent: []Means{{Name: "ARP request", Count: 100}}, Left: counter(100), Known: true,
		Before: &Receipt{Interface: counter(0), Reading: 5}, After: &Receipt{Interface: counter(0), Reading: 7}}
}

func wentOn() Carrier {
	return Carrier{Done: true, Passed: true, DarkSeconds: 10, Frames: 1000, Rate: 100}
}

func TestVerdicts(t *testing.T) {
	good := figures{expected: 1_000_000}
	with := func(change func(*figures)) figures { f := good; change(&f); return f }
	reverse := func(change func(*Reverse)) Reverse { r := silence(); change(&r); return r }
	cases := map[string]struct {
		figures
		reverse Reverse
		carrier Carrier
		verdict string
		text    string // in the finding that decides
	}{
		"a good link":     {good, silence(), wentOn(), VerdictPass, ""},
		"nothing arrives": {figures{}, silence(), wentOn(), VerdictFail, "too few"},
		"24 frames":       {figures{expected: 24}, silence(), wentOn(), VerdictFail, "not done loss"},
		"a link that was silent for all of ten minutes": {figures{}, silence(), wentOn(), VerdictFail,
			"no frame arrived for 600 s"},
		"both ends on one machine": {with(func(f *figures) { f.medium = "udp" }), reverse(func(r *Reverse) {
			r.OneMachine, r.After.Interface, r.After.Socket = true, nil, counter(100)
		}), wentOn(), VerdictRemarks, "both ends are on one machine"},
		"a dirty fibre": {with(func(f *figures) { f.missing, f.burst, f.repaired = 1000, 1, 900 }), silence(), wentOn(),
			VerdictRemarks, "1000 of 1000000 frames missing"},
		"a bad link": {with(func(f *figures) { f.missing, f.burst = 20_000, 1 }), silence(), wentOn(), VerdictFail,
			"2 %"},
		"a line's design loss": {with(func(f *figures) { f.medium, f.missing, f.burst = "uart", 5000, 1 }), silence(),
			wentOn(),
			VerdictFail, "5000 of"},
		"lost beyond repair": {with(func(f *figures) { f.missing, f.burst, f.lost = 40, 4, 2 }), silence(), wentOn(),
			VerdictFail,
			"2 frames lost beyond repair"},
		"a burst near the limit": {with(func(f *figures) { f.missing, f.burst = 200, 200 }), silence(), wentOn(),
			VerdictRemarks,
			"at most 256"},
		"a slow receiver": {with(func(f *figures) { f.missing, f.burst, f.dropped = 10, 1, 10 }), silence(), wentOn(),
			VerdictRemarks,
			"kernel dropped 10 frames"},
		"something came back": {good, reverse(func(r *Reverse) { r.After.Interface = counter(1) }), wentOn(),
			VerdictFail,
			"1 packets since TX started"},
		"something had come back before": {good, reverse(func(r *Reverse) {
			r.Before.Interface, r.After.Interface = counter(4), counter(4)
		}), wentOn(), VerdictFail, "4 packets before the probe"},
		"something came back without a probe": {good, reverse(func(r *Reverse) {
			r.Sent, r.After.Interface = nil,
				counter(1)
		}),
			wentOn(), VerdictFail, "1 packets"},
		"UDP probes at TX's interface": {with(func(f *figures) { f.medium = "udp" }), reverse(func(r *Reverse) {
			r.Before.Interface, r.After.Interface = counter(7), counter(107)
		}), wentOn(), VerdictFail, "107 packets since TX started, 7 packets before"},
		"a UDP probe at TX's socket": {with(func(f *figures) { f.medium = "udp" }), reverse(func(r *Reverse) {
			r.After.Interface, r.After.Socket = nil, counter(1)
		}), wentOn(), VerdictFail, "1 datagrams since"},
		"a diode that answers ARP": {with(func(f *figures) { f.medium = "udp" }), reverse(func(r *Reverse) {
			r.Before.Interface, r.After.Interface, r.After.Socket = counter(7), counter(8), counter(0)
		}), wentOn(), VerdictRemarks, "its interface has received 8 packets, 1 meanwhile"},
		"bytes on a serial line": {good, Reverse{After: &Receipt{Line: counter(16)}, Known: true}, wentOn(),
			VerdictFail, "16 bytes"},
		"no probe": {good, reverse(func(r *Reverse) { r.Sent, r.Reason = nil, "no root" }), wentOn(),
			VerdictRemarks, "no root"},
		"probes that failed, each": {good, reverse(func(r *Reverse) {
			r.Sent = []Means{{Name: "ARP request", Error: "network is down"}}
		}), wentOn(), VerdictRemarks, "nothing was sent towards TX: network is down"},
		"a pin that is closed": {good, reverse(func(r *Reverse) { r.Limit = "an input" }), wentOn(), VerdictRemarks,
			"0 received at TX: an input"},
		"counters that did not cross": {good, reverse(func(r *Reverse) { r.Known, r.Reason = false, "silent" }),
			wentOn(),
			VerdictRemarks, "not known: silent"},
		"a board that counts nothing": {good, reverse(func(r *Reverse) { r.After = &Receipt{Reading: 9} }), wentOn(),
			VerdictRemarks,
			"not known"},
		"probes that never left": {good, reverse(func(r *Reverse) { r.Left = counter(12) }), wentOn(), VerdictRemarks,
			"never left RX"},
		"no carrier test": {good, silence(), Carrier{Reason: "skipped"}, VerdictRemarks, "skipped"},
		"a carrier test that failed": {good, silence(), Carrier{Done: true, Fault: "TX stopped"}, VerdictFail,
			"TX stopped"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := c.figures.report(t, c.reverse, c.carrier)
			var decisive string
			for _, f := range r.Findings {
				if f.Level != Pass {
					decisive += string(f.Level) + " " + f.Subject + ": " + f.Text + "\n"
				}
				if f.Level != Pass && f.Do == "" {
					t.Errorf("%q says nothing about what to do", f.Text)
				}
			}
			if r.Verdict != c.verdict || !strings.Contains(decisive, c.text) || c.text == "" && decisive != "" {
				t.Errorf("got %s:\n%s\nwant %s, %q", r.Verdict, decisive, c.verdict, c.text)
			}
		})
	}
}

func TestRecommendations(t *testing.T) {
	link := &selfreport.Link{Overhead: 0.25, BytesPerSecond: 12.5e6}
	serial := &selfreport.Link{Overhead: 0.25, BytesPerSecond: 92160}
	cases := map[string]struct {
		figures
		want string
	}{
		"few frames, many missing": {figures{expected: 60, missing: 18, burst: 1}, `overhead = "100%"`},
		"too few frames":           {figures{expected: 24}, "measure for longer"},
		"nothing lost":             {figures{expected: 1e7}, `overhead = "10%"`},
		"nothing lost, shortly":    {figures{expected: 200}, `overhead = "20%"`},
		"one in a hundred":         {figures{expected: 1e6, missing: 10_000, burst: 1}, `overhead = "20%"`},
		"one in ten":               {figures{expected: 1e6, missing: 100_000, burst: 1}, `overhead = "75%"`},
		"runs of 256":              {figures{expected: 1e8, missing: 256, burst: 256}, `overhead = "25%"`},
		"runs of 1024":             {figures{expected: 1e8, missing: 1024, burst: 1024}, `overhead = "100%"`},
		"runs that only bulk repairs": {figures{expected: 1e8, missing: 4096, burst: 4096},
			`overhead = "50%", and class = "bulk"`},
		"a slow receiver": {figures{expected: 1e7, dropped: 5, link: link}, `rate = "70Mbit/s"`},
		"no less while frames are missing": {figures{expected: 1e7, missing: 1, burst: 1, link: link},
			`overhead = "25%" (now 25%)`},
		"what TX has":   {figures{expected: 1e7, link: link}, "(now 25%)"},
		"a serial line": {figures{medium: "uart", expected: 1e7, link: serial}, `overhead = "10%"`},
		"runs of 4 on a serial line": {figures{medium: "uart", expected: 1e7, missing: 40, burst: 4,
			link: serial}, `overhead = "25%"`},
		"a noisy line": {figures{medium: "uart", expected: 1e5, missing: 20_000, burst: 1,
			link: serial}, "baud = 460800 on both"},
		"a slow receiver of a serial line": {figures{medium: "uart", expected: 1e7, dropped: 1, link: serial},
			"baud = 460800"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := c.figures.report(t, silence(), wentOn()).Recommendation.Text; !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// What is recommended repairs what was measured.
func TestTheRecommendedOverheadRepairsTheLongestRun(t *testing.T) {
	for run := 1; run <= 1024; run *= 4 {
		f := figures{expected: 1e8, missing: uint64(run), burst: run}
		r := f.report(t, silence(), wentOn())
		l := LimitsOf("ethernet", &selfreport.Link{Overhead: r.Recommendation.Overhead})
		if l.Short < run {
			t.Errorf("runs of %d: %s repairs %d", run, r.Recommendation.Text, l.Short)
		}
	}
}

func TestLimitsFollowTheProfile(t *testing.T) {
	for _, c := range []struct {
		medium      string
		overhead    float64
		short, long int
	}{
		{"ethernet", 0.25, 256, 2048},
		{"udp", 0.10, 112, 896},
		{"udp", 0, 16, 128}, // at least one parity frame
		{"ethernet", 5, 1024, 8192},
		{"uart", 0.25, 4, 16},
	} {
		got := LimitsOf(c.medium, &selfreport.Link{Overhead: c.overhead})
		if got.Short != c.short || got.Long != c.long || got.Assumed {
			t.Errorf("%s at %.0f%%: got %+v, want %d and %d", c.medium, 100*c.overhead, got, c.short, c.long)
		}
	}
	if got := LimitsOf("udp", nil); got.Overhead != 0.25 || !got.Assumed {
		t.Errorf("unknown: got %+v, want the default, said so", got)
	}
}

// The bounds are those of the χ² distribution, to 2 %.
func TestUpperBounds(t *testing.T) {
	for n, want := range map[float64]float64{0: 2.996, 1: 4.744, 5: 10.513, 20: 29.062, 100: 118.08} {
		if got := poissonUpper(n); math.Abs(got/want-1) > 0.02 {
			t.Errorf("%.0f events: got %.3f, want %.3f", n, got, want)
		}
	}
	if rate, upper := rates(0, 0); rate != 0 || upper != 0 {
		t.Errorf("of nothing: got %v, %v", rate, upper)
	}
}

func TestBitErrorsOfALineAreThoseThatItsCodeCorrected(t *testing.T) {
	w := &Window{Frames: 1000, Expected: 1000, Bytes: 1e6, Corrected: 80}
	if e := EstimateErrors("uart", w); e.BitRate != 1e-5 {
		t.Errorf("got %v, want 1e-5", e.BitRate)
	}
	w = &Window{Frames: 900, Expected: 1000, Missing: 100, Dropped: 40, Bytes: 900 * 1000}
	if e := EstimateErrors("udp", w); e.FrameRate != 0.06 || math.Abs(e.BitRate-60.0/8e6) > 1e-12 {
		t.Errorf("got %+v; what the kernel dropped is not the link's", e)
	}
}

func TestAnotherRunOfTheReceiverIsNotMeasuredOn(t *testing.T) {
	a := figures{expected: 100}.at(0)
	for name, change := range map[string]func(*Sample){
		"restarted": func(s *Sample) { s.Uptime = 1 },
		"fewer":     func(s *Sample) { s.Expected = 50 },
		"another":   func(s *Sample) { s.Pair = "mill" },
	} {
		b := figures{expected: 200}.at(10)
		change(&b)
		if _, err := Between(&a, &b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// statusOf is the /status.json of a sample.
func statusOf(s Sample) []byte {
	b, err := json.Marshal(status.Snapshot{Role: "rx", Pair: s.Pair, UptimeSeconds: s.Uptime, Link: s.Link,
		Measurement: &s.Measurement, Transmitter: map[string]string{
			"version": "2.1.0", "link": `{"overhead":0.25,"bytes_per_second":12500000}`,
			"link_received": `{"interface":0,"reading":7}`,
		}})
	if err != nil {
		panic(err)
	}
	return b
}

func TestASampleIsReadFromTheStatusPort(t *testing.T) {
	want := figures{medium: "udp", expected: 500, missing: 3, burst: 1}.at(5)
	got, err := ParseSample(want.At, statusOf(want))
	if err != nil || got.Expected != 500 || got.Missing != 3 || got.Bursts.Counts[0] != 3 ||
		got.TX.Link.Overhead != 0.25 ||
		*got.TX.Received.Interface != 0 || got.TX.Received.Reading != 7 || got.TX.Version != "2.1.0" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWhatIsNoReceiverIsRefused(t *testing.T) {
	good := string(statusOf(figures{medium: "udp", expected: 5}.at(1)))
	for name, c := range map[string]struct{ text, want string }{
		"not JSON":          {"<html>", "is not the status port"},
		"heliotx":           {`{"role":"tx"}`, "this is heliotx"},
		"an older one":      {`{"role":"rx"}`, "older than this program"},
		"counts too few":    {strings.Replace(good, `"counts":[`, `"counts":[0],"c":[`, 1), "malformed"},
		"bounds that fall":  {strings.Replace(good, `"bounds":[1,4`, `"bounds":[4,1`, 1), "malformed"},
		"a count too large": {strings.Replace(good, `"expected":5`, `"expected":18446744073709551615`, 1), "malformed"},
		"a count below 0":   {strings.Replace(good, `"expected":5`, `"expected":-5`, 1), "does not decode"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseSample(start, []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// FuzzSample has a hostile status port answer twice: any report of it is made, with a page
// that runs nothing, and neither panics nor is large.
func FuzzSample(f *testing.F) {
	s := figures{medium: "udp", expected: 500, missing: 30, burst: 3}
	f.Add(statusOf(s.at(0)), statusOf(s.at(10)))
	f.Add([]byte(`{"role":"rx","measurement":{}}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		first, err := ParseSample(start, a)
		if err != nil {
			return
		}
		second, err := ParseSample(start.Add(time.Minute), b)
		if err != nil {
			return
		}
		r, err := New("fuzz", []Sample{first, second}, Reverse{Before: first.TX.Received, After: second.TX.Received,
			Known: true},
			JudgeCarrier([]Sample{first, second}, &first, &second))
		if err != nil {
			return
		}
		signed, err := Sign(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(signed.Page) > 1<<18 || len(signed.JSON) > 1<<18 {
			t.Errorf("the files have %d and %d bytes", len(signed.Page), len(signed.JSON))
		}
		if page := strings.ToLower(string(signed.Page)); strings.Contains(page, "<script") || strings.Contains(page,
			"nan") &&
			strings.Contains(page, "=\"nan") {
			t.Error("the page has a script, or a number that is none")
		}
	})
}

func TestDarkTimeIsFound(t *testing.T) {
	at := func(frames ...uint64) (list []Sample) {
		for i, n := range frames {
			list = append(list, figures{expected: n}.at(float64(i)))
		}
		return list
	}
	for _, c := range []struct {
		frames        []uint64
		before, after int
		found, dark   bool
	}{
		{[]uint64{1, 2, 3}, 0, 0, false, false},
		{[]uint64{1, 2, 2, 2}, 0, 0, false, false},
		{[]uint64{1, 2, 2, 2, 2}, 0, 0, false, true},
		{[]uint64{1, 2, 2, 2, 3, 4}, 0, 0, false, false}, // idle for 2 s
		{[]uint64{1, 2, 2, 2, 2, 2, 3, 4}, 1, 6, true, false},
	} {
		before, after, found := Dark(at(c.frames...))
		if found != c.found || found && (before != c.before || after != c.after) || IsDark(at(c.frames...)) != c.dark {
			t.Errorf("%v: got %d, %d, %v, dark %v", c.frames, before, after, found, IsDark(at(c.frames...)))
		}
	}
}

func TestTheCarrierTest(t *testing.T) {
	var light []Sample
	for i := range 120 {
		light = append(light, figures{expected: uint64(100 * i)}.at(float64(i)))
	}
	cases := map[string]struct {
		change func(after *Sample)
		fault  string
	}{
		"TX went on":               {func(*Sample) {}, ""},
		"TX went on, a bit faster": {func(s *Sample) { s.Sequence += 200 }, ""},
		"TX stopped":               {func(s *Sample) { s.Sequence -= 950 }, "5.0 frames a second in the dark"},
		"TX sent far more":         {func(s *Sample) { s.Sequence += 2000 }, "in the dark"},
		"TX was restarted":         {func(s *Sample) { s.Link.Epoch, s.Sequence = 4, 900 }, "epoch was 3 and is 4"},
		"TX's numbers fell":        {func(s *Sample) { s.Sequence = 9 }, "fell"},
		"TX's clock stood": {func(s *Sample) { s.TransmitterUptimeSeconds -= 8 },
			"clock went on by 2.0 s in 10.0 s"},
		"the fibre was not out": {func(s *Sample) { s.Link.Frames += 1000 },
			"not dark: 1000 of the 1000 frames of these 10 s arrived"},
		"it was out for 1 s": {func(s *Sample) { s.Link.Frames += 900 }, "not dark: 900 of the 1000"},
		"it was out for 2 s": {func(s *Sample) { s.Link.Frames += 800 }, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before, after := figures{expected: 12_000}.at(120), figures{expected: 13_000, missing: 1000}.at(130)
			c.change(&after)
			got := JudgeCarrier(light, &before, &after)
			if got.Passed != (c.fault == "") || !strings.Contains(got.Fault+got.Reason, c.fault) {
				t.Errorf("got %+v, want %q", got, c.fault)
			}
		})
	}
	before, after := figures{expected: 100}.at(120), figures{expected: 200}.at(130)
	for name, change := range map[string]func(*Sample){
		"heliorx was restarted": func(s *Sample) { s.At, s.Uptime, s.Link.Epoch = start, 1, 7 },
		"at the same moment":    func(s *Sample) { s.At = before.At },
	} {
		after := after
		change(&after)
		if got := JudgeCarrier(light, &before, &after); got.Done || got.Reason == "" {
			t.Errorf("%s: got %+v, want not done", name, got)
		}
	}
	signed := after
	signed.proof = &Proof{}
	if got := JudgeCarrier(light, &before, &signed); got.Done || !strings.Contains(got.Reason, "for other clients") {
		t.Errorf("none of the samples with light is signed: got %+v, want not done, and others as the reason", got)
	}
	if got := JudgeCarrier(light[:1], &before, &after); got.Done || !strings.Contains(got.Reason, "more --minutes") {
		t.Errorf("without a measurement with light: got %+v", got)
	}
}

func TestAReadingOfTXIsNewerOnlyIfItWasReadAfterwards(t *testing.T) {
	of := func(reading uint64) Sample { return figures{received: &Receipt{Reading: reading}}.at(0) }
	sent := of(5)
	for reading, want := range map[uint64]bool{4: false, 5: false, 6: false, 7: true} {
		now := of(reading)
		if Newer(&sent, &now) != want {
			t.Errorf("reading %d after 5: got %v", reading, !want)
		}
	}
	now := of(7)
	if now.Link.Epoch++; Newer(&sent, &now) {
		t.Error("a reading of another run of TX counts")
	}
	if now := (figures{}).at(1); Newer(&sent, &now) {
		t.Error("no reading counts")
	}
}

// What TX counts after a restart says nothing of before, and the other way round.
func TestCountersOfAnotherRunOfTXAreNotKnown(t *testing.T) {
	of := func(epoch, reading uint64) *Sample {
		s := figures{received: &Receipt{Interface: counter(0), Reading: reading}}.at(0)
		s.Link.Epoch = epoch
		if reading == 0 {
			s.TX.Received = nil
		}
		return &s
	}
	for name, c := range map[string]struct {
		before, sent, now, first uint64 // epochs, and the reading before the probe
		known                    bool
	}{
		"one run":                       {3, 3, 3, 9, true},
		"restarted before the probe":    {3, 4, 4, 9, false},
		"restarted after the last one":  {3, 3, 4, 9, false},
		"restarted before and after it": {3, 4, 5, 9, false},
		"not counted before the probe":  {3, 3, 3, 0, false},
	} {
		r := silence()
		if r.Counted(of(c.before, c.first), of(c.sent, 1), of(c.now, 3)); r.Known != c.known {
			t.Errorf("%s: got known %t", name, r.Known)
		}
	}
}

func TestPointsCoverTheMeasurement(t *testing.T) {
	var list []Sample
	for i := range 1000 {
		list = append(list, figures{expected: uint64(50 * i)}.at(float64(i)))
	}
	got := Points(list, 300)
	if len(got) < 200 || len(got) > 300 || got[0].Frames != 50 || got[len(got)-1].Seconds < 990 {
		t.Errorf("got %d points, the last at %v", len(got), got[len(got)-1])
	}
}

func ExamplePercent() {
	fmt.Println(Percent(0), "|", Percent(2.5e-7), "|", Percent(0.00123), "|", Percent(0.25))
	// Output: 0 % | 2.5e-7 | 0.12 % | 25 %
}
