package event

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"

	"github.com/gopcua/opcua/id"
)

func TestGolden(t *testing.T) {
	ev := alarm(t, "golden", true)
	ev.Notifiers = []rawvalue.NodeID{num(id.Server)}
	got := hex.EncodeToString(ev.Table.Append(nil)) + "\n" + hex.EncodeToString(ev.Append(nil)) + "\n"
	want, err := os.ReadFile("testdata/golden.txt")
	if err != nil || got != string(want) {
		t.Errorf("got\n%swant\n%s%v", got, want, err)
	}
}

func FuzzParse(f *testing.F) {
	table := alarm(f, "1", true).Table
	f.Add(alarm(f, "1", true).Append(nil))
	f.Add(table.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if ev, err := Parse(b, table, rawvalue.Limits{}); err == nil {
			again, err := Parse(ev.Append(nil), table, rawvalue.Limits{})
			if err != nil || !bytes.Equal(again.Append(nil), ev.Append(nil)) {
				t.Errorf("got %+v, %v, want % x", again, err, b)
			}
		}
		if parsed, err := ParseTable(b); err == nil {
			again, err := ParseTable(parsed.Append(nil))
			if err != nil || again.ID() != parsed.ID() {
				t.Errorf("table % x: got %v, want it again", b, err)
			}
		}
	})
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

func TestSelectAllAsksOnceForEachPath(t *testing.T) {
	types(t).View(func(v addrspace.View) {
		operands, more := SelectAll(v)
		var got []string
		for _, o := range operands {
			name := o.Type.String()
			for _, n := range o.Path {
				name += "/" + string(n.Name)
			}
			got = append(got, name)
		}
		want := "i=2041/Severity i=2041/Message i=2782 i=2782/Retain i=2782/EnabledState i=2782/EnabledState/Id"
		if strings.Join(got, " ") != want || more != 0 {
			t.Errorf("got %v and %d, want %v", got, more, want)
		}
	})
}

func TestModelChangeNamesVersionedNodes(t *testing.T) {
	types(t).View(func(v addrspace.View) {
		ev, ok := GeneralModelChange(Stamp{},
			[]addrspace.Affected{{Node: num(9000), Verb: addrspace.ReferenceAdded},
				{Node: num(101), Verb: addrspace.NodeAdded}}, v)
		if !ok || ev.Type != num(id.GeneralModelChangeEventType) || ev.Severity != 100 || ev.Source != num(id.Server) {
			t.Fatalf("got %+v %v, want a GeneralModelChangeEvent of the Server", ev, ok)
		}
		changes, err := rawvalue.SkimVariant(ev.rawField(standardField("Changes").key()), rawvalue.Limits{})
		if err != nil || changes.Len() != 1 {
			t.Errorf("got %d changes, %v, want 1", changes.Len(), err)
		}
		if _, ok := GeneralModelChange(Stamp{}, []addrspace.Affected{{Node: num(101), Verb: 1}}, v); ok {
			t.Error("got an event, want none where no node has a version")
		}
	})
}
