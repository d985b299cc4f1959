package client

import (
	"math"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// message is a NotificationMessage (OPC 10000-4 §7.26).
type message struct {
	sequence  uint32
	keepAlive bool   // nothing in it; sequence is the next one's
	data      []byte // its array of notifications, and what follows it
	body      []byte // that data lies in
}

// after returns the sequence number that follows: 0 is none.
func after(sequence uint32) uint32 {
	if sequence == math.MaxUint32 {
		return 1
	}
	return sequence + 1
}

func readMessage(a *answer) (message, error) {
	m := message{sequence: a.Uint32(), body: a.body}
	a.Int64() // when it was published
	m.data = a.Rest()
	m.keepAlive = a.Length(3) <= 0
	return m, a.Err()
}

// deliver hands what is in a message to the handler.
func (sub *Subscription) deliver(m message) {
	sub.expected = after(m.sequence)
	sub.notifications(m.data)
	sub.alive = time.Now()
	sub.s.publisher.acknowledge(sub.id, m.sequence)
	sub.s.ch.Recycle(m.body)
}

// notifications reads the array of them. What precedes a fault is delivered.
func (sub *Subscription) notifications(data []byte) {
	c := rawvalue.NewCursor(data, rawvalue.Limits{})
	for range c.Length(3) {
		e := c.ExtensionObject()
		if c.Err() != nil {
			sub.h.Lost(1)
			return
		}
		sub.notify(e)
	}
	if c.Err() != nil {
		sub.h.Lost(1)
	}
}

func (sub *Subscription) notify(e rawvalue.ExtensionObject) {
	kind, err := rawvalue.ParseNodeID(e.TypeID)
	if err != nil || kind.Namespace != 0 {
		sub.h.Lost(1) // of a kind that is not known here
		return
	}
	c := rawvalue.NewCursor(e.Body, rawvalue.Limits{})
	switch kind.Number {
	case id.DataChangeNotification_Encoding_DefaultBinary:
		sub.values(&c)
	case id.EventNotificationList_Encoding_DefaultBinary:
		sub.events(&c)
	case id.StatusChangeNotification_Encoding_DefaultBinary:
		switch code := ua.StatusCode(c.Uint32()); code {
		case 0: // says nothing, or cannot be read
			sub.h.Lost(1)
		case ua.StatusBadTimeout, ua.StatusBadSubscriptionIDInvalid, ua.StatusGoodSubscriptionTransferred:
			sub.ended(code)
		default:
			sub.h.Status(code)
		}
	default:
		sub.h.Lost(1)
	}
}

// values reads the body of a DataChangeNotification.
func (sub *Subscription) values(c *rawvalue.Cursor) {
	n := max(0, c.Length(5))
	if c.Err() != nil {
		sub.h.Lost(1)
		return
	}
	for i := range n {
		handle, dv := c.Uint32(), c.DataValue()
		if err := c.Err(); err != nil {
			sub.fault(handle, n-i-1, err)
			return
		}
		if sub.item(handle) != nil {
			sub.h.Data(handle, dv)
		}
	}
}

// events reads the body of an EventNotificationList. A list with another number of
// fields than was asked for is a fault of that event alone.
func (sub *Subscription) events(c *rawvalue.Cursor) {
	n := max(0, c.Length(8))
	if c.Err() != nil {
		sub.h.Lost(1)
		return
	}
	for i := range n {
		handle := c.Uint32()
		it := sub.item(handle)
		count := max(0, c.Length(1))
		sub.fields = sub.fields[:0]
		for k := 0; k < count && c.Err() == nil; k++ {
			if v := c.Variant(); it != nil && k < it.fields {
				sub.fields = append(sub.fields, v.Raw)
			}
		}
		switch err := c.Err(); {
		case err != nil:
			sub.fault(handle, n-i-1, err)
			return
		case it == nil:
		case count != it.fields:
			sub.h.Fault(handle, 0, wrongCount("event", count, it.fields))
		default:
			sub.h.Events(handle, sub.fields)
		}
	}
}

// fault reports what could not be read. Where not even the handle makes sense, the
// rest of the message is lost.
func (sub *Subscription) fault(handle uint32, behind int, err error) {
	if sub.item(handle) == nil {
		sub.h.Lost(1)
		return
	}
	sub.h.Fault(handle, behind, err)
}
