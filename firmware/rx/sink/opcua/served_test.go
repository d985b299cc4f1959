package opcua

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/config"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	serving "heliograph/firmware/opcua/server"
	"heliograph/firmware/rx/history"
	"heliograph/firmware/rx/sink"
)

// served is a mirror with its server and its history on disk.
type served struct {
	t       *testing.T
	sink    *Sink
	store   *history.Store
	server  *serving.Server
	session *client.Session
	stop    func()
}

// serve runs a mirror on the state of a channel.
func serve(t *testing.T, folder string, ch *link) *served {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	store, err := history.Open(filepath.Join(folder, "history"), history.Limits{Age: 100 * 365 * 24 * time.Hour,
		Bytes: 8 << 20},
		quiet)
	if err != nil {
		t.Fatal(err)
	}
	outage := sink.Outage{From: start.Add(5 * time.Second), To: start.Add(7 * time.Second)}
	h := NewHistory(store, func() []sink.Outage { return []sink.Outage{outage} })
	srv, err := serving.New(serving.Config{Listen: "opc.tcp://127.0.0.1:0", ApplicationURI: "urn:mirror",
		Anonymous: true,
		Security:  []channel.Security{{Policy: ua.SecurityPolicyURINone, Mode: ua.MessageSecurityModeNone}},
		Space:     addrspace.New(), Historian: h, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	m := &served{t: t, store: store, server: srv}
	m.sink = New(config.OPCUASink{Channel: "hall"}, folder, Deps{Server: srv, Channel: ch, History: h}, quiet)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- m.sink.Run(ctx) }()
	go func() { ended <- store.Run(ctx) }()
	m.stop = func() {
		cancel()
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Error(err)
		}
		m.sink.Drain()
		store.Close()
	}
	ch.States(func(u sink.Update) bool { m.sink.Deliver(u); return true })
	await.True(t, "late records are accepted", m.sink.AcceptsLate)
	await.True(t, "the mirror is ready", func() bool { return m.sink.Ready() == nil })
	m.session, err = client.Connect(t.Context(), client.Config{Endpoint: "opc.tcp://" + srv.Addr().String(),
		Policy: "None",
		Mode:   ua.MessageSecurityModeNone, ApplicationName: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// history reads the values of a node in parts of so many.
func (m *served) history(node rawvalue.NodeID, most int) (values []float64, lost int) {
	m.t.Helper()
	item := client.HistoryItem{Node: node}
	r := client.HistoryRange{From: sourceTicks - 1e7, To: sourceTicks + 1e10, Most: most}
	for {
		err := m.session.ReadHistory(m.t.Context(), r, []client.HistoryItem{item}, func(_ int, p client.HistoryPart) {
			if p.Status&0x80000000 != 0 || len(p.Values) > most {
				m.t.Errorf("%v: got %v with %d values", node, p.Status, len(p.Values))
			}
			for _, dv := range p.Values {
				if dv.Status == ua.StatusBadDataLost {
					lost++
				} else {
					values = append(values, math.Float64frombits(binary.LittleEndian.Uint64(dv.Value.Raw[1:])))
				}
			}
			item.Point = slices.Clone(p.Point)
		})
		if err != nil {
			m.t.Fatal(err)
		}
		if len(item.Point) == 0 {
			return values, lost
		}
	}
}

// events counts the events that the server object has reported.
func (m *served) events() (n int) {
	m.t.Helper()
	filter := client.Events([]client.SelectClause{{Type: ns0(id.BaseEventType),
		Path: []rawvalue.QualifiedName{{Name: []byte("EventId")}}, Attribute: ua.AttributeIDValue}})
	r := client.HistoryRange{From: sourceTicks - 1e7, To: sourceTicks + 1e10, Most: 100}
	err := m.session.ReadEventHistory(m.t.Context(), r, filter, []client.HistoryItem{{Node: ns0(id.Server)}},
		func(_ int, p client.HistoryPart) { n = len(p.Events) })
	if err != nil {
		m.t.Fatal(err)
	}
	return n
}

// TestHistoryIsServed: over the wire, live and late, and again after a restart.
func TestHistoryIsServed(t *testing.T) {
	folder := t.TempDir()
	ch := newLink(t)
	ch.announce(7)
	ch.variables(7, "a", "b")
	ch.nodes(1, addrspace.Node{ID: ns0(id.Server), Attributes: []addrspace.Attribute{
		{ID: ua.AttributeIDNodeClass, Value: []byte{1, 6, 1, 0, 0, 0}},
		{ID: ua.AttributeIDEventNotifier, Value: []byte{1, 3, 1}}}}, variableNode(ns0(id.Server_NamespaceArray), 1))
	happened := func(second int) *event.Event {
		ev := plainEvent(t, second)
		ev.Notifiers = []rawvalue.NodeID{ns0(id.Server)}
		return ev
	}
	ch.deliver(tableUpdate(happened(0)))
	ch.deliver(sample(0, 0, 0, good, false))
	ch.deliver(sample(1, 0, 100, good, false))
	ch.health.Complete = true

	m := serve(t, folder, ch)
	for _, u := range []sink.Update{sample(0, 1, 1, good, false), sample(0, 9, 9, good, false), sample(0, 4, 4, good,
		true),
		sample(0, 2, 2, good, true), eventUpdate(happened(8), false), eventUpdate(happened(3), true)} {
		m.sink.Deliver(u)
	}
	check := func(m *served) {
		t.Helper()
		want := []float64{0, 1, 2, 4, 9}
		await.True(t, "all updates are applied", func() bool {
			got, _ := m.history(named("a"),
				100)
			return len(got) >= len(want)
		})
		for _, most := range []int{1, 2, 100} {
			if got, lost := m.history(named("a"), most); !slices.Equal(got, want) || lost != 1 {
				t.Errorf("in parts of %d: got %v and %d entries Bad_DataLost, want %v and one", most, got, lost, want)
			}
		}
		if got, lost := m.history(named("b"), 10); !slices.Equal(got, []float64{100}) || lost != 1 {
			t.Errorf("got %v and %d entries Bad_DataLost, want 100 and one", got, lost)
		}
		await.True(t, "both events are kept", func() bool { return m.events() == 2 })
	}
	check(m)
	for attribute, want := range map[ua.AttributeID]byte{ua.AttributeIDAccessLevel: 5, ua.AttributeIDHistorizing: 1} {
		err := m.session.Read(t.Context(), []client.ReadItem{{Node: named("a"), Attribute: attribute}}, 0,
			func(_ int, dv rawvalue.DataValue) {
				if dv.Value.Raw[1] != want {
					t.Errorf("attribute %v is %x, want %x", attribute, dv.Value.Raw, want)
				}
			})
		if err != nil {
			t.Fatal(err)
		}
	}
	await.True(t, "nothing is volatile", func() bool { return m.sink.Volatile() == 0 })
	m.session.Close()
	m.stop()
	m = serve(t, folder, ch)
	check(m)
	m.session.Close()
	m.stop()
	if ch.refused > 0 {
		t.Errorf("%d records were refused", ch.refused)
	}
}

// sinkOf returns a sink with the mirror of a link.
func sinkOf(t *testing.T, l *link) *Sink {
	t.Helper()
	d := Deps{Server: l.server, Channel: l, History: l.mirror.history}
	k := New(config.OPCUASink{Channel: "hall"}, t.TempDir(), d, slog.New(slog.DiscardHandler))
	k.mirror = l.mirror
	t.Cleanup(func() { _, _ = k.cache.wait() })
	return k
}

// TestWhatIsDeliveredAtTheEndIsKept: after Run has ended the link may deliver more.
func TestWhatIsDeliveredAtTheEndIsKept(t *testing.T) {
	s := newMemory()
	l := historic(t, s)
	k := sinkOf(t, l)
	if k.AcceptsLate() {
		t.Error("late records are accepted before the structure is complete")
	}
	k.updateQuality(l.now)
	if !k.AcceptsLate() {
		t.Error("late records are not accepted with a complete structure")
	}
	s.full = errors.New("the disk is slow")
	if k.AcceptsLate() {
		t.Error("late records are accepted without room in the history")
	}
	l.deliver(sample(0, 2, 2, good, true))
	if l.refused != 1 {
		t.Errorf("%d refused, want the late record that the history did not keep", l.refused)
	}
	s.full = nil
	k.Deliver(sample(0, 3, 3, good, false))
	if v := k.Volatile(); v != 1 {
		t.Errorf("%d records are volatile, want one", v)
	}
	k.Drain()
	l.wantHistory(named("a"), "3:3")
}

// TestWhatAPowerCutWouldCostIsVolatile: until it is on the disk, however long that takes.
func TestWhatAPowerCutWouldCostIsVolatile(t *testing.T) {
	s := newMemory()
	l := historic(t, s)
	k := sinkOf(t, l)
	tick := func() { k.updateQuality(l.now); l.now = l.now.Add(qualityEvery) }
	tick()
	s.behind = 1 // the value that follows
	k.Deliver(sample(0, 3, 3, good, false))
	s.adding = func() { // all before it is on the disk
		s.behind = 0
		if v := k.Volatile(); v != 1 {
			t.Errorf("while it is applied: %d records are volatile, want one", v)
		}
		s.behind = 1
	}
	k.Drain()
	s.adding = func() {}
	for range 100 { // far longer than any bound of time
		tick()
		if v := k.Volatile(); v != 1 {
			t.Fatalf("not on the disk: %d records are volatile, want one", v)
		}
	}
	s.behind = 0
	tick()
	tick()
	if v := k.Volatile(); v != 0 {
		t.Errorf("on the disk: %d records are volatile, want none", v)
	}
}

// TestNothingIsVolatileOnceAllIsOnTheDisk: at the end of a run nothing ticks any more.
func TestNothingIsVolatileOnceAllIsOnTheDisk(t *testing.T) {
	s := newMemory()
	l := historic(t, s)
	k := sinkOf(t, l)
	s.behind = 1
	k.Deliver(sample(0, 3, 3, good, false))
	k.Drain()
	if v := k.Volatile(); v != 1 {
		t.Errorf("not on the disk: %d records are volatile, want one", v)
	}
	s.behind = 0
	if v := k.Volatile(); v != 0 {
		t.Errorf("on the disk: %d records are volatile, want none", v)
	}
}
