package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/status"
	"heliograph/tools/accept"
)

// pair is a transmitter that sends 20 frames a second, and a receiver that shows them.
type pair struct {
	start    time.Time
	dark     [2]time.Duration // from when to when the fibre is out
	stops    bool             // TX while it is dark
	answers  time.Time        // again from then on
	silent   bool             // the status port does not answer
	off      bool             // TX, all the time
	foreign  bool             // frames of another key arrive
	probed   bool
	received uint64
	stuck    bool          // TX's readings do not cross
	board    bool          // TX reports none
	console  bool          // RX is a board
	pressed  time.Duration // from when on its probe is shown; 0: it is not pressed
	reason   string        // of the probe
	unsent   bool          // nothing left
	loopback bool          // both are on one machine
	restart  time.Duration // when heliorx is restarted; 0: never
	again    bool          // TX is restarted when the probes are sent
}

// probe is what RX's board shows.
func (p *pair) probe(now time.Duration) *machine.Probe {
	b := &machine.Probe{Key: "v", Time: p.start.Add(-time.Hour)} // of an earlier acceptance
	if p.pressed > 0 && now >= p.pressed {
		p.probed = true
		b.Time, b.Left, b.Reason = p.start.Add(p.pressed), status.Of[uint64](100), p.reason
		if !p.unsent {
			b.Sent = []machine.Means{{Name: "ARP request", Count: 100}}
		}
	}
	return b
}

// arrived is how many frames have arrived until then.
func (p *pair) arrived(now time.Duration) uint64 {
	switch {
	case now >= p.dark[1]:
		now -= p.dark[1] - p.dark[0]
	case now >= p.dark[0]:
		now = p.dark[0]
	}
	return uint64(now / (50 * time.Millisecond))
}

func (p *pair) get(context.Context) ([]byte, error) {
	if p.silent || time.Now().Before(p.answers) {
		return nil, errors.New("connection refused")
	}
	now := time.Since(p.start)
	last := now // frame that arrived last, by when it was sent
	if now >= p.dark[0] && now < p.dark[1] {
		last = p.dark[0]
	}
	numbered, beat := last, last.Truncate(time.Second)
	if p.stops && now >= p.dark[1] && p.dark[1] > 0 {
		numbered -= p.dark[1] - p.dark[0]
	}
	n := p.arrived(now)
	sequence := uint64(numbered / (50 * time.Millisecond))
	age := (now - beat).Seconds()
	reading := uint64(last / (2 * time.Second))
	if p.stuck {
		reading = 1
	}
	received := fmt.Sprintf(`{"interface":%d,"reading":%d}`, p.received, reading)
	transmitter := map[string]string{"version": "2", "link_received": received}
	if p.board {
		delete(transmitter, "link_received")
	}
	strange := uint64(0)
	if p.foreign {
		strange = uint64(now / (50 * time.Millisecond))
	}
	if p.off {
		n, age = 0, 3600
	}
	epoch, uptime := uint64(1), 1+now.Seconds()
	if p.restart > 0 && now >= p.restart {
		uptime -= p.restart.Seconds()
		if n -= p.arrived(p.restart); n == 0 {
			epoch, sequence = 0, 0
		}
	}
	if p.again && p.probed {
		epoch++
	}
	bins := status.Histogram{Bounds: []float64{1}, Counts: []uint64{0, 0}}
	delay := status.Histogram{Bounds: []float64{1}, Counts: []uint64{uint64(beat / time.Second), 0}}
	var boards []status.Board
	if p.console {
		boards = []status.Board{{Role: "rx", Facts: machine.Facts{Probe: p.probe(now)}}}
	}
	return json.Marshal(status.Snapshot{
		Boards: boards,
		Role:   "rx", Pair: "hall", UptimeSeconds: uptime, Transmitter: transmitter,
		Link: status.Link{Medium: "ethernet", Loopback: p.loopback, Epoch: epoch,
			Frames: n, Bytes: 1000 * n, LastHeartbeatAgeSeconds: &age,
			AuthFailures: &strange},
		Measurement: &status.Measurement{Sequence: sequence, TransmitterUptimeSeconds: beat.Seconds(), Expected: n,
			Bursts: bins, Delay: delay},
	})
}

