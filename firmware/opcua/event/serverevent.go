package event

import (
	"encoding/binary"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

// Stamp makes an event unique: 16 random bytes, and the time as a DateTime.
type Stamp struct {
	ID   [16]byte
	Time int64
}

// RefreshStart returns the event before the retained conditions of a refresh (OPC 10000-9 §5.11.2).
func RefreshStart(s Stamp) *Event {
	return serverEvent(s, id.RefreshStartEventType, "Refresh of conditions begins", nil)
}

// RefreshEnd returns the event after them (OPC 10000-9 §5.11.3).
func RefreshEnd(s Stamp) *Event {
	return serverEvent(s, id.RefreshEndEventType, "Refresh of conditions is complete", nil)
}

// RefreshRequired returns the event that asks clients to refresh conditions (OPC 10000-9 §5.11.4).
func RefreshRequired(s Stamp) *Event {
	return serverEvent(s, id.RefreshRequiredEventType, "Conditions changed without an event", nil)
}

// QueueOverflow returns the event that reports events lost in a monitored item's queue (OPC 10000-4
// §7.22.3).
func QueueOverflow(s Stamp) *Event {
	return serverEvent(s, id.EventQueueOverflowEventType, "Events were lost: the queue was full", nil)
}

// BaseModelChange reports a change of the address space without details (OPC 10000-5 §6.4.31).
func BaseModelChange(s Stamp) *Event {
	return serverEvent(s, id.BaseModelChangeEventType, "The address space has changed", nil)
}

// GeneralModelChange reports changes of nodes that have a NodeVersion (OPC 10000-3 §9.32). It
// returns false if none of the nodes has one.
func GeneralModelChange(s Stamp, affected []addrspace.Affected, v addrspace.View) (*Event, bool) {
	le := binary.LittleEndian
	changes := le.AppendUint32([]byte{byte(ua.TypeIDExtensionObject) | 0x80}, 0)
	count := uint32(0)
	for _, a := range affected {
		if a.Verb == 0 || !versioned(a.Node, v) {
			continue
		}
		body := append(a.Type.AppendTo(a.Node.AppendTo(nil)), byte(a.Verb))
		object := rawvalue.NodeID{Number: id.ModelChangeStructureDataType_Encoding_DefaultBinary}
		changes = append(object.AppendTo(changes), 1)
		changes = appendString(changes, body)
		count++
	}
	le.PutUint32(changes[1:], count)
	if count == 0 {
		return nil, false
	}
	return serverEvent(s, id.GeneralModelChangeEventType, "The address space has changed", changes), true
}

func versioned(node rawvalue.NodeID, v addrspace.View) bool {
	property := []addrspace.Element{{Type: rawvalue.NodeID{Number: id.HasProperty}, Subtypes: true,
		Name: rawvalue.QualifiedName{Name: []byte("NodeVersion")}}}
	_, status := v.Translate(node, property, 1)
	return status == ua.StatusOK
}

// serverEvent returns an event whose source is the Server object.
func serverEvent(s Stamp, typ uint32, message string, changes []byte) *Event {
	le := binary.LittleEndian
	server := rawvalue.NodeID{Number: id.Server}
	node := func(n rawvalue.NodeID) []byte { return n.AppendTo([]byte{byte(ua.TypeIDNodeID)}) }
	now := le.AppendUint64([]byte{byte(ua.TypeIDDateTime)}, uint64(s.Time))
	names := []string{"EventId", "EventType", "SourceNode", "SourceName", "Time", "ReceiveTime", "Message", "Severity"}
	values := [][]byte{
		appendString([]byte{byte(ua.TypeIDByteString)}, s.ID[:]),
		node(rawvalue.NodeID{Number: typ}), node(server),
		appendString([]byte{byte(ua.TypeIDString)}, []byte("Server")),
		now, now,
		appendString([]byte{byte(ua.TypeIDLocalizedText), 2}, []byte(message)),
		le.AppendUint16([]byte{byte(ua.TypeIDUint16)}, 100),
	}
	if changes != nil {
		names, values = append(names, "Changes"), append(values, changes)
	}
	operands := make([]Operand, len(names))
	for i, name := range names {
		operands[i] = standardField(name)
	}
	table, err := NewTable(operands)
	if err != nil {
		panic(err) // nine operands
	}
	ev, err := FromFields(table, values)
	if err != nil {
		panic(err) // EventId and EventType are above
	}
	ev.Notifiers = []rawvalue.NodeID{server}
	return ev
}
