package opcua

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/config"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/servertest"
	"heliograph/firmware/tx/source"
)

const historyKind = id.HistoryReadRequest_Encoding_DefaultBinary

// historian is a plc whose speed and force have a history, and a source of it that can be
// restarted.
type historian struct {
	*plc
	*servertest.History
	t      *testing.T
	folder string
	link   *port
	off    time.Duration // of the plant's clock
	values int32
	sent   map[int32]time.Time // what was recorded, by number
	source *Source
	stop   func()
}

// keepsHistory makes a variable one that has a history.
func keepsHistory(f *fake, node rawvalue.NodeID) {
	n := f.nodes[node]
	n.Attributes = append(n.Attributes,
		addrspace.Attribute{ID: ua.AttributeIDAccessLevel, Value: encoded(byte(5))},
		addrspace.Attribute{ID: ua.AttributeIDUserAccessLevel, Value: encoded(byte(5))},
		addrspace.Attribute{ID: ua.AttributeIDHistorizing, Value: encoded(true)})
}

// withHistory runs a test with a source that has its initial snapshot.
func withHistory(t *testing.T, off time.Duration, test func(t *testing.T, h *historian)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := plant()
		keepsHistory(f, named("speed"))
		keepsHistory(f, named("force"))
		h := &historian{plc: newPLC(t, f), History: &servertest.History{}, t: t, folder: t.TempDir(), off: off,
			link: &port{}, sent: map[int32]time.Time{}}
		h.ServeHistory(h.History)
		for node, n := range f.nodes {
			if class(n) == ua.NodeClassVariable {
				h.plc.values[node] = int32At(0, h.now())
			}
		}
		h.start(h.link)
		h.settle(20 * time.Second)
		test(t, h)
	})
}

func (h *historian) now() time.Time { return time.Now().Add(h.off) }

func (h *historian) settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// start runs a source until stop.
func (h *historian) start(link *port) {
	h.t.Helper()
	cfg := config.OPCUASource{
		Channel: "plant", Endpoint: "opc.tcp://plc:4840", SecurityPolicy: "None", SecurityMode: "None",
		AddressSpace: 48 << 20, PublishingInterval: 100 * time.Millisecond, Rebrowse: 10 * time.Minute,
	}
	s, err := New(cfg, h.folder, nil, link, slog.New(slog.DiscardHandler))
	if err != nil {
		h.t.Fatal(err)
	}
	s.dialer = h.Dialer()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	running := true
	h.source, h.link, h.stop = s, link, func() {
		if running {
			running = false
			cancel()
			<-ended
		}
	}
	h.t.Cleanup(h.stop)
}

// produce has a node change n times, and records that.
func (h *historian) produce(node rawvalue.NodeID, n int, every time.Duration) (first, last int32) {
	first = h.values + 1
	for range n {
		time.Sleep(every)
		h.values++
		v := int32At(h.values, h.now())
		h.quirk(func() { h.sent[h.values] = h.now() })
		h.Record(node, v)
		h.set(node, v)
	}
	synctest.Wait()
	return first, h.values
}

// cut ends the session at the server, which refuses new ones until the function returned is
// called.
func (h *historian) cut() (restore func()) {
	open := h.Script(id.CreateSessionRequest_Encoding_DefaultBinary)
	h.On(id.CreateSessionRequest_Encoding_DefaultBinary, func(request) ([]byte, ua.StatusCode) {
		return nil, ua.StatusBadTooManySessions
	})
	h.quirk(func() {
		for _, s := range h.subs {
			s.session.Close()
		}
	})
	return func() { h.On(id.CreateSessionRequest_Encoding_DefaultBinary, open) }
}