// run takes a pair through an acceptance of a minute.
func run(t *testing.T, p *pair, change func(*Config)) (r *accept.Report, said string, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p.start = time.Now()
		var lines []string
		progress := 0.0
		c := Config{Get: p.get, Length: time.Minute, Say: func(s string) { lines = append(lines, s) },
			Progress: func(done float64) { progress = done }, Wait: func(string, time.Duration) {},
			Probe: func(context.Context) accept.Reverse {
				p.probed = true
				sent := uint64(100)
				return accept.Reverse{Sent: []accept.Means{{Name: "ARP request", Count: 100}}, Left: &sent}
			}}
		if change != nil {
			change(&c)
		}
		r, err = Run(t.Context(), c)
		said = strings.Join(lines, "\n")
		if err == nil && change == nil && progress != 1 {
			t.Errorf("the progress ends at %v", progress)
		}
	})
	return r, said, err
}

func TestAnAcceptance(t *testing.T) {
	out := [2]time.Duration{90 * time.Second, 100 * time.Second}
	skip := func(c *Config) { c.NoCarrier = "skipped" }
	remote := func(c *Config) { skip(c); c.Probe = nil }
	cases := map[string]struct {
		pair    pair
		change  func(*Config)
		verdict string
		text    string // in the findings
	}{
		"a one-way link": {pair{dark: out}, nil, accept.VerdictPass, "(20.0 a second)"},
		"a back-channel": {pair{dark: out, received: 100}, nil, accept.VerdictFail,
			"100 packets since TX started"},
		"TX stops in the dark": {pair{dark: out, stops: true}, nil, accept.VerdictFail, "in the dark"},
		"the fibre stays in":   {pair{}, nil, accept.VerdictRemarks, "without a pause"},
		"the fibre stays out": {pair{dark: [2]time.Duration{90 * time.Second, time.Hour}}, nil,
			accept.VerdictRemarks, "arrived again"},
		"heliorx is restarted in the dark": {pair{dark: out, restart: 97 * time.Second}, nil, accept.VerdictRemarks,
			"heliorx was restarted meanwhile"},
		"heliorx is restarted before the dark": {pair{dark: out, restart: 85 * time.Second}, nil,
			accept.VerdictRemarks, "heliorx was restarted meanwhile"},
		"heliorx is restarted before the key is pressed": {pair{console: true, restart: 80 * time.Second,
			pressed: 90 * time.Second}, remote, accept.VerdictRemarks, "heliorx was restarted meanwhile"},
		"no carrier test":          {pair{}, skip, accept.VerdictRemarks, "skipped"},
		"TX's counts do not cross": {pair{stuck: true}, skip, accept.VerdictRemarks, "did not cross within"},
		"TX is restarted before it counts": {pair{again: true}, skip, accept.VerdictRemarks,
			"TX was restarted after the measurement"},
		"a board": {pair{board: true}, skip, accept.VerdictRemarks, "does not report what its end"},
		"no probe": {pair{}, func(c *Config) { skip(c); c.Probe, c.NoProbe.Reason = nil, "no root" },
			accept.VerdictRemarks, "no root; TX has received 0"},
		"a board sends its probes": {pair{console: true, pressed: 90 * time.Second}, remote, accept.VerdictRemarks,
			"pass 100 probes sent by 1 means, 0 received at TX"},
		"a board's link has a back-channel": {pair{console: true, pressed: 90 * time.Second, received: 100}, remote,
			accept.VerdictFail, "100 packets since TX started"},
		"a board without TX's counts": {pair{console: true, pressed: 90 * time.Second, board: true}, remote,
			accept.VerdictRemarks, "not done 100 probes were sent, and what TX received is not known"},
		"a board that could not send": {pair{console: true, pressed: 90 * time.Second, reason: "away", unsent: true},
			remote, accept.VerdictRemarks, "not done nothing was sent towards TX: away; TX has received 0"},
		"a board that was interrupted": {pair{console: true, pressed: 90 * time.Second, reason: "cancelled"}, remote,
			accept.VerdictRemarks, "remark 100 probes sent by 1 means, 0 received at TX: cancelled"},
		"a probe before the end does not count": {pair{console: true, pressed: 30 * time.Second}, remote,
			accept.VerdictRemarks, "not done nothing was sent towards TX: key v was not pressed at RX's"},
		"nothing is pressed": {pair{console: true}, remote, accept.VerdictRemarks,
			"key v was not pressed at RX's console within 120 s; TX has received 0"},
		"another machine that is not a board": {pair{}, remote, accept.VerdictRemarks,
			"RX is another machine, and not a board"},
		"a board, and --probes 0": {pair{console: true}, func(c *Config) { remote(c); c.NoProbe.Reason = "--probes 0" },
			accept.VerdictRemarks, "nothing was sent towards TX: --probes 0"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, said, err := run(t, &c.pair, c.change)
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, f := range r.Findings {
				texts = append(texts, string(f.Level)+" "+f.Text)
			}
			if all := strings.Join(texts, "\n"); r.Verdict != c.verdict || !strings.Contains(all, c.text) {
				t.Errorf("got %s\n%s\nwant %s, %q", r.Verdict, all, c.verdict, c.text)
			}
			if r.Window.Seconds != 60 || r.Window.Expected != 1200 {
				t.Errorf("got %+v, want 1200 frames in 60 s", r.Window)
			}
			want := c.pair.console && !strings.Contains(c.text, "--probes 0")
			if asked := strings.Contains(said, "press v at the console"); asked != want {
				t.Errorf("asked for the key: %t, want %t: %s", asked, want, said)
			}
			if c.change == nil && !strings.Contains(said, "pull the fibre") {
				t.Errorf("the user was not asked: %s", said)
			}
		})
	}
}

