package supervisor

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/boards"
	"heliograph/drivers/probe"
	"heliograph/firmware/config"
)

func TestConsoleSendsReverseProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "rx", validRX)
		b, _ := newConsole(t, r)
		var said strings.Builder
		say := func(line string) { said.WriteString(line + "\n") }
		if err := b.Probe(t.Context(), say); err == nil || !strings.Contains(err.Error(), "not open yet") {
			t.Errorf("before the link is open: got %v", err)
		}
		if p := b.config.Facts.newestProbe(); p == nil || p.Key != "v" || !p.Time.IsZero() {
			t.Errorf("none was sent: got %+v, want the key alone", p)
		}
		stop := r.background(t, Outputs{})
		defer stop()
		pass(10 * time.Second)
		first := r.process()
		if err := b.Probe(t.Context(), say); err != nil {
			t.Fatal(err)
		}
		p := b.config.Facts.newestProbe()
		if !p.Time.Equal(time.Now()) || p.Total() != 100 || len(p.Sent) != 1 || p.Left == nil || *p.Left != 100 {
			t.Errorf("got %+v published", p)
		}
		if got := said.String(); !strings.Contains(got, "ARP request: 100 sent\n100 probes sent by 1 means; the "+
			"kernel counts 100 packets") {
			t.Errorf("said %q", got)
		}
		if r.process() != first {
			t.Error("the role was restarted")
		}
		r.log.expect(t, "reverse probe sent from the console", 1)
		if err := b.Probe(t.Context(), say); err == nil || !strings.Contains(err.Error(), "wait 30 s") {
			t.Errorf("at once again: got %v, want that it is too early", err)
		}
		pass(probeEvery)
		if err := b.Probe(t.Context(), say); err != nil || b.config.Facts.newestProbe().Time.Equal(p.Time) {
			t.Errorf("later: got %v, and the probe of %v", err, b.config.Facts.newestProbe().Time)
		}
	})
}

func TestATransmitterIsNotProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "tx", validTX)
		b, _ := newConsole(t, r)
		stop := r.background(t, Outputs{})
		defer stop()
		pass(10 * time.Second)
		if err := b.Probe(t.Context(), func(string) {}); err == nil {
			t.Error("a transmitter sent probes back")
		}
	})
}

// A probe that no wire can carry does not pass for one that a one-way link stopped.
func TestAProbeOnAClosedPinSaysSo(t *testing.T) {
	b := boards.Board{Link: boards.UART{Device: "/dev/ttyAMA0", Pins: boards.Pins{TXD: 14, RXD: 15}}}
	all := probe.Result{Sent: []probe.Means{{Name: "x", Count: 1}}}
	for name, c := range map[string]struct {
		link config.Link
		sent probe.Result
		want string
	}{
		"the header":   {config.Link{Medium: config.UART, Device: "/dev/ttyAMA0"}, all, "GPIO 14"},
		"another port": {config.Link{Medium: config.UART, Device: "/dev/ttyUSB0"}, all, ""},
		"an interface": {config.Link{Medium: config.Ethernet, Interface: "eth1"}, all, ""},
		"what went wrong": {config.Link{Medium: config.UART, Device: "/dev/ttyAMA0"}, probe.Result{Reason: "away"},
			"away"},
	} {
		got := published(time.Now(), c.sent, closed(b, c.link)).Reason
		if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	long := probe.Result{Reason: strings.Repeat("x", 5000), Sent: []probe.Means{{Error: strings.Repeat("y", 5000)}}}
	if p := published(time.Now(), long, ""); len(p.Reason) > mostError || len(p.Sent[0].Error) > mostError {
		t.Errorf("got %d and %d bytes, want them bounded", len(p.Reason), len(p.Sent[0].Error))
	}
}
