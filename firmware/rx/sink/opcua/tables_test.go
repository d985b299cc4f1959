package opcua

import (
	"fmt"
	"testing"

	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/rx/sink"
)

// wideTable is a table of event fields whose encoding has more than a number of bytes.
func wideTable(t *testing.T, name string, size int) *event.Table {
	t.Helper()
	table, err := event.NewTable([]event.Operand{{
		Path:      []rawvalue.QualifiedName{{Name: append([]byte(name), make([]byte, size)...)}},
		Attribute: ua.AttributeIDValue,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// A plant server whose event types change all the time has another table each time.
func TestTablesAreBoundedButForThoseOfRetainedConditions(t *testing.T) {
	for name, size := range map[string]int{"by their number": 0, "by their bytes": maxTableBytes / 4} {
		t.Run(name, func(t *testing.T) {
			l := complete(t)
			put := func(number uint32, table *event.Table) {
				l.deliver(sink.Update{Key: payload.Key{Kind: payload.Table, Generation: 7, Number: number}.Append(nil),
					Payload: table.Append(nil)})
			}
			raised := conditionEvent(t, "raised", 1, 0, 500)
			put(0, raised.Table)
			l.deliver(conditionUpdate(raised, true))
			for i := range uint32(2 * maxTables) {
				if size > 0 && i == 20 {
					break
				}
				put(i%2*i, wideTable(t, fmt.Sprint(i), size)) // in place of another, and beside the others
				if held := &l.mirror.events.tables; len(held.byID) > maxTables || held.bytes > maxTableBytes {
					t.Fatalf("%d tables of %d bytes are held", len(held.byID), held.bytes)
				}
			}
			changed := conditionEvent(t, "changed", 1, 0, 600)
			l.deliver(conditionUpdate(changed, true))
			if n := len(l.server.emitted); n != 2 || l.refused != 0 {
				t.Errorf("%d events were emitted, %d records refused; want two of the retained condition", n, l.refused)
			}
		})
	}
}

// The tables that retained conditions have take all the room.
func TestATableWithoutRoomIsCounted(t *testing.T) {
	l := complete(t)
	for i := range uint32(maxTables + 3) {
		table := wideTable(t, fmt.Sprint(i), 0)
		l.deliver(sink.Update{Key: payload.Key{Kind: payload.Table, Generation: 7, Number: i}.Append(nil),
			Payload: table.Append(nil)})
		if i < maxTables {
			l.mirror.events.retained[fmt.Sprint(i)] = &event.Event{Table: table}
		}
	}
	if l.refused != 3 {
		t.Errorf("%d tables were refused, want 3", l.refused)
	}
}

func TestTablesThatTheHistoryHasAtHandAreBounded(t *testing.T) {
	h := NewHistory(newMemory(), nil)
	for i := range 20 {
		h.addTable(wideTable(t, fmt.Sprint(i), maxTableBytes/4))
		if n := h.tables.bytes; n > maxTableBytes {
			t.Fatalf("tables of %d bytes are held, want %d at most", n, maxTableBytes)
		}
	}
	if newest := wideTable(t, "19", maxTableBytes/4); h.table(newest.ID()) == nil {
		t.Error("the newest table is not at hand")
	}
}
