package rawvalue

import "github.com/gopcua/opcua/ua"

// ResponseHeader begins each response, after its type.
type ResponseHeader struct {
	Timestamp     int64 // a DateTime, see package uabinary
	RequestHandle uint32
	ServiceResult ua.StatusCode
}

// ResponseHeader reads a ResponseHeader and skips its diagnostics.
func (c *Cursor) ResponseHeader() ResponseHeader {
	h := ResponseHeader{Timestamp: c.Int64(), RequestHandle: c.Uint32(), ServiceResult: ua.StatusCode(c.Uint32())}
	c.DiagnosticInfo()
	for range c.Length(4) {
		c.Bytes()
	}
	c.ExtensionObject()
	return h
}

// DataValues reads an array of DataValues, such as the Results of a ReadResponse, and
// appends them to dst. One byte can encode a DataValue that takes a hundred in memory, so
// most must be the number requested: a longer array is a fault. After a fault it returns those
// before it.
func (c *Cursor) DataValues(dst []DataValue, most int) []DataValue {
	for range c.atMost(most, c.Length(1)) {
		d := c.DataValue()
		if c.err != nil {
			break
		}
		dst = append(dst, d)
	}
	return dst
}

// Notification is a MonitoredItemNotification: one changed value.
type Notification struct {
	Value        DataValue
	ClientHandle uint32
}

// Notifications reads the MonitoredItems of a DataChangeNotification, which may not be more
// than most, and appends them to dst. After a fault it returns those before it.
func (c *Cursor) Notifications(dst []Notification, most int) []Notification {
	for range c.atMost(most, c.Length(5)) {
		n := Notification{ClientHandle: c.Uint32(), Value: c.DataValue()}
		if c.err != nil {
			break
		}
		dst = append(dst, n)
	}
	return dst
}

func (c *Cursor) atMost(most, n int) int {
	if n > most {
		c.exceeded("array has more elements than were requested")
		return 0
	}
	return n
}

// DiagnosticInfos skips an array of DiagnosticInfos, which ends most responses.
func (c *Cursor) DiagnosticInfos() {
	for range c.Length(1) {
		if c.DiagnosticInfo(); c.err != nil {
			return
		}
	}
}

// ReadResponse reads a ReadResponse after its type, and appends its DataValues to dst.
func (c *Cursor) ReadResponse(dst []DataValue, most int) (ResponseHeader, []DataValue) {
	h := c.ResponseHeader()
	dst = c.DataValues(dst, most)
	c.DiagnosticInfos()
	return h, dst
}

// DataChange reads the body of a DataChangeNotification (the Body of the
// ExtensionObject in a NotificationMessage), and appends its Notifications to dst.
func (c *Cursor) DataChange(dst []Notification, most int) []Notification {
	dst = c.Notifications(dst, most)
	c.DiagnosticInfos()
	return dst
}
