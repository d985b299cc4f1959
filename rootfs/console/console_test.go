package console

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/release"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/status"
)

var update = flag.Bool("update", false, "rewrite the screens in testdata")

// fake is a board that notes what is done to it.
type fake struct {
	status Status
	log    []string
	certs  []Certificate
	runs   []Run
	net    Network
	broken error
	wrong  string // in a network that cannot be used
	hangs  bool   // a probe does, until it is ended
	done   []string
}

func (f *fake) Status() Status     { return f.status }
func (f *fake) Log(n int) []string { return f.log[max(0, len(f.log)-n):] }
func (f *fake) Identity() Certificate {
	return Certificate{"CC33", "CN=Heliograph rx (hall)\x1b]0;x\x07", "until 2036-01-01"}
}
func (f *fake) Rejected() []Certificate { return f.certs }
func (f *fake) Network() Network        { return f.net }
func (f *fake) Selftest(w io.Writer)    { fmt.Fprintln(w, "pass  link") }
func (f *fake) RestartRole()            { f.done = append(f.done, "restart role") }
func (f *fake) FreezeRole()             { f.done = append(f.done, "freeze role") }
func (f *fake) Restart()                { f.done = append(f.done, "restart") }
func (f *fake) PowerOff()               { f.done = append(f.done, "power off") }

func (f *fake) Refused() []Run { return f.runs }

func (f *fake) Probe(ctx context.Context, say func(string)) error {
	say("ARP request: 100 sent")
	if f.hangs {
		<-ctx.Done()
		say("interrupted")
	}
	f.done = append(f.done, "probe")
	return f.broken
}

func (f *fake) Accept(id string) error {
	f.done = append(f.done, "accept "+id)
	return f.broken
}

func (f *fake) Keys() (string, error) { return "key aa is used", nil }

func (f *fake) ChangeKey(key [pairkey.Size]byte) error {
	f.done = append(f.done, "key "+pairkey.ID(key))
	return f.broken
}

func (f *fake) Trust(thumbprint string) error {
	f.done = append(f.done, "trust "+thumbprint)
	return f.broken
}

func (f *fake) CheckNetwork(n Network) error {
	if f.wrong != "" && strings.Contains(fmt.Sprint(n), f.wrong) {
		return fmt.Errorf("network: %q cannot be used", f.wrong)
	}
	return nil
}

func (f *fake) SetNetwork(n Network) error {
	f.done = append(f.done, fmt.Sprintf("network %+v", n))
	return f.broken
}

func rx() Status {
	of := status.Of[uint64]
	return Status{
		Role: "rx", Board: "rpi4b", Host: "press-hall-rx", Address: "10.1.0.7/24",
		Now: time.Date(2026, 11, 24, 2, 13, 21, 0, time.UTC), Up: 74*time.Hour + 5*time.Minute,
		State: health.PeerDown, Reason: "mqtt sink cell-1 down: connection refused", Rejected: 1,
		Release: release.Running{Version: 7, Name: "v1.2.0",
			Update: &release.Outcome{Version: 8, Result: release.RolledBack, Reason: "state stuck"}},
		Report: report.Report{
			Clock: report.Clock{OffsetSeconds: 0.0124, Source: "link"},
			Snapshot: status.Snapshot{
				Role: "rx", Pair: "press-hall", Version: "v1.2.0", Clock: "transmitter's clock set",
				Link: status.Link{Medium: "uart", Frames: 81234, Lost: of(3), Repaired: of(41), CRCErrors: of(44),
					AuthFailures: of(0), LastHeartbeatAgeSeconds: status.Of(0.2)},
				Replay: &status.Replay{WindowSeconds: 13245, PassSeconds: status.Of(4.5)},
				Channels: map[string]status.Channel{
					"press-line": {Protocol: "opcua", SourceState: "up", Keys: of(12040), Delivered: of(991234),
						Lost: of(0), Complete: status.Of(true)},
					"cell-1": {Protocol: "mqtt", SourceState: "down", SourceReason: "broker away\x1b[2J\nline",
						Keys: of(7), Complete: status.Of(false)},
				},
				Transmitter: map[string]string{"version": "v1.2.0", "clock": "ntp 10.0.0.1",
					"temperature_celsius": "48.3", "epoch": "7"},
				Notes: []status.Note{{Text: "older"},
					{Time: time.Date(2026, 11, 23, 22, 1, 2, 0, time.UTC), Event: "auth_failure",
						Text: "12 frames in 1 s with a wrong tag: wrong key, or an attack"}},
				Peers: []status.Peer{
					{Name: "mqtt sink cell-1", State: "down", Address: "mqtt://it-broker:1883",
						Reason: "connection refused", Spool: &status.Spool{Bytes: 12, Limit: 100, Dropped: 9}},
				},
			},
		},
	}
}