func TestAPairOnOneMachineIsToBeMeasuredOnTwo(t *testing.T) {
	for name, c := range map[string]accept.Reverse{
		"without probes": {Reason: "--probes 0 was given", Cure: "leave out --probes"},
		"of another RX":  {},
	} {
		r, said, err := run(t, &pair{loopback: true, board: true}, func(cfg *Config) {
			cfg.Probe, cfg.NoProbe = nil, c
		})
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, f := range r.Findings {
			if f.Subject == "reverse probe" || f.Subject == "carrier test" {
				if found++; f.Level != accept.NotDone || !strings.Contains(f.Do, "two machines") {
					t.Errorf("%s: got %+v", name, f)
				}
			}
		}
		if found != 2 || strings.Contains(said, "pull") {
			t.Errorf("%s: got %d findings; said %s", name, found, said)
		}
	}
}

func TestAStatusPortThatDoesNotAnswer(t *testing.T) {
	if _, _, err := run(t, &pair{silent: true}, nil); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("from the beginning: got %v", err)
	}
	p := &pair{}
	_, _, err := run(t, p, func(c *Config) {
		c.Progress = func(done float64) { p.silent = done > 0.5 }
	})
	if err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("from the middle: got %v", err)
	}
	p = &pair{}
	r, _, err := run(t, p, func(c *Config) {
		c.NoCarrier = "skipped"
		c.Progress = func(done float64) {
			if p.answers.IsZero() && done > 0.5 {
				p.answers = time.Now().Add(5 * time.Second)
			}
		}
	})
	if err != nil || r.Window.Expected < 1000 {
		t.Errorf("for a while: got %v", err)
	}
}

func TestASilentLinkIsNotMeasured(t *testing.T) {
	for want, p := range map[string]*pair{"start heliotx": {off: true}, "pair key": {off: true, foreign: true}} {
		_, said, err := run(t, p, func(c *Config) { c.Length = time.Hour })
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(said, "measuring") {
			t.Errorf("got %v, said %q; want %q and no measurement", err, said, want)
		}
	}
}

// While the user has something to do, the seconds are counted down; a fibre that stays out is
// said after a minute.
func TestTheCarrierTestCountsDown(t *testing.T) {
	p := &pair{dark: [2]time.Duration{90 * time.Second, time.Hour}}
	var waits []string
	_, said, err := run(t, p, func(c *Config) {
		c.Wait = func(what string, left time.Duration) { waits = append(waits, fmt.Sprint(what, " ", left)) }
	})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(waits, "\n")
	for _, want := range []string{"pull the fibre 2m0s\npull the fibre 1m59s", "put it back in 10s\nput it back in 9s",
		"waiting for a frame 2m"} {
		if !strings.Contains(all, want) {
			t.Errorf("got %s\nwant %q", all, want)
		}
	}
	for _, want := range []string{"within 120 s; --skip-carrier-test",
		"put it back now\nno frame for 60 s: the fibre is not put back, or TX is off"} {
		if !strings.Contains(said, want) {
			t.Errorf("got %s\nwant %q", said, want)
		}
	}
}

// What was measured before is kept.
func TestACarrierTestIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	last := ""
	r, _, err := run(t, &pair{}, func(c *Config) {
		c.Progress = func(done float64) { last = fmt.Sprint("progress ", done) }
		get := c.Get
		c.Get = func(context.Context) ([]byte, error) {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return get(ctx)
		}
		c.Wait = func(string, time.Duration) { cancel(); last = "wait" }
	})
	if last != "progress 1" {
		t.Errorf("the line of the countdown stays: %s", last)
	}
	if err != nil || r.Window.Expected != 1200 || r.Carrier.Done {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestAnAcceptanceIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := &pair{start: time.Now()}
	_, err := Run(ctx, Config{Get: p.get, Length: time.Hour, Progress: func(float64) {},
		Say: func(string) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
