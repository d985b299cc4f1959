package subscription

import (
	"encoding/binary"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

func appendUint32(b []byte, n uint32) []byte { return binary.LittleEndian.AppendUint32(b, n) }

// null is the length of a null array or String.
const null = 1<<32 - 1

// batch collects the notifications of one message, encoded as the elements of the
// DataChangeNotification and of the EventNotificationList.
type batch struct {
	values, events   []byte
	nValues, nEvents uint32
}

func (b *batch) count() int { return int(b.nValues + b.nEvents) }

func (b *batch) size() int { return len(b.values) + len(b.events) }

func (b *batch) add(it *item, n *entry, now int64) {
	if it.events {
		b.nEvents++
		b.events = appendUint32(b.events, it.handle)
		b.events = appendUint32(b.events, n.fields)
		b.events = append(b.events, n.raw...)
		return
	}
	dv, err := rawvalue.SkimDataValue(n.raw, rawvalue.Limits{})
	if err != nil {
		return // unreachable: it was checked before it was queued
	}
	answer := rawvalue.Answer{Timestamps: it.timestamps, Overflow: n.overflow, ServerTime: now}
	if it.attribute != ua.AttributeIDValue { // has no source timestamp
		switch it.timestamps {
		case ua.TimestampsToReturnSource:
			answer.Timestamps = ua.TimestampsToReturnNeither
		case ua.TimestampsToReturnBoth:
			answer.Timestamps = ua.TimestampsToReturnServer
		}
	}
	b.nValues++
	b.values = dv.Append(appendUint32(b.values, it.handle), answer)
}

// body returns the array of ExtensionObjects (OPC 10000-4 §7.25).
func (b *batch) body() []byte {
	var out []byte
	objects := uint32(0)
	if b.nValues > 0 {
		objects++
	}
	if b.nEvents > 0 {
		objects++
	}
	out = appendUint32(make([]byte, 0, len(b.values)+len(b.events)+64), objects)
	if b.nValues > 0 {
		out = appendObject(out, id.DataChangeNotification_Encoding_DefaultBinary, 4+len(b.values)+4)
		out = append(appendUint32(out, b.nValues), b.values...)
		out = appendUint32(out, null) // no diagnostics
	}
	if b.nEvents > 0 {
		out = appendObject(out, id.EventNotificationList_Encoding_DefaultBinary, 4+len(b.events))
		out = append(appendUint32(out, b.nEvents), b.events...)
	}
	return out
}

// appendObject appends the head of an ExtensionObject whose body has size bytes.
func appendObject(b []byte, typeID uint32, size int) []byte {
	b = append(uabinary.AppendTypeID(b, typeID), 1)
	return appendUint32(b, uint32(size))
}

// appendStatusChange returns the array with a single StatusChangeNotification.
func appendStatusChange(code ua.StatusCode) []byte {
	b := appendObject(appendUint32(nil, 1), id.StatusChangeNotification_Encoding_DefaultBinary, 5)
	return append(appendUint32(b, uint32(code)), 0)
}

// appendMessage appends a NotificationMessage; one without notifications is a
// keep-alive.
func appendMessage(b []byte, sequence uint32, at time.Time, notifications []byte) []byte {
	b = appendUint32(b, sequence)
	b = uabinary.AppendDateTime(b, at)
	if notifications == nil {
		return appendUint32(b, 0)
	}
	return append(b, notifications...)
}