func tx() Status {
	s := Status{Role: "tx", Board: "cm4", Host: "press-hall-tx", Now: time.Unix(100, 0), Up: 75 * time.Second,
		State: health.Starting, Reason: "no report yet"}
	s.Report.Snapshot.Role = "tx"
	s.Report.Snapshot.Channels = map[string]status.Channel{}
	for i := range 12 {
		s.Report.Snapshot.Channels[fmt.Sprintf("channel-%02d", i)] = status.Channel{Protocol: "syslog",
			SourceState: "up", Sent: status.Of[uint64](9)}
	}
	return s
}

func crowded() Status {
	s := rx()
	s.Role, s.Report.Snapshot.Role = "tx", "tx"
	s.Report.Snapshot.Boards = []status.Board{{Role: "tx", Facts: machine.Facts{Probe: &machine.Probe{Time: s.Now}}}}
	for i := range 30 {
		s.Report.Snapshot.Channels[fmt.Sprintf("line-%02d", i)] = status.Channel{Protocol: "mqtt", SourceState: "up"}
		s.Report.Snapshot.Peers = append(s.Report.Snapshot.Peers,
			status.Peer{Name: fmt.Sprintf("mqtt sink line-%02d", i), State: "up"})
	}
	s.Report.Snapshot.Channels["line-17"] = status.Channel{Protocol: "mqtt", SourceState: "connecting",
		SourceReason: "refused"}
	return s
}

func TestScreens(t *testing.T) {
	healing := rx()
	healing.Report.Snapshot.Channels["press-line"] = status.Channel{Protocol: "opcua", SourceState: "up",
		Keys: status.Of[uint64](12040), Delivered: status.Of[uint64](991234), Healed: status.Of[uint64](1204),
		Sent: status.Of[uint64](993678), Conflated: status.Of[uint64](525),
		Lost: status.Of[uint64](1919), OpenHoles: status.Of[uint64](2), OpenRecords: status.Of[uint64](1916)}
	good := rx()
	good.State, good.Reason, good.Rejected, good.Report.Snapshot.Peers = health.Good, "", 0, nil
	delete(good.Report.Snapshot.Channels, "cell-1")
	probed := rx()
	probed.Report.Snapshot.Boards = []status.Board{{Role: "tx"}, {Role: "rx", Facts: machine.Facts{
		Probe: &machine.Probe{Time: probed.Now.Add(-time.Minute), Sent: []machine.Means{{Name: "x", Count: 500}},
			Received: status.Of[uint64](0)}}}}
	for name, s := range map[string]Status{"rx": rx(), "rx-healing": healing, "rx-good": good, "tx": tx(),
		"rx-probed": probed,
		"crowded":   crowded(), "before-the-first-report": {Role: "rx", State: health.Starting}} {
		t.Run(name, func(t *testing.T) {
			before := status.Link{Frames: 81000, Lost: status.Of[uint64](3), Repaired: status.Of[uint64](40)}
			got := Screen(s, Size{80, 21}) + "\n" + Summary(s, before, 79) + "\n"
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || got != string(want) {
				t.Errorf("%v; got\n%s\nwant\n%s", err, got, want)
			}
			if lines := strings.Count(Screen(s, Size{80, 21})+Help(79), "\n"); lines > 23 {
				t.Errorf("the screen has %d lines, more than a terminal", lines)
			}
			for line := range strings.Lines(got) {
				if n := len(line) - 1; n > 79 {
					t.Errorf("a line has %d columns: %s", n, line)
				}
			}
		})
	}
}

func TestScreenFitsAnySize(t *testing.T) {
	for lines := 9; lines < 100; lines++ {
		for _, columns := range []int{40, 80, 200} {
			got := Screen(crowded(), Size{columns, lines})
			if n := strings.Count(got, "\n"); n > lines {
				t.Errorf("got %d lines, want at most %d", n, lines)
			}
			for line := range strings.Lines(got) {
				if len(line) > columns {
					t.Errorf("got a line of %d characters and its end, want at most %d: %q", len(line)-1,
						columns-1, line)
				}
			}
		}
	}
}

