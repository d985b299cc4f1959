package opcua

import (
	"testing"
	"time"

	"heliograph/firmware/opcua/servertest"
)

// limited are servers that return less than they are asked for.
var limited = map[string]func(h *servertest.History){
	"no continuation points":   func(h *servertest.History) { h.Points, h.PerCall = -1, 10 },
	"one continuation point":   func(h *servertest.History) { h.Points, h.PerCall = 1, 50 },
	"one node in a request":    func(h *servertest.History) { h.Nodes = 1 },
	"one value in an answer":   func(h *servertest.History) { h.PerCall = 1 },
	"as many as it is asked":   func(h *servertest.History) {},
	"no point for what is cut": func(h *servertest.History) { h.Cut = true },
	"values at the end":        func(h *servertest.History) { h.End = true },
}

func TestServersThatReturnLittleAreAskedForLess(t *testing.T) {
	for name, odd := range limited {
		t.Run(name, func(t *testing.T) {
			withHistory(t, 0, func(t *testing.T, h *historian) {
				h.Change(odd)
				h.produce(named("speed"), 20, time.Second)
				h.produce(named("force"), 1, time.Second)
				up := h.cut()
				first, last := h.produce(named("speed"), 500, time.Second)
				h.produce(named("force"), 3, time.Second)
				up()
				h.settle(20 * time.Minute)
				h.wantLate(first, last-1)
				if got := h.late(named("force")); len(got) != 2 {
					t.Errorf("got %v of the other node, want 2", got)
				}
				if n := h.source.stats.HistoryGivenUp.Load(); n != 0 {
					t.Errorf("got %d intervals given up", n)
				}
			})
		})
	}
}

// TestASlowVariableHidesNoneOfAnothersHistory: both are read in one request, from where the
// interval of the slow one begins; the other has more values before its own than a request
// returns.
func TestASlowVariableHidesNoneOfAnothersHistory(t *testing.T) {
	for name, odd := range limited {
		t.Run(name, func(t *testing.T) {
			withHistory(t, 0, func(t *testing.T, h *historian) {
				h.Change(odd)
				h.produce(named("force"), 1, time.Second)
				h.produce(named("speed"), historyValues+50, time.Second)
				up := h.cut()
				h.settle(45 * time.Minute)
				first, last := h.produce(named("speed"), 100, time.Second)
				h.produce(named("force"), 3, time.Second)
				up()
				h.settle(20 * time.Minute)
				h.wantLate(first, last-1)
				if got := h.late(named("force")); len(got) != 2 {
					t.Errorf("got %v of the slow node, want 2", got)
				}
				if n := h.source.stats.HistoryGivenUp.Load(); n != 0 {
					t.Errorf("got %d intervals given up", n)
				}
			})
		})
	}
}
