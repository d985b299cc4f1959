package opcua

import (
	"context"
	"hash/maphash"
	"log/slog"
	"slices"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	payload "heliograph/firmware/payload/opcua"
	"heliograph/firmware/tx/source"
)

// queueLength is how many values of one variable the server keeps between two
// publishings.
const queueLength = 10

// perSubscription is how many items go into one subscription before the next one
// is opened; servers that take fewer say so.
const perSubscription = 10_000

// infoOverflow are the bits by which a server says that values were skipped
// before this one (OPC 10000-4 §7.39.1): InfoType DataValue, Overflow.
const (
	infoDataValue = 0x0400
	infoOverflow  = 0x0080
	infoLimits    = 0x0300
)

// values follows the Values of variables over one session. Data and the other
// methods of client.Handler are called by the session's goroutines.
type values struct {
	port       source.Port
	generation uint32
	interval   time.Duration
	session    *client.Session
	log        *slog.Logger
	arrived    *arrivals
	follow     map[uint32]*client.Subscription // by handle; nil is polled
	polled     []item
	unread     []item            // that were subscribed to and never read
	seen       map[uint32]uint64 // hash of what was last read of a polled item
	seed       maphash.Seed
	current    *client.Subscription
	room       int           // for items, in current
	gone       chan struct{} // a subscription ended
}

// item is a variable with its handle.
type item struct {
	handle uint32
	node   rawvalue.NodeID
}

func newValues(s *Source, m *model, session *client.Session) *values {
	return &values{
		port: s.port, generation: m.Generation, interval: s.cfg.PublishingInterval, session: session, log: s.log, arrived: &s.arrived,
		follow: map[uint32]*client.Subscription{}, seen: map[uint32]uint64{}, seed: maphash.MakeSeed(), gone: make(chan struct{}, 1),
	}
}

// Data implements client.Handler: a notification becomes an update of a key.
func (v *values) Data(handle uint32, dv rawvalue.DataValue) {
	if s := dv.Status; s&infoDataValue != 0 && s&infoOverflow != 0 {
		v.port.Conflated(1)
		dv.Status &^= infoOverflow
		if s&infoLimits == 0 {
			dv.Status &^= infoDataValue
		}
	}
	v.put(handle, dv)
}

func (v *values) put(handle uint32, dv rawvalue.DataValue) {
	b := make([]byte, 0, 10+16+len(dv.Value.Raw)) // key and payload in one
	b = payload.Key{Kind: payload.Value, Generation: v.generation, Number: handle}.Append(b)
	key := b[:len(b):len(b)]
	b, at := payload.AppendValue(b, dv)
	// A refused update is counted by the port.
	_ = v.port.Put(source.Update{Key: key, Payload: b[len(key):], Time: at})
	v.arrived.mark(handle)
}

// Status implements client.Handler.
func (v *values) Status(code ua.StatusCode) {
	v.log.Warn("the server reports on a subscription", "status", code)
	signal(v.gone)
}

// Lost implements client.Handler. How many values a message held nobody knows.
func (v *values) Lost(messages int) {
	v.port.Conflated(uint64(messages))
	v.log.Warn("the server did not send some notifications again", "messages", messages)
}

// Fault implements client.Handler. The values are read again in their turn.
func (v *values) Fault(handle uint32, behind int, err error) {
	v.port.Conflated(uint64(1 + behind))
	v.log.Warn("a value cannot be read", "handle", handle, "behind it", behind, "error", err)
}

// Events implements client.Handler; there are none in these subscriptions.
func (v *values) Events(uint32, [][]byte) {}

// watch subscribes to variables. Those that no subscription takes are read in turn.
func (v *values) watch(ctx context.Context, items []item) error {
	trigger := ua.DataChangeTriggerStatusValueTimestamp
	for len(items) > 0 {
		if v.room == 0 {
			if !v.open(ctx) {
				v.poll(items)
				return ctx.Err()
			}
		}
		n := min(len(items), v.room)
		full, plain, err := v.monitor(ctx, items[:n], trigger)
		if err != nil {
			return err
		}
		if len(plain) > 0 {
			again, refused, err := v.monitor(ctx, plain, ua.DataChangeTriggerStatusValue)
			if err != nil {
				return err
			}
			full = append(full, again...)
			v.poll(refused)
		}
		v.room -= n
		if len(full) > 0 {
			if v.room+n == perSubscription && len(full) == n { // not even a fresh one takes any
				v.poll(append(full, items[n:]...))
				return nil
			}
			v.room = 0
		}
		items = append(full, items[n:]...)
	}
	return nil
}