const newKey = "heliograph-pair-key-1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 ceedd16e"

func TestATransmitterIsRestartedForItsNewKey(t *testing.T) {
	f := &fake{status: rx()}
	f.status.Role = "tx"
	var out bytes.Buffer
	c := New(f, &out)
	press(c, "x"+newKey+"\ryes\r")
	if want := []string{"key a2c41a2c", "restart role"}; !slices.Equal(f.done, want) ||
		!strings.Contains(out.String(), "Does the receiver accept key") {
		t.Errorf("got %q done, want %q; said %q", f.done, want, out.String())
	}
}

// press types keys, at a terminal that does not say its size.
func press(c *Console, keys string) {
	for _, b := range []byte(keys) {
		c.Key(b)
	}
	c.Expire()
	for c.Lines() != nil {
		line, more := <-c.Lines()
		c.Said(line, more)
	}
}

func TestKeys(t *testing.T) {
	certs := []Certificate{{"AA11", "CN=UaExpert\x1b]0;x\x07", "not trusted"}, {"BB22", "CN=b", "expired"}}
	for _, tt := range []struct {
		name, keys string
		broken     error
		done       []string
		shows      string
	}{
		{"restart is asked for", "rno\r", nil, nil,
			"Restart the board? Type yes: no\r\nThat is not yes: nothing changed."},
		{"and done", "ryes\r", nil, []string{"restart"}, "yes"},
		{"power off", "pyes\r", nil, []string{"power off"}, "power cycle"},
		{"role", "kyes\rwyes\r", nil, []string{"restart role", "freeze role"}, ""},
		{"a letter is not enough, or an echo of retry would do", "retry\r", nil, nil, "no"},
		{"trust the second", "c2yes\r", nil, []string{"trust BB22"}, "Trusted within two seconds."},
		{"accept the second run", "e2yes\r", nil, []string{"accept 3-bb"},
			"does its status say epoch 3?\r\nType yes: "},
		{"accept, and think again", "e1no\r", nil, nil, "run 1-aa: epoch 1, last frame 2026-11-24 02:13:21 UTC"},
		{"accept none", "e3e0ex", nil, nil, "none"},
		{"accept fails", "e1yes\r", errors.New("disk full"), []string{"accept 1-aa"}, "disk full"},
		{"another pair key", "x" + newKey + "\ryes\r", nil, []string{"key a2c41a2c"},
			"Accept key a2c41a2c, and the present one for 24 hours more? Type yes: "},
		{"another pair key, and think again", "x" + newKey + "\rno\r", nil, nil, "key aa is used"},
		{"a slip of the hand in a pair key", "x" + strings.Replace(newKey, "AAEC", "AAED", 1) + "\r", nil, nil,
			"check digits"},
		{"a slip of the hand, and again", "x" + strings.Replace(newKey, "AAEC", "AAED", 1) + "\r" + newKey + "\ryes\r",
			nil, []string{"key a2c41a2c"}, "check digits"},
		{"no pair key", "x\r", nil, nil, "none"},
		{"a pair key that is refused", "x" + newKey + "\ryes\r", errors.New("in use already"), []string{"key a2c41a2c"},
			"in use already"},
		{"trust none", "c9c0cx", nil, nil, "none"},
		{"the board's own certificate", "cx", nil, nil,
			"(until 2036-01-01), to compare at its peers and in reports:\r\n   CC33\r\n"},
		{"trust, and think again", "c1\x1b", nil, nil, "AA11"},
		{"trust fails", "c1yes\r", errors.New("disk full"), []string{"trust AA11"}, "disk full"},
		{"network, all kept", "n\r\r\r\r\ryes\r", nil,
			[]string{"network {Hostname:h Interface:eth0 Address:10.0.0.2/24 Gateway:10.0.0.1 Nameservers:}",
				"restart"}, "hostname [h]: "},
		{"network, changed", "nx\x08new\r\r10.0.0.3/24\r-\r1.1.1.1\ryes\r", nil,
			[]string{"network {Hostname:new Interface:eth0 Address:10.0.0.3/24 Gateway: Nameservers:1.1.1.1}",
				"restart"},
			""},
		{"network, of a server", "n\r\rdhcp\ryes\r", nil,
			[]string{"network {Hostname:h Interface:eth0 Address:dhcp Gateway: Nameservers:}",
				"restart"},
			"Set dhcp on eth0, and restart? Type yes: "},
		{"network, a slip of the hand", "nnew\r\rWRONG\r10.0.0.3/24\r\r\ryes\r", nil,
			[]string{"network {Hostname:new Interface:eth0 Address:10.0.0.3/24 Gateway:10.0.0.1 Nameservers:}",
				"restart"},
			"network: \"WRONG\" cannot be used\r\naddress/bits, or dhcp [10.0.0.2/24]: "},
		{"network, the last answer wrong", "nnew\r\r\r\rWRONG\r\ryes\r", nil,
			[]string{"network {Hostname:new Interface:eth0 Address:10.0.0.2/24 Gateway:10.0.0.1 Nameservers:}",
				"restart"},
			"cannot be used"},
		{"network, not kept", "nnew\r\r\r\r\ryes\rn\r\r\r\r\rno\r", errors.New("disk full"),
			[]string{"network {Hostname:new Interface:eth0 Address:10.0.0.2/24 Gateway:10.0.0.1 Nameservers:}"},
			"hostname [new]: "},
		{"network, left", "nx\x1bs", nil, nil, "cancelled; nothing changed"},
		{"network, refused", "n\r\rfoo\r\r\ryes\r", errors.New("address \"foo\""),
			[]string{"network {Hostname:h Interface:eth0 Address:foo Gateway:10.0.0.1 Nameservers:}"}, "address"},
		{"reverse probe", "vyes\r", nil, []string{"probe"}, "ARP request: 100 sent"},
		{"reverse probe, and think again", "vno\r", nil, nil,
			"One-way, it\r\ncarries none of them. Type yes: no\r\nThat is not yes"},
		{"reverse probe that is refused", "vyes\r", errors.New("wait 20 s"), []string{"probe"}, "wait 20 s"},
		{"log", "l", nil, nil, "line 29"},
		{"self-test", "t", nil, nil, "pass  link"},
		{"keys that are none", "\x00\xff~zQ", nil, nil, ""},
		{"help", "?", nil, nil, "x  which pair keys are used; change to a new one"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{status: rx(), certs: certs, runs: []Run{{"1-aa", 1, rx().Now}, {"3-bb", 3, rx().Now}},
				broken: tt.broken, wrong: "WRONG", net: Network{"h", "eth0", "10.0.0.2/24", "10.0.0.1", ""}}
			for i := range 30 {
				f.log = append(f.log, fmt.Sprintf("line %d", i))
			}
			var out bytes.Buffer
			c := New(f, &out)
			press(c, tt.keys)
			if !slices.Equal(f.done, tt.done) {
				t.Errorf("got %q done, want %q", f.done, tt.done)
			}
			if !strings.Contains(out.String(), tt.shows) {
				t.Errorf("got %q, want %q in it", out.String(), tt.shows)
			}
		})
	}
}

