package node

import (
	"reflect"
	"testing"

	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/handover"
	"heliograph/firmware/platform/machine"
)

// counted is a medium that counts what it has received.
type counted struct {
	*medium
	n, refused uint64
	unknown    bool
}

func (c *counted) Arrived() (uint64, bool) { return c.n, !c.unknown }
func (c *counted) Refused() uint64         { return c.refused }

func TestWhatTheLinkReceivesIsReportedSinceTheStart(t *testing.T) {
	m := &counted{n: 700, refused: 0}
	c := newReceivedCounter(reading(Medium{Transmitter: m}, config.Ethernet, nil), 960)
	report := func() (packets, socket, reading uint64) {
		r := c.report()
		return *r.Interface, *r.Socket, r.Reading
	}
	for i, step := range []struct{ n, refused, packets, socket, reading uint64 }{
		{700, 0, 0, 0, 1}, // what was received before this run is not this run's
		{701, 0, 0, 0, 1}, // a slow line is read seldom
		{702, 0, 0, 0, 1},
		{703, 2, 3, 2, 2},
		{703, 2, 3, 2, 2},
		{703, 2, 3, 2, 2},
		{5, 2, 5, 2, 3}, // the interface went and came back: its counter begins again
	} {
		m.n, m.refused = step.n, step.refused
		if p, s, r := report(); p != step.packets || s != step.socket || r != step.reading {
			t.Errorf("report %d: got %d packets, %d at the socket by reading %d; want %+v", i+1, p, s, r, step)
		}
	}
}

func TestAFastLineIsReadAtEachReport(t *testing.T) {
	m := &counted{}
	c := newReceivedCounter(reading(Medium{Transmitter: m}, config.Ethernet, nil), 12.5e6)
	for i := range uint64(4) {
		if r := c.report(); r.Reading != i+1 {
			t.Errorf("report %d: got reading %d", i+1, r.Reading)
		}
	}
}

func TestWhatIsNotKnownIsNotReported(t *testing.T) {
	m := &counted{n: 3, unknown: true}
	none := uint64(0)
	read := reading(Medium{Received: m}, config.UART, nil)
	if got, _ := read(); !reflect.DeepEqual(got, selfreport.Received{Socket: &none}) {
		t.Errorf("got %+v, want the socket's alone", got)
	}
	m.unknown = false
	if got, _ := read(); got.Line == nil || got.Interface != nil || *got.Line != 3 {
		t.Errorf("a serial line: got %+v", got)
	}
	if got := (&receivedCounter{read: reading(Medium{Transmitter: m.medium}, config.UDP, nil)}).report(); got !=
		nil {
		t.Errorf("a medium that does not count: got %+v, want nothing", got)
	}
}

// A board's role takes what PID 1 publishes, and no reading of it for two.
func TestABoardReportsWhatPID1Counts(t *testing.T) {
	t.Setenv(handover.Link, "3")
	var facts machine.Facts
	c := newReceivedCounter(reading(Medium{Transmitter: &counted{n: 99}}, config.Ethernet,
		func() machine.Facts { return facts }), 12.5e6)
	if r := c.report(); r != nil {
		t.Errorf("nothing published: got %+v", r)
	}
	for i, step := range []struct{ packets, reading, want, number uint64 }{
		{700, 4, 0, 1}, {700, 4, 0, 1}, {701, 5, 0, 1}, {702, 6, 2, 2}, {703, 7, 2, 2}, {703, 8, 3, 3}, {703, 8, 3, 3},
	} {
		facts.Received = &machine.Received{Interface: &step.packets, Reading: step.reading}
		r := c.report()
		if r == nil || *r.Interface != step.want || r.Reading != step.number || r.Line != nil {
			t.Errorf("report %d: got %+v, want %+v", i+1, r, step)
		}
	}
	facts.Received = nil // PID 1 no longer publishes: no reading is newer
	if r := c.report(); r == nil || r.Reading != 3 {
		t.Errorf("got %+v, want the last", r)
	}
}
