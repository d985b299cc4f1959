package event

import (
	"bytes"
	"hash/maphash"
	"strings"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// state is an event of a branch of a condition with an EventId that its source never changes.
func state(t *testing.T, condition, branch uint32, severity uint16, received int64, more ...string) *Event {
	t.Helper()
	operands := []Operand{standardField("EventId"), standardField("EventType"), standardField("Severity"),
		standardField("ReceiveTime"), standardField("BranchId"), standardField("Retain"), ConditionID()}
	values := [][]byte{
		variant(t, []byte("constant")), variant(t, ua.NewNumericNodeID(0, id.ConditionType)), variant(t, severity),
		variant(t, received),
		variant(t, ua.NewNumericNodeID(0, branch)), variant(t, true), variant(t, ua.NewNumericNodeID(0, condition)),
	}
	for _, name := range more {
		operands, values = append(operands, standardField(name)), append(values, variant(t, name))
	}
	table, err := NewTable(operands)
	if err != nil {
		t.Fatal(err)
	}
	ev, err := FromFields(table, values)
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func TestStatesOfAConditionAreComparedByAllFields(t *testing.T) {
	first, seed := state(t, 9000, 1, 500, 1), maphash.MakeSeed()
	for name, c := range map[string]struct {
		other *Event
		want  bool
	}{
		"the same":                    {state(t, 9000, 1, 500, 1), true},
		"replayed later":              {state(t, 9000, 1, 500, 2), true},
		"replayed with another table": {state(t, 9000, 1, 500, 1, "Comment"), true},
		"another severity":            {state(t, 9000, 1, 600, 1), false},
		"another condition":           {state(t, 9001, 1, 500, 1), false},
		"another branch":              {state(t, 9000, 2, 500, 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := first.SameState(c.other); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if c.other.Table.ID() != first.Table.ID() {
				return
			}
			if got := first.StateHash(seed) == c.other.StateHash(seed); got != c.want {
				t.Errorf("equal hashes: got %v, want %v", got, c.want)
			}
		})
	}
}

func TestTheEndOfAConditionKeepsItsBranchAndIsAnEventOfItsOwn(t *testing.T) {
	last := state(t, 9000, 1, 500, 1)
	ended, err := Parse(last.Ended(Stamp{ID: [16]byte{1}, Time: 7}).Append(nil), last.Table, rawvalue.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if ended.Retain || ended.Condition != last.Condition || ended.Branch != last.Branch ||
		ended.Severity != last.Severity || bytes.Equal(ended.ID, last.ID) || last.SameState(ended) {
		t.Errorf("got %+v after %+v", ended, last)
	}
	c := NewConditions(10, 1<<20)
	c.Put(last)
	if c.Put(ended); c.Len() != 0 {
		t.Errorf("%d are retained, want none", c.Len())
	}
	if !last.Retain {
		t.Error("the event before it was changed")
	}
}

// TestARefreshRepeatsEachBranchOnce: conditions may share one EventId.
func TestARefreshRepeatsEachBranchOnce(t *testing.T) {
	c := NewConditions(10, 1<<20)
	for _, ev := range []*Event{state(t, 1, 0, 500, 1), state(t, 2, 0, 500, 1), state(t, 1, 7, 500, 1),
		state(t, 1, 0, 600, 2)} {
		c.Put(ev)
	}
	seen := map[branch]int{}
	for ev := range c.Refresh(Stamp{}, Stamp{}) {
		seen[branch{ev.Condition, ev.Branch}]++
	}
	for _, want := range []branch{{num(1), rawvalue.NodeID{}}, {num(2), rawvalue.NodeID{}}, {num(1), num(7)}} {
		if seen[want] != 1 {
			t.Errorf("branch %v of %v was repeated %d times, want once", want.branch, want.condition, seen[want])
		}
	}
	if c.Len() != 3 {
		t.Errorf("%d are retained, want 3", c.Len())
	}
}

func TestConditionsAreRetained(t *testing.T) {
	c := NewConditions(1, 1<<20)
	c.Put(alarm(t, "old", true))
	c.Put(alarm(t, "new", true))
	var got []string
	for ev := range c.Refresh(Stamp{ID: [16]byte{'s'}}, Stamp{ID: [16]byte{'e'}}) {
		got = append(got, strings.TrimRight(string(ev.ID), "\x00"))
	}
	if want := "s new e"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %v", got, want)
	}
	other := alarm(t, "other", true)
	other.Branch = num(5)
	c.Put(other)
	if c.Len() != 1 || c.Discarded() != 1 {
		t.Errorf("got %d held, %d discarded, want 1 and 1", c.Len(), c.Discarded())
	}
	other.Retain = false
	c.Put(other)
	if c.Len() != 0 || c.size != 0 {
		t.Errorf("got %d held in %d bytes, want none", c.Len(), c.size)
	}
}