func TestATransmitterSendsNoReverseProbe(t *testing.T) {
	f := &fake{status: tx()}
	var out bytes.Buffer
	press(New(f, &out), "vyes\r")
	if len(f.done) > 0 || !strings.Contains(out.String(), "Only a receiver sends reverse probes") {
		t.Errorf("got %q done, said %q", f.done, out.String())
	}
}

func TestIdleConsoleSaysALineButNotIntoAQuestion(t *testing.T) {
	var out bytes.Buffer
	f := &fake{status: rx()}
	c := New(f, &out)
	c.Minute()
	f.status.Report.Snapshot.Link.Frames += 17
	out.Reset()
	if c.Minute(); strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), "| +17 frames, lost 0,") {
		t.Errorf("got %q, want one line with the state and what the link did in this minute", out.String())
	}
	c.Key('r')
	out.Reset()
	if c.Minute(); out.Len() != 0 {
		t.Errorf("got %q into a question", out.String())
	}
	c.Minute()
	press(c, "yes\r")
	if !strings.Contains(out.String(), "cancelled; nothing changed") || len(f.done) != 0 {
		t.Errorf("got %q, and %q done; want a question that ends when it is not answered", out.String(), f.done)
	}
}

// A terminal that echoes sends back what the board says; each letter would make
// it say more.
func TestEchoEnds(t *testing.T) {
	for first := range strings.SplitSeq("slcntdjkwrpv?", "") {
		t.Run(first, func(t *testing.T) {
			f := &fake{status: rx(), certs: []Certificate{{"AA11", "CN=x", "expired"}}}
			for i := range 100 {
				f.log = append(f.log, fmt.Sprintf("%s level=WARN msg=\"retrying, the memory of a factory\" n=%d", first,
					i))
			}
			var out bytes.Buffer
			c := New(f, &out)
			at := time.Unix(0, 0)
			c.now = func() time.Time { return at }
			out.WriteString(f.log[0] + "\r\n")
			for said := 0; said < out.Len(); said++ {
				if said > 1<<16 {
					t.Fatalf("got more than %d bytes, want the echo to end", said)
				}
				c.Key(out.Bytes()[said])
				at = at.Add(time.Second / 11520)
			}
			if len(f.done) != 0 {
				t.Errorf("got %q done by an echo", f.done)
			}
			c.mode = nil // end any question
			at = at.Add(typingGap)
			out.Reset()
			if press(c, "?"); !strings.Contains(out.String(), "s  status of the board") {
				t.Errorf("got %q after the echo, want keys to work again", out.String())
			}
		})
	}
}