// late returns the values that crossed late of a node, and checks that each came after a
// newer one.
func (h *historian) late(node rawvalue.NodeID) (numbers []int32) {
	h.t.Helper()
	h.link.mu.Lock()
	defer h.link.mu.Unlock()
	key := payload.Key{Kind: payload.Value, Generation: h.source.model.Generation,
		Number: h.source.model.handles[node]}.Append(nil)
	for i, u := range h.link.late {
		if string(u.Key) != string(key) {
			continue
		}
		raw, err := payload.ParseValue(nil, u.Payload, u.Time)
		if err != nil {
			h.t.Fatal(err)
		}
		v, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
		if err != nil {
			h.t.Fatal(err)
		}
		if v.Status != 0 {
			h.t.Errorf("got a late value with %v", v.Status)
		}
		n := number(v)
		numbers = append(numbers, n)
		if want, known := h.sent[n]; known && !u.Time.Equal(want.Truncate(100)) {
			h.t.Errorf("value %d: got the time %v, want %v", n, u.Time, want)
		}
		if !h.link.newest[i].After(u.Time) {
			h.t.Errorf("value %d of %v came late when the newest was of %v", n, u.Time, h.link.newest[i])
		}
	}
	return numbers
}

// wantLate checks which values of speed crossed late.
func (h *historian) wantLate(first, last int32) {
	h.t.Helper()
	var want []int32
	for n := first; n <= last; n++ {
		want = append(want, n)
	}
	if got := h.late(named("speed")); !slices.Equal(got, want) {
		h.t.Errorf("got %d late values %v, want %d to %d", len(got), got, first, last)
	}
}

func TestHistoryFillsWhatTheSourceMissed(t *testing.T) {
	speed := named("speed")
	for name, off := range map[string]time.Duration{"right clock": 0, "clock ahead": 5 * time.Hour,
		"clock behind": -300 * 24 * time.Hour} {
		t.Run("source down, "+name, func(t *testing.T) {
			withHistory(t, off, func(t *testing.T, h *historian) {
				h.produce(speed, 20, time.Second)
				up := h.cut()
				first, last := h.produce(speed, 600, time.Second)
				up()
				h.settle(2 * time.Minute)
				h.wantLate(first, last-1) // the last one was read
				if h.source.Ready() != nil || h.source.stats.HistoryRecords.Load() != uint64(last-first) {
					t.Errorf("got %v, %d records counted", h.source.Ready(),
						h.source.stats.HistoryRecords.Load())
				}
				h.produce(speed, 20, time.Second)
				h.settle(time.Minute)
				h.wantLate(first, last-1)
			})
		})
		t.Run("restart, "+name, func(t *testing.T) {
			withHistory(t, off, func(t *testing.T, h *historian) {
				h.produce(speed, 60, time.Second)
				h.stop()
				first, last := h.produce(speed, 600, time.Second)
				h.start(&port{})
				h.settle(2 * time.Minute)
				got := h.late(speed)
				// The mark is stored every few seconds.
				at := slices.Index(got, first)
				if at < 0 || at > 15 {
					t.Fatalf("got %v, want %d with at most 15 before it", got, first)
				}
				for i, n := range got {
					if n != got[0]+int32(i) {
						t.Fatalf("got %v, want each once, in order", got)
					}
				}
				if got[len(got)-1] != last-1 {
					t.Errorf("got %d last, want %d", got[len(got)-1], last-1)
				}
			})
		})
	}
}

func TestHistoryFillsWhatCouldNotBeDecoded(t *testing.T) {
	withHistory(t, 0, func(t *testing.T, h *historian) {
		h.produce(named("speed"), 20, time.Second)
		h.quirk(func() {
			h.badValue = true
			h.delays(time.Second, id.ReadRequest_Encoding_DefaultBinary)
		})
		first, last := h.produce(named("speed"), 1, time.Second)
		h.produce(named("speed"), 5, 100*time.Millisecond)
		h.settle(30 * time.Second)
		h.wantLate(first, last)
	})
}

