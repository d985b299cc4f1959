package node

import (
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/status"
)

// received is what TX reports.
func received(socket, reading uint64) *selfreport.Received {
	return &selfreport.Received{Interface: &socket, Socket: &socket, Reading: reading}
}

func TestAProbeIsAnsweredByWhatTXReadAfterIt(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	hundred := []machine.Means{{Name: "ARP request", Count: 100}}
	packets := func(n, reading uint64) *selfreport.Received {
		return &selfreport.Received{Interface: &n, Reading: reading}
	}
	type step struct {
		second int
		probed bool
		tx     *selfreport.Received
		epoch  uint64
	}
	for name, c := range map[string]struct {
		medium   config.Medium
		steps    []step
		received *uint64
		back     bool
	}{
		"not yet": {config.Ethernet, []step{{0, false, packets(0, 1), 1}, {9, true, packets(0, 5), 1},
			{10, true, packets(0, 6), 1}}, nil, false},
		"one-way": {config.Ethernet, []step{{0, false, packets(0, 1), 1}, {9, true, packets(0, 5), 1},
			{11, true, packets(0, 7), 1}}, status.Of[uint64](0), false},
		"a way back": {config.Ethernet, []step{{0, false, packets(0, 1), 1}, {9, true, packets(0, 5), 1},
			{11, true, packets(100, 7), 1}}, status.Of[uint64](100), true},
		"TX reports nothing": {config.Ethernet, []step{{0, false, nil, 1}, {9, true, nil, 1}, {11, true, nil, 1}}, nil,
			false},
		"TX begins to report": {config.Ethernet, []step{{9, true, nil, 1}, {11, true, packets(0, 1), 1},
			{13, true, packets(0, 3), 1}}, status.Of[uint64](0), false},
		"TX was restarted": {config.Ethernet, []step{{0, false, packets(0, 1), 1}, {9, true, packets(0, 5), 1},
			{11, true, packets(0, 7), 2}}, nil, false},
		"a neighbour of TX": {config.UDP, []step{{0, false, packets(900, 1), 1}, {6, false, packets(901, 4), 1},
			{9, true, packets(901, 5), 1}, {11, true, packets(910, 7), 1}}, status.Of[uint64](910), false},
		"probes beside a neighbour of TX": {config.UDP, []step{{0, false, packets(900, 1), 1},
			{6, false, packets(1001, 4), 1}, {9, true, packets(1001, 5), 1}, {11, true, packets(1001, 7), 1}},
			status.Of[uint64](1001), true},
		"a neighbour of TX, for an hour": {config.UDP, []step{{0, false, packets(900, 1), 1},
			{9, true, packets(901, 5), 1}, {11, true, packets(902, 7), 1}, {3600, true, packets(2700, 1800), 1}},
			status.Of[uint64](2700), false},
		"probes, then a neighbour of TX for an hour": {config.UDP, []step{{0, false, packets(900, 1), 1},
			{9, true, packets(1000, 5), 1}, {11, true, packets(1000, 7), 1}, {3600, true, packets(2700, 1800), 1}},
			status.Of[uint64](2700), true},
		"a neighbour of TX, while the link was down": {config.UDP, []step{{0, false, packets(900, 1), 1},
			{9, true, packets(900, 1), 1}, {3600, true, packets(2700, 1800), 1}}, status.Of[uint64](2700), false},
		"a neighbour of TX, and this role began after the probe": {config.UDP, []step{{9, true, packets(900, 500), 1},
			{13, true, packets(901, 502), 1}}, status.Of[uint64](901), false},
		"at the socket, and this role began after the probe": {config.UDP, []step{{9, true, received(1, 500), 1},
			{13, true, received(1, 502), 1}}, status.Of[uint64](2), true},
		"a neighbour of TX, which was restarted before the probe": {config.UDP, []step{{0, false, packets(0, 100), 1},
			{9, true, packets(60, 1), 2}, {13, true, packets(60, 3), 2}}, status.Of[uint64](60), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := &probeWatch{}
			p := &machine.Probe{Key: "v", Time: at(3), Sent: hundred}
			fresh := 0
			for _, s := range c.steps {
				shown := p
				if !s.probed {
					shown = &machine.Probe{Key: "v"}
				}
				if w.update(at(s.second), shown, s.tx, s.epoch) {
					fresh++
				}
			}
			got := w.answer(p, c.medium)
			if (got.Received == nil) != (c.received == nil) || got.Received != nil && *got.Received != *c.received ||
				got.CameBack != c.back || fresh != 1 {
				t.Errorf("got %+v, new %d times", got, fresh)
			}
		})
	}
}

func TestReadingsOfTXAreBounded(t *testing.T) {
	w := &probeWatch{}
	for i := range uint64(1000) {
		w.update(time.Unix(int64(i), 0), nil, received(0, i), 1)
	}
	if n := len(w.readings); n != mostReadings || w.readings[n-1].received.Reading != 999 {
		t.Errorf("got %d readings up to %d", n, w.readings[n-1].received.Reading)
	}
}

func TestAProbeOfThisBoardIsShownAndAuditedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.facts, r.cfg.Reports = filepath.Join(t.TempDir(), "board.json"), io.Discard
		publish := func(p machine.Probe) {
			p.Key = "v"
			if err := machine.Write(r.facts, machine.Facts{Name: "rx-1", Probe: &p}); err != nil {
				t.Fatal(err)
			}
		}
		publish(machine.Probe{})
		r.run()
		r.transmit(7)
		report := func(socket, reading uint64) {
			entries := []string{"version", "1"}
			for i := range reading { // so that each report is newer than the one before
				entries = append(entries, fmt.Sprint("certificate/", i), "expires 2027-01-31")
			}
			r.state(record.Gateway, append(entries, "link_received",
				fmt.Sprintf(`{"socket":%d,"reading":%d}`, socket, reading))...)
			r.pass(2)
		}
		report(0, 1)
		publish(machine.Probe{Time: time.Now(), Sent: []machine.Means{{Name: "ARP request", Count: 100}}})
		report(0, 2)
		r.audited("rx reverse_probe")
		if p := r.node.Snapshot().Boards[1].Probe; p == nil || p.Received != nil || p.Total() != 100 {
			t.Errorf("before TX's counters crossed: got %+v", p)
		}
		report(3, 5)
		if p := r.node.Snapshot().Boards[1].Probe; p == nil || p.Received == nil || *p.Received != 3 || !p.CameBack {
			t.Errorf("got %+v, want 3 received and that it came back", p)
		}
		r.end()
		r.run() // the same probe is not noted again
		r.pass(3)
		n := 0
		for _, e := range r.events() {
			if e == "rx reverse_probe" {
				n++
			}
		}
		if r.end(); n != 1 {
			t.Errorf("audited %d times: %q", n, r.events())
		}
	})
}