// What a role writes into its log, or into its status, does not answer for the operator.
func TestAnEchoOfTheLogIsNotAnAnswer(t *testing.T) {
	for _, line := range []string{"vyes", "some words, then kyes", "kyes \t ", "k\nyes", "\nryes"} {
		for _, size := range []int{1, 2, 3, 100} {
			f := &fake{status: rx()}
			var out bytes.Buffer
			c, at := New(f, &out), time.Unix(0, 0)
			c.now = func() time.Time { return at }
			log := Log(Text(&out))
			for b := []byte(line + "\n"); len(b) > 0; b = b[min(size, len(b)):] {
				_, _ = log.Write(b[:min(size, len(b))])
			}
			f.log = []string{line, strings.Repeat("x", 76) + line} // and as key l shows it
			c.Key('l')
			c.Expire()
			for echoed := 0; echoed < min(out.Len(), 1<<16); echoed++ {
				c.Key(out.Bytes()[echoed])
				at = at.Add(time.Second / 11520)
				for c.Lines() != nil {
					line, more := <-c.Lines()
					c.Said(line, more)
				}
			}
			if len(f.done) > 0 {
				t.Errorf("%q, %d bytes at a time: got %q done", line, size, f.done)
			}
		}
	}
}

func TestALogIsShownAsItIs(t *testing.T) {
	var out strings.Builder
	log := Log(&out)
	for _, part := range []string{"level=INFO msg=y", "es", " or no\n", "yes", "\n", "\n", "yesterday\nye", " s"} {
		if n, err := io.WriteString(log, part); n != len(part) || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
	}
	if want := "level=INFO msg=yes or no\nyes.\n\nyesterday\nye s"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestProgramAsksWhileSomebodyTypes(t *testing.T) {
	var out bytes.Buffer
	f := &fake{status: rx(), net: Network{Hostname: "h"}}
	c := New(f, &out)
	press(c, "nab\x05cd\r\r\r\r\ryes\r")
	if want := "Hostname:abcd "; len(f.done) == 0 || !strings.Contains(f.done[0], want) {
		t.Errorf("got %q done, want %q in it", f.done, want)
	}
	data, err := Unframe(bufio.NewReader(&out), "status")
	var got Status
	if err != nil || json.Unmarshal(data, &got) != nil || got.Host != "press-hall-rx" {
		t.Errorf("got %q, %v; want the status", data, err)
	}
}

func TestFramesComeThroughASharedConsole(t *testing.T) {
	data := make([]byte, 5000)
	_, _ = rand.Read(data)
	for _, tt := range []struct {
		name  string
		spoil func(string) string
		whole bool
	}{
		{"as sent", func(s string) string { return "noise\r\n" + s }, true},
		{"with log lines in between", func(s string) string {
			return strings.ReplaceAll(s, "\r\n", "\r\ntime=2026 level=INFO msg=\"x y\"\r\n")
		}, true},
		{"a line is lost", func(s string) string {
			l := strings.SplitAfter(s, "\n")
			return strings.Join(slices.Delete(l, 3, 4), "")
		}, false},
		{"a character changed", func(s string) string { return s[:200] + "!" + s[201:] }, false},
		{"cut off", func(s string) string { return s[:900] }, false},
		{"cut off, and sent again", func(s string) string { return s[:900] + s }, true},
		{"in a line that somebody types", func(s string) string { return "hostname [h]: ab" + s + "cd\r\n" }, true},
		{"after another", func(s string) string {
			var b strings.Builder
			Frame(&b, "diagnostics", []byte("x"))
			return b.String() + s
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			Frame(&b, "status", data)
			got, err := Unframe(bufio.NewReader(strings.NewReader(tt.spoil(b.String()))), "status")
			if (err == nil) != tt.whole || tt.whole && !bytes.Equal(got, data) {
				t.Errorf("got %d bytes, %v; want whole: %t", len(got), err, tt.whole)
			}
		})
	}
}

func TestBundleHasAllOfIt(t *testing.T) {
	f := &fake{status: rx(), log: []string{"a line"}, certs: []Certificate{{"AA11", "CN=x", "expired"}},
		net: Network{Hostname: "h"}}
	var out bytes.Buffer
	New(f, &out).Key('d')
	got, err := Unframe(bufio.NewReader(&out), "diagnostics")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"PEER DOWN", "AA11", "Hostname:h", "pass  link", `"frames":81234`, "a line"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("got no %q in\n%s", want, got)
		}
	}
}