// TestHistoryComesAfterAllElse: none is read while the source catches up.
func TestHistoryComesAfterAllElse(t *testing.T) {
	withHistory(t, 0, func(t *testing.T, h *historian) {
		h.produce(named("speed"), 20, time.Second)
		up := h.cut()
		first, last := h.produce(named("speed"), 30, time.Second)
		h.quirk(func() {
			h.mute[named("force")] = true // its first value does not come by itself
			h.delays(4*time.Second, id.ReadRequest_Encoding_DefaultBinary, id.BrowseRequest_Encoding_DefaultBinary)
		})
		up()
		busy := 0
		for range 600 {
			h.settle(100 * time.Millisecond)
			h.link.mu.Lock()
			catchingUp := h.link.reported != source.Up
			h.link.mu.Unlock()
			if catchingUp {
				if busy++; h.Count(historyKind) > 0 {
					t.Fatal("history is read while the source catches up")
				}
			}
		}
		h.settle(2 * time.Minute)
		if busy < 20 {
			t.Errorf("the source caught up within %d00 ms", busy)
		}
		h.wantLate(first, last-1)
	})
}

func TestHistoryFillsWhatNotificationsMissed(t *testing.T) {
	withHistory(t, 0, func(t *testing.T, h *historian) {
		h.produce(named("speed"), 20, time.Second)
		h.quirk(func() { h.dropNext = 5 })
		first, last := h.produce(named("speed"), 5, 10*time.Millisecond)
		h.produce(named("speed"), 5, time.Second) // live
		h.settle(30 * time.Second)
		got := h.late(named("speed"))
		if want := last - first + 1; len(got) != int(want) || got[0] != first {
			t.Errorf("got %v, want %d to %d", got, first, last)
		}
	})
}

func TestNothingIsReadThatWasNotMissed(t *testing.T) {
	for name, do := range map[string]func(h *historian){
		"a first start": func(h *historian) { h.produce(named("speed"), 30, time.Second) },
		"nothing has changed": func(h *historian) {
			h.produce(named("speed"), 30, time.Second)
			h.settle(20 * time.Second)
			h.source.Reconnect()
		},
		"a restart without a change": func(h *historian) {
			h.produce(named("speed"), 30, time.Second)
			h.settle(20 * time.Second)
			h.stop()
			h.start(&port{})
		},
		"no history": func(h *historian) {
			h.produce(named("joe"), 30, time.Second)
			up := h.cut()
			h.produce(named("joe"), 30, time.Second)
			up()
		},
	} {
		t.Run(name, func(t *testing.T) {
			withHistory(t, 0, func(t *testing.T, h *historian) {
				h.add(named("joe"), ua.NodeClassVariable, "Joe")
				h.quirk(func() { h.plc.values[named("joe")] = int32At(0, h.now()) })
				for _, n := range []rawvalue.NodeID{named("speed"), named("force")} {
					for i := range 500 { // before the first start
						h.Record(n, int32At(int32(i-1000), h.now().Add(time.Duration(i-1000)*time.Second)))
					}
				}
				do(h)
				h.settle(time.Minute)
				if n := h.Count(historyKind); n > 0 && !strings.Contains(name, "restart") ||
					len(h.late(named("speed"))) > 15 {
					t.Errorf("got %d HistoryRead and %v", n, h.late(named("speed")))
				}
			})
		})
	}
}

// TestAHugeHistoryIsReadAtItsRate: what is live crosses meanwhile, at its own pace.
func TestAHugeHistoryIsReadAtItsRate(t *testing.T) {
	withHistory(t, 0, func(t *testing.T, h *historian) {
		h.Change(func(h *servertest.History) { h.PerCall = 150 })
		h.produce(named("speed"), 20, time.Second)
		up := h.cut()
		time.Sleep(8 * time.Hour)
		from := h.now().Add(-8 * time.Hour)
		const many = 40_000
		for i := range many {
			h.values++
			h.sent[h.values] = from.Add(time.Duration(i+1) * 250 * time.Millisecond)
			h.Record(named("speed"), int32At(h.values, h.sent[h.values]))
		}
		h.set(named("speed"), int32At(1_000_000, h.now()))
		up()
		for range 100 {
			if h.settle(time.Second); len(h.late(named("speed"))) > 0 {
				break
			}
		}
		before, began := len(h.late(named("speed"))), time.Now()
		for i := range 30 {
			h.set(named("force"), int32At(int32(i), h.now()))
			h.settle(500 * time.Millisecond)
			v, _ := h.source.valueOf(h.link, named("force"))
			if number(v) != int32(i) {
				t.Fatalf("got force %d while history is read, want %d", number(v), i)
			}
		}
		n := len(h.late(named("speed"))) - before
		if rate := float64(n) / time.Since(began).Seconds(); rate > latePerSecond || rate < 500 {
			t.Errorf("got %.0f late values per second, want at most %d and not much less", rate, latePerSecond)
		}
		h.settle(time.Minute)
		got := h.late(named("speed"))
		if len(got) != many || !slices.IsSorted(got) {
			t.Errorf("got %d late values, want %d in order", len(got), many)
		}
		if open, _ := h.Open(); open != 0 {
			t.Errorf("got %d continuation points open", open)
		}
	})
}

