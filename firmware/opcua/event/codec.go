package event

import (
	"encoding/binary"

	"heliograph/firmware/opcua/rawvalue"
)

// Append appends the encoding of the event.
func (ev *Event) Append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(append(dst, version), ev.Table.ID())
	dst = le.AppendUint16(dst, uint16(len(ev.Notifiers)))
	for _, n := range ev.Notifiers {
		dst = n.AppendTo(dst)
	}
	count := len(dst)
	dst = le.AppendUint16(dst, 0)
	fields := uint16(0)
	for i, raw := range ev.Values {
		if len(raw) > 0 && raw[0] != 0 {
			dst = append(le.AppendUint16(dst, uint16(i)), raw...)
			fields++
		}
	}
	le.PutUint16(dst[count:], fields)
	return dst
}

// TableID returns the ID of the table that Parse needs.
func TableID(b []byte) (uint64, error) {
	if len(b) < 9 || b[0] != version {
		return 0, fault("not an event of version %d", version)
	}
	return binary.LittleEndian.Uint64(b[1:]), nil
}

// Parse reads an event that fills b; its values alias b.
func Parse(b []byte, t *Table, lim rawvalue.Limits) (*Event, error) {
	if name, err := TableID(b); err != nil || name != t.ID() {
		return nil, fault("not an event of this table")
	}
	c := rawvalue.NewCursor(b, lim)
	c.Skip(9)
	n := int(c.Uint16())
	if n > len(b) {
		return nil, fault("%d notifiers", n)
	}
	notifiers := make([]rawvalue.NodeID, 0, n)
	for range n {
		node, err := rawvalue.ParseNodeID(c.NodeID())
		if err != nil {
			return nil, fault("notifier: %v", err)
		}
		notifiers = append(notifiers, node)
	}
	values := make([][]byte, len(t.operands))
	last := -1
	for range int(c.Uint16()) {
		i := int(c.Uint16())
		raw := c.Variant()
		if c.Err() != nil || i <= last || i >= len(values) || raw.IsNull() {
			return nil, fault("malformed field")
		}
		values[i], last = raw.Raw, i
	}
	if c.Err() != nil || c.Pos() != len(b) {
		return nil, fault("malformed event")
	}
	ev, err := FromFields(t, values)
	if err != nil {
		return nil, err
	}
	ev.Notifiers = notifiers
	return ev, nil
}