func TestFrameEndsWithoutReader(t *testing.T) {
	w := &deaf{after: 3}
	Frame(w, "status", make([]byte, 1<<20))
	if w.writes != 4 {
		t.Errorf("got %d writes, want none after the one that failed", w.writes)
	}
}

type deaf struct{ after, writes int }

func (d *deaf) Write(p []byte) (int, error) {
	if d.writes++; d.writes > d.after {
		return 0, os.ErrDeadlineExceeded
	}
	return len(p), nil
}

// A few bytes on the line must not become many in memory.
func TestFrameOfAnotherLengthIsRefused(t *testing.T) {
	var b strings.Builder
	Frame(&b, "status", make([]byte, 1<<20))
	lie := strings.Replace(b.String(), fmt.Sprint(1<<20), "1000", 1)
	if _, err := Unframe(bufio.NewReader(strings.NewReader(lie)), "status"); err == nil {
		t.Error("got more than was announced")
	}
	short := strings.Replace(b.String(), fmt.Sprint(1<<20), fmt.Sprint(1<<20+1), 1)
	if _, err := Unframe(bufio.NewReader(strings.NewReader(short)), "status"); err == nil {
		t.Error("got less than was announced")
	}
	huge := strings.Replace(b.String(), fmt.Sprint(1<<20), fmt.Sprint(MaxFrame+1), 1)
	if _, err := Unframe(bufio.NewReader(strings.NewReader(huge)), "status"); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v, want a frame that is too long never to begin", err)
	}
}

// For any keys and any names of peers, only text is written.
func FuzzKeys(f *testing.F) {
	f.Add([]byte("slcntdjkwrp?\x1b\x05"), "name\x1b[2J")
	f.Add([]byte("sc"), "\u00db2J") // its second byte is CSI to a terminal with 8-bit controls
	f.Fuzz(func(t *testing.T, keys []byte, name string) {
		s := rx()
		s.Reason, s.Host, s.Report.Snapshot.Pair = name, name, name
		var out bytes.Buffer
		c := New(&fake{status: s, certs: []Certificate{{name, name, name}}, log: []string{name},
			net: Network{Hostname: name}}, &out)
		at := time.Unix(0, 0)
		c.now = func() time.Time { return at }
		for i, b := range keys[:min(len(keys), 100)] {
			c.Key(b)
			at = at.Add(typingGap)
			if i%10 == 9 {
				c.Minute()
			}
		}
		c.Expire()
		text := bytes.ReplaceAll(out.Bytes(), []byte(SizeQuery), nil)
		if i := bytes.IndexFunc(text, func(r rune) bool {
			return (r < ' ' || r > '~') && r != '\r' &&
				r != '\n' && r != '\b'
		}); i >= 0 {
			t.Fatalf("got %q on the terminal", text[i])
		}
	})
}

func FuzzUnframe(f *testing.F) {
	var b bytes.Buffer
	Frame(&b, "status", []byte("hello"))
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := Unframe(bufio.NewReader(bytes.NewReader(in)), "status")
		if err == nil && len(got) > MaxFrame {
			t.Fatalf("got %d bytes", len(got))
		}
	})
}