func TestPointsAreReleasedAfterATurn(t *testing.T) {
	withHistory(t, 0, func(t *testing.T, h *historian) {
		h.Change(func(h *servertest.History) { h.PerCall = 2 })
		h.quirk(func() { h.delays(time.Second, historyKind) })
		h.produce(named("speed"), 20, time.Second)
		up := h.cut()
		first, last := h.produce(named("speed"), 60, time.Second)
		up()
		h.settle(10 * time.Minute)
		h.wantLate(first, last-1)
		if open, released := h.Open(); open != 0 || released == 0 {
			t.Errorf("got %d points open and %d released, want none open and some released", open, released)
		}
		if n := h.Count(historyKind); n > 60 {
			t.Errorf("got %d requests", n)
		}
	})
}

func TestRefusalsAreRememberedAndReported(t *testing.T) {
	for name, test := range map[string]struct {
		refuse func(h *servertest.History)
		want   string
		most   int // requests in an hour
		force  bool
	}{
		"a node": {func(h *servertest.History) {
			h.Refuse = map[rawvalue.NodeID]ua.StatusCode{named("speed"): ua.StatusBadUserAccessDenied}
		}, "the history of 1 nodes is not read", 70, true},
		"every node": {func(h *servertest.History) {
			h.Refuse = map[rawvalue.NodeID]ua.StatusCode{named("speed"): ua.StatusBadHistoryOperationUnsupported,
				named("force"): ua.StatusBadHistoryOperationUnsupported}
		}, "the history of 2 nodes is not read", 7, false},
		"every request": {func(h *servertest.History) { h.RefuseAll = ua.StatusBadServiceUnsupported },
			"the server's history is not read", 4, false},
		"history without end": {func(h *servertest.History) { h.Endless = true }, "is not read", 2000, false},
		"no memory, for ever": {func(h *servertest.History) { h.RefuseAll = ua.StatusBadOutOfMemory },
			"is not read", 300, false},
	} {
		t.Run(name, func(t *testing.T) {
			withHistory(t, 0, func(t *testing.T, h *historian) {
				h.Change(test.refuse)
				for range 60 {
					h.produce(named("speed"), 5, time.Second)
					h.produce(named("force"), 5, time.Second)
					up := h.cut()
					h.produce(named("speed"), 5, time.Second)
					h.produce(named("force"), 5, time.Second)
					up()
					h.settle(40 * time.Second)
				}
				s := h.source
				if n := h.Count(historyKind); n > test.most {
					t.Errorf("got %d requests in an hour, want at most %d", n, test.most)
				}
				h.link.mu.Lock()
				reason := h.link.reason
				h.link.mu.Unlock()
				if !strings.Contains(reason, test.want) || s.Ready() != nil {
					t.Errorf("got %q and %v, want %q and ready", reason, s.Ready(), test.want)
				}
				if s.stats.HistoryRefused.Load() == 0 || s.stats.HistoryGivenUp.Load() < 20 {
					t.Errorf("got %d refused and %d given up", s.stats.HistoryRefused.Load(),
						s.stats.HistoryGivenUp.Load())
				}
				if got := len(h.late(named("force"))) > 0; got != test.force {
					t.Errorf("got late values of the other node: %v, want %v", got, test.force)
				}
			})
		})
	}
}

