package opcua

import (
	"errors"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source"
)

// infoOverflow are the bits by which a server says that values were skipped
// before this one (OPC 10000-4 §7.39.1): InfoType DataValue, Overflow.
const (
	infoDataValue = 0x0400
	infoOverflow  = 0x0080
	infoLimits    = 0x0300
)

// feed handles one subscription to values. Its methods are called by the session's
// goroutines.
type feed struct {
	*values
	sub      *client.Subscription // set once Subscribe has returned
	sampling time.Duration        // the longest that the server granted an item
	freed    int                  // items that were ended since others were made last

	mu      sync.Mutex
	handles []uint32 // of items that were asked for; some may have ended
}

// Data implements client.Handler: a notification becomes an update of a key. What
// an overflow skipped is older than the value that says so, which is Good; it is
// read again all the same, in case the server kept the wrong end of its queue.
func (f *feed) Data(handle uint32, dv rawvalue.DataValue) {
	if s := dv.Status; s&infoDataValue != 0 && s&infoOverflow != 0 {
		f.stats.SkippedValues.Add(1)
		f.port.Conflated(1)
		f.missed.overflow(handle)
		f.book.Miss(handle)
		dv.Status &^= infoOverflow
		if s&infoLimits == 0 {
			dv.Status &^= infoDataValue
		}
	}
	puts := f.putsOf(handle)
	puts.Lock()
	defer puts.Unlock()
	f.putValue(handle, dv, notified)
}

// Status implements client.Handler. It ends the session; in the next one everything is
// read again.
func (f *feed) Status(code ua.StatusCode) {
	f.log.Warn("subscription status changed", "status", code)
	signal(f.gone)
}

// Lost implements client.Handler. It is not known which values the messages held.
func (f *feed) Lost(messages int) {
	f.stats.LostNotifications.Add(uint64(messages))
	f.port.Conflated(uint64(messages))
	f.log.Warn("notifications lost; reading all values of the subscription", "messages", messages)
	f.missAll()
}

// Fault implements client.Handler. Behind the fault, the handles of other variables are
// lost too.
func (f *feed) Fault(handle uint32, behind int, err error) {
	f.stats.UnreadableValues.Add(uint64(1 + behind))
	f.port.Conflated(uint64(1 + behind))
	f.log.Warn("notification not decodable", "error", err, "handle", handle, "behind", behind)
	if behind == 0 {
		f.book.Miss(handle)
		f.missed.one(handle)
	} else {
		f.missAll()
	}
}

// missAll has all values of the subscription read again, and the history before them.
func (f *feed) missAll() {
	f.mu.Lock()
	f.book.Miss(f.handles...)
	f.mu.Unlock()
	f.missed.all(f)
}

// asked records for which variables there may be values from now on.
func (f *feed) asked(items []item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, it := range items {
		f.handles = append(f.handles, it.handle)
	}
}

// Events implements client.Handler; there are none in these subscriptions.
func (f *feed) Events(uint32, [][]byte) {}

// origin is how a value came.
type origin bool

const (
	notified origin = true
	wasRead  origin = false
)

// putValue hands a value over. Instead of one that the link does not carry, a Bad status
// with its source timestamp crosses; where there is no room for that either, the node's
// block carries the status. The lock of putsOf is held.
func (v *values) putValue(handle uint32, dv rawvalue.DataValue, from origin) {
	now := time.Now()
	defer v.book.Came(handle, dv.SourceTime, now, from == notified)
	u := v.update(handle, dv)
	u.Left = v.book.Probe(now)
	timed := u
	if !dv.Has(ua.DataValueSourceTimestamp) {
		timed.Time = now // for a history that gets it late: the DataValue has none
	}
	err := v.port.Put(timed)
	if err != nil && u.Left != nil {
		v.book.NoProbe()
	}
	if !refused(err) {
		v.arrived.mark(handle, isBad(dv.Status), u.Payload, u.Time)
		return
	}
	v.stats.RefusedValues.Add(1)
	size := len(u.Key) + len(u.Payload)
	absent := ua.StatusOK
	u = v.update(handle, instead(dv, whyRefused(err)))
	if err := v.port.Put(u); refused(err) {
		absent = ua.StatusBadOutOfMemory
	}
	v.arrived.refuse(handle, size, u.Payload, u.Time, absent)
}

func (v *values) update(handle uint32, dv rawvalue.DataValue) source.Update {
	b := make([]byte, 0, 10+16+len(dv.Value.Raw)) // key and payload in one
	b = payload.Key{Kind: payload.Value, Generation: v.generation, Number: handle}.Append(b)
	key := b[:len(b):len(b)]
	b, at := payload.AppendValue(b, dv)
	return source.Update{Key: key, Payload: b[len(key):], Time: at}
}

// instead returns a DataValue without a value, with the source timestamp of another.
func instead(dv rawvalue.DataValue, code ua.StatusCode) rawvalue.DataValue {
	mask := byte(ua.DataValueStatusCode)
	if len(dv.Raw) > 0 {
		mask |= dv.Raw[0] & (ua.DataValueSourceTimestamp | ua.DataValueSourcePicoseconds)
	}
	return rawvalue.DataValue{Raw: []byte{mask}, Status: code, SourceTime: dv.SourceTime, SourcePico: dv.SourcePico}
}

// whyRefused is the status that a client reads instead of what the link refused.
func whyRefused(err error) ua.StatusCode {
	if errors.Is(err, source.ErrTooLarge) {
		return ua.StatusBadEncodingLimitsExceeded
	}
	return ua.StatusBadResourceUnavailable
}

func isBad(code ua.StatusCode) bool { return code>>31 == 1 }

var _ client.Handler = (*feed)(nil)
