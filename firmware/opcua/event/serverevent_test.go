package event

import (
	"testing"

	"github.com/gopcua/opcua/id"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

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