// TestASlowHistoryIsNoReasonToEndASession: the server is left alone for longer, and values
// go on.
func TestASlowHistoryEndsNoSession(t *testing.T) {
	withHistory(t, 0, func(t *testing.T, h *historian) {
		h.produce(named("speed"), 20, time.Second)
		up := h.cut()
		h.produce(named("speed"), 30, time.Second)
		up()
		h.quirk(func() { h.delays(time.Hour, historyKind) })
		sessions := h.source.stats.Sessions.Load()
		h.produce(named("speed"), 40*60, time.Second)
		v, _ := h.source.valueOf(h.link, named("speed"))
		if n := h.source.stats.Sessions.Load(); n > sessions+1 || number(v) != h.values {
			t.Errorf("got %d sessions and value %d, want one and %d", n-sessions, number(v), h.values)
		}
		if n := h.source.stats.HistoryGivenUp.Load(); n != 1 {
			t.Errorf("got %d intervals given up, want 1", n)
		}
		if err := h.source.Ready(); err != nil {
			t.Error(err)
		}
	})
}

func TestSeveralValuesOfOneTime(t *testing.T) {
	for name, perCall := range map[string]int{"in one answer": 0, "over several": 2} {
		t.Run(name, func(t *testing.T) {
			withHistory(t, 0, func(t *testing.T, h *historian) {
				h.Change(func(h *servertest.History) { h.PerCall = perCall })
				h.produce(named("speed"), 20, time.Second)
				last := h.now()
				time.Sleep(time.Second)
				up := h.cut()
				time.Sleep(10 * time.Minute)
				for i, after := range []int{0, 1, 1, 2, 2, 2, 3, 3, 600} {
					at := last.Add(time.Duration(after) * time.Second)
					n := int32(100 + i)
					if i == 7 {
						n-- // the same value again
					}
					h.Record(named("speed"), int32At(n, at))
					h.set(named("speed"), int32At(n, at))
				}
				up()
				h.settle(time.Minute)
				// The first has the time of one that crossed, the last crossed live.
				if got := fmt.Sprint(h.late(named("speed"))); got != "[101 102 103 104 105 106]" {
					t.Errorf("got %s", got)
				}
			})
		})
	}
}

// TestMoreValuesOfOneTimeThanARequestReturns goes on behind them.
func TestMoreValuesOfOneTimeThanARequestReturns(t *testing.T) {
	withHistory(t, 0, func(t *testing.T, h *historian) {
		h.Change(func(h *servertest.History) { h.Cut = true })
		h.produce(named("speed"), 20, time.Second)
		up := h.cut()
		time.Sleep(10 * time.Minute)
		at := h.now().Add(-5 * time.Minute)
		for i := range 2 * historyValues {
			h.Record(named("speed"), int32At(int32(1000+i), at))
		}
		h.Record(named("speed"), int32At(5000, at.Add(time.Second)))
		h.set(named("speed"), int32At(5001, h.now()))
		up()
		h.settle(5 * time.Minute)
		got := h.late(named("speed"))
		if len(got) != historyValues+1 || got[len(got)-1] != 5000 || h.source.history.book.Waiting() != 0 {
			t.Errorf("got %d values %v, %d intervals wait", len(got), got, h.source.history.book.Waiting())
		}
	})
}

func TestLateValuesThatTheLinkDoesNotCarry(t *testing.T) {
	withHistory(t, 0, func(t *testing.T, h *historian) {
		h.produce(named("speed"), 20, time.Second)
		up := h.cut()
		time.Sleep(time.Minute)
		h.Record(named("speed"), bytesAt(5000, h.now()))
		time.Sleep(time.Minute)
		h.set(named("speed"), int32At(7, h.now()))
		h.quirk(func() { h.link.most = 1000 })
		up()
		h.settle(time.Minute)
		h.link.mu.Lock()
		defer h.link.mu.Unlock()
		if len(h.link.late) != 1 || h.source.stats.RefusedValues.Load() == 0 {
			t.Fatalf("got %d late records, want a status in the place of one", len(h.link.late))
		}
		u := h.link.late[0]
		raw, _ := payload.ParseValue(nil, u.Payload, u.Time)
		v, _ := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
		if v.Status != ua.StatusBadEncodingLimitsExceeded || u.Time.IsZero() {
			t.Errorf("got %v at %v", v.Status, u.Time)
		}
	})
}

