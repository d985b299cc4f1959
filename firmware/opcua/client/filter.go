package client

import (
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// Filter is a monitoring filter. The zero value is the standard's default.
type Filter struct {
	raw    []byte // an ExtensionObject
	fields int
}

// DataChange reports changes by what triggers them, without a deadband.
func DataChange(trigger ua.DataChangeTrigger) Filter {
	body := appendUint32(nil, uint32(trigger))
	body = appendUint32(body, 0)
	return Filter{raw: extension(id.DataChangeFilter_Encoding_DefaultBinary, appendFloat64(body, 0))}
}

// SelectClause names a field of an event; the null Type is BaseEventType.
type SelectClause struct {
	Type      rawvalue.NodeID
	Path      []rawvalue.QualifiedName // none: the condition's NodeId, with Attribute NodeId
	Attribute ua.AttributeID           // 0 is Value
}

// Events reports every event, with these fields.
func Events(clauses []SelectClause) Filter {
	body := appendUint32(nil, uint32(len(clauses)))
	for _, c := range clauses {
		if c.Type == (rawvalue.NodeID{}) {
			c.Type.Number = id.BaseEventType
		}
		if c.Attribute == 0 {
			c.Attribute = ua.AttributeIDValue
		}
		body = c.Type.AppendTo(body)
		body = appendUint32(body, uint32(len(c.Path)))
		for _, q := range c.Path {
			body = append(body, byte(q.Namespace), byte(q.Namespace>>8))
			body = appendBytes(body, q.Name)
		}
		body = appendUint32(body, uint32(c.Attribute))
		body = appendUint32(body, nullLength)
	}
	body = appendUint32(body, 0) // no where clause
	return Filter{raw: extension(id.EventFilter_Encoding_DefaultBinary, body), fields: len(clauses)}
}

func extension(kind uint32, body []byte) []byte {
	b := rawvalue.NodeID{Number: kind}.AppendTo(nil)
	return appendBytes(append(b, 1), body)
}

// clauses reads the verdicts of an EventFilterResult.
func clauses(e rawvalue.ExtensionObject, most int) []ua.StatusCode {
	kind, err := rawvalue.ParseNodeID(e.TypeID)
	if err != nil || kind != (rawvalue.NodeID{Number: id.EventFilterResult_Encoding_DefaultBinary}) {
		return nil
	}
	c := rawvalue.NewCursor(e.Body, rawvalue.Limits{})
	var list []ua.StatusCode
	for range min(c.Length(4), most) {
		list = append(list, ua.StatusCode(c.Uint32()))
	}
	return list
}
