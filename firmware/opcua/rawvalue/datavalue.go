package rawvalue

import "github.com/gopcua/opcua/ua"

// DataValue is a skimmed DataValue. Fields that its mask does not name are zero.
type DataValue struct {
	Raw        []byte // all of it; Raw[0] is the mask
	Value      Variant
	SourceTime int64 // a DateTime, see package uabinary
	ServerTime int64
	Status     ua.StatusCode
	SourcePico uint16 // 10 ps
	ServerPico uint16
}

// SkimDataValue skims the DataValue at the start of b.
func SkimDataValue(b []byte, lim Limits) (DataValue, error) {
	c := NewCursor(b, lim)
	d := c.DataValue()
	return d, c.Err()
}

// DataValue reads a DataValue.
func (c *Cursor) DataValue() DataValue {
	c.begin()
	start := c.pos
	if !c.enter() {
		return DataValue{}
	}
	var d DataValue
	mask := c.Byte()
	if mask&ua.DataValueValue != 0 {
		d.Value = c.Variant()
	}
	if mask&ua.DataValueStatusCode != 0 {
		d.Status = ua.StatusCode(c.Uint32())
	}
	if mask&ua.DataValueSourceTimestamp != 0 {
		d.SourceTime = c.Int64()
	}
	if mask&ua.DataValueSourcePicoseconds != 0 {
		d.SourcePico = c.Uint16()
	}
	if mask&ua.DataValueServerTimestamp != 0 {
		d.ServerTime = c.Int64()
	}
	if mask&ua.DataValueServerPicoseconds != 0 {
		d.ServerPico = c.Uint16()
	}
	c.leave()
	c.end()
	if d.Raw = c.since(start); d.Raw == nil {
		return DataValue{}
	}
	return d
}

// Has reports whether all fields that mask names are encoded.
func (d DataValue) Has(mask byte) bool {
	return len(d.Raw) > 0 && d.Raw[0]&mask == mask
}