// TestLateValuesWaitForTheLine: no more of them wait in the link than a live value may wait
// behind.
func TestLateValuesWaitForTheLine(t *testing.T) {
	withHistory(t, 0, func(t *testing.T, h *historian) {
		h.produce(named("speed"), 20, time.Second)
		up := h.cut()
		first, last := h.produce(named("speed"), 300, time.Second)
		h.link.mu.Lock()
		h.link.hold = true
		h.link.mu.Unlock()
		up()
		h.settle(5 * time.Minute)
		if got := len(h.late(named("speed"))); got != lateRecords {
			t.Errorf("got %d late values while nothing leaves, want %d", got, lateRecords)
		}
		// A new session reads again what is not known to have left, and the rest.
		h.link.mu.Lock()
		h.link.hold = false
		h.link.mu.Unlock()
		h.source.Reconnect()
		h.settle(5 * time.Minute)
		got := h.late(named("speed"))
		slices.Sort(got)
		if got = slices.Compact(got); len(got) != int(last-first) {
			t.Errorf("got %d values, want %d", len(got), last-first)
		}
	})
}

func TestBitsOfTheHistorianDoNotCross(t *testing.T) {
	for code, want := range map[ua.StatusCode]ua.StatusCode{
		0:                              0,
		infoDataValue:                  0, // raw
		infoDataValue | 0x02:           0, // interpolated
		0x80000000 | infoDataValue:     0x80000000,
		infoDataValue | 0x0100:         infoDataValue | 0x0100, // limit low
		ua.StatusUncertainInitialValue: ua.StatusUncertainInitialValue,
	} {
		if got := withoutHistorian(code); got != want {
			t.Errorf("%08x: got %08x, want %08x", uint32(code), uint32(got), uint32(want))
		}
	}
}

func TestWhichVariablesHaveAHistory(t *testing.T) {
	attribute := func(a ua.AttributeID, v any) addrspace.Attribute {
		return addrspace.Attribute{ID: a, Value: encoded(v)}
	}
	for name, test := range map[string]struct {
		access, user any
		historizing  any
		configured   bool
		want         bool
	}{
		"historizing":                  {byte(5), byte(5), true, false, true},
		"configured":                   {byte(5), byte(5), false, true, true},
		"neither":                      {byte(5), byte(5), false, false, false},
		"not readable":                 {byte(1), byte(1), true, false, false},
		"not for this user":            {byte(5), byte(1), true, false, false},
		"without the user's rights":    {byte(5), nil, true, false, true},
		"an attribute of another type": {"five", byte(5), true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := plant()
			f.add(ns0(id.HasHistoricalConfiguration), ua.NodeClassReferenceType, "HasHistoricalConfiguration")
			f.add(named("configuration"), ua.NodeClassObject, "HA Configuration")
			n := f.nodes[named("speed")]
			for a, v := range map[ua.AttributeID]any{ua.AttributeIDAccessLevel: test.access,
				ua.AttributeIDUserAccessLevel: test.user, ua.AttributeIDHistorizing: test.historizing} {
				if v != nil {
					n.Attributes = append(n.Attributes, attribute(a, v))
				}
			}
			slices.SortFunc(n.Attributes, func(a, b addrspace.Attribute) int { return int(a.ID) - int(b.ID) })
			if test.configured {
				f.refer(named("speed"), id.HasHistoricalConfiguration, named("configuration"))
			}
			m := newModel(nil, 1<<20)
			var nodes []addrspace.Node
			for _, n := range f.nodes {
				nodes = append(nodes, *n)
			}
			if err := m.put(nodes); err != nil {
				t.Fatal(err)
			}
			if got := readableHistory(m)[m.handles[named("speed")]]; got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

var _ source.Holder = (*port)(nil)