// open makes a new subscription, if the server gives one.
func (v *values) open(ctx context.Context) bool {
	s, err := v.session.Subscribe(ctx, subscription(v.interval), v)
	if err != nil {
		v.log.Warn("the server gives no further subscription; the rest is read in turn", "error", err)
		return false
	}
	v.current, v.room = s, perSubscription
	return true
}

// subscription says what is asked for: signs of life often enough to notice that a
// server has died, and a lifetime that outlasts a break in the network.
func subscription(interval time.Duration) client.SubscriptionConfig {
	alive := uint32(max(1, keepAlive/interval))
	return client.SubscriptionConfig{Interval: interval, KeepAlive: alive, Lifetime: max(10*alive, uint32(lifetime/interval))}
}

// monitor returns the items for which the subscription is full, and those whose
// filter the server refuses. Others that are refused are polled: their status
// crosses as their value.
func (v *values) monitor(ctx context.Context, items []item, trigger ua.DataChangeTrigger) (full, refused []item, err error) {
	want := make([]client.Item, len(items))
	for i, it := range items {
		want[i] = client.Item{
			Node: it.node, Attribute: ua.AttributeIDValue, Handle: it.handle, Sampling: v.interval, Queue: queueLength, DiscardOldest: true,
			Filter: client.DataChange(trigger),
		}
	}
	err = v.current.Monitor(ctx, want, func(i int, status ua.StatusCode, _ client.Revised) {
		switch status {
		case ua.StatusOK:
			v.follow[items[i].handle] = v.current
			v.unread = append(v.unread, items[i])
		case ua.StatusBadTooManyMonitoredItems:
			full = append(full, items[i])
		case ua.StatusBadMonitoredItemFilterUnsupported, ua.StatusBadFilterNotAllowed, ua.StatusBadMonitoredItemFilterInvalid:
			refused = append(refused, items[i])
		default:
			v.poll(items[i : i+1])
		}
	})
	return full, refused, err
}

func (v *values) poll(items []item) {
	for _, it := range items {
		v.follow[it.handle] = nil
		v.polled = append(v.polled, it)
	}
}

// read reads items once. Only changes cross, unless all are asked for. A value that
// was notified meanwhile is newer than what was read.
func (v *values) read(ctx context.Context, items []item, all bool) error {
	v.arrived.untouch(items)
	list := make([]client.ReadItem, len(items))
	for i, it := range items {
		list[i] = client.ReadItem{Node: it.node, Attribute: ua.AttributeIDValue}
	}
	var stamped []byte
	return v.session.Read(ctx, list, 0, func(i int, dv rawvalue.DataValue) {
		if v.arrived.touchedSince(items[i].handle) {
			return
		}
		stamped = dv.Append(stamped[:0], rawvalue.Answer{Timestamps: ua.TimestampsToReturnSource})
		sum := maphash.Bytes(v.seed, stamped)
		if last, ok := v.seen[items[i].handle]; !ok || last != sum || all {
			v.seen[items[i].handle] = sum
			v.put(items[i].handle, dv)
		}
	})
}

// confirm reads some of what is subscribed to once. Servers may write a value in
// another way when they notify it, a null array as an empty one; a client that reads
// the mirror is to find what it would read at the source.
func (v *values) confirm(ctx context.Context) error {
	n := min(maxPerRound, len(v.unread))
	if n == 0 {
		return nil
	}
	now := v.unread[:n]
	v.unread = v.unread[n:]
	return v.read(ctx, now, true)
}

// drop forgets variables that are gone.
func (v *values) drop(ctx context.Context, gone []uint32) error {
	over := map[*client.Subscription][]uint32{}
	for _, h := range gone {
		sub, followed := v.follow[h]
		if !followed {
			continue
		}
		if sub != nil {
			over[sub] = append(over[sub], h)
		}
		delete(v.follow, h)
		delete(v.seen, h)
		v.arrived.mark(h)
	}
	v.polled = slices.DeleteFunc(v.polled, func(it item) bool { _, ok := v.follow[it.handle]; return !ok })
	for sub, handles := range over {
		if err := sub.Unmonitor(ctx, handles); err != nil {
			return err
		}
	}
	for _, h := range gone { // after nothing can bring them back
		_ = v.port.Put(source.Update{Key: payload.Key{Kind: payload.Value, Generation: v.generation, Number: h}.Append(nil), Delete: true})
	}
	return nil
}
