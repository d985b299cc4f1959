package opcua

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source"
	"heliograph/firmware/tx/source/opcua/absence"
)

// queueLength is how many values of one variable the server keeps between two
// publishings.
const queueLength = 10

// maxPerSubscription is how many items go into one subscription before the next one
// is made; servers that take fewer refuse items.
const maxPerSubscription = 10_000

// values follows the Values of variables over one session. It is for one goroutine,
// except for what a feed uses.
type values struct {
	port       source.Port
	model      *model
	generation uint32
	interval   time.Duration
	session    *client.Session
	log        *slog.Logger
	arrived    *arrivals
	stats      *sourceStats
	missed     *missedValues
	book       *absence.Book
	uncertain  map[uint32]bool // handles of what was missed and not read since
	rereadAt   time.Time       // when the next of it may be read
	check      itemCheck
	follow     map[uint32]*feed // by handle; nil is polled
	polled     []item
	unread     []item            // monitored, and never read
	seen       map[uint32]uint64 // hash of what was last read of a polled item
	seed       maphash.Seed
	stamped    []byte // of putRead
	feeds      []*feed
	current    *feed
	room       int           // for items, in current
	gone       chan struct{} // a subscription ended

	// puts are held, by handle, from the check that no newer value has arrived until what depends on
	// it was handed over.
	puts [64]sync.Mutex
}

// putsOf returns the lock of a variable's values.
func (v *values) putsOf(handle uint32) *sync.Mutex { return &v.puts[handle%uint32(len(v.puts))] }

// item is a variable with its handle.
type item struct {
	handle uint32
	node   rawvalue.NodeID
}

func newValues(s *Source, m *model, session *client.Session) *values {
	return &values{
		port: s.port, model: m, generation: m.Generation, interval: s.cfg.PublishingInterval, session: session,
		log: s.log, book: s.history.book,
		arrived: &s.arrived, stats: &s.stats, missed: newMissedValues(), uncertain: map[uint32]bool{},
		check:  itemCheck{passFrom: time.Now()},
		follow: map[uint32]*feed{}, seen: map[uint32]uint64{}, seed: maphash.MakeSeed(),
		gone: make(chan struct{}, 1),
	}
}

// watch subscribes to variables. Those that no subscription takes are read in turn.
func (v *values) watch(ctx context.Context, items []item) error {
	trigger := ua.DataChangeTriggerStatusValueTimestamp
	for len(items) > 0 {
		if v.room == 0 {
			if err := v.openSubscription(ctx); err != nil {
				return err
			} else if v.room == 0 {
				v.poll(items)
				return nil
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
			if v.room+n == maxPerSubscription && len(full) == n { // not even a fresh one takes any
				v.poll(append(full, items[n:]...))
				return nil
			}
			v.room = 0
		}
		items = append(full, items[n:]...)
	}
	return nil
}

// openSubscription finds a subscription whose items were ended, or makes a new one, if the server
// gives one; there is no room in current otherwise.
func (v *values) openSubscription(ctx context.Context) error {
	for _, f := range v.feeds {
		if f.freed > 0 {
			v.current, v.room, f.freed = f, f.freed, 0
			return nil
		}
	}
	f := &feed{values: v}
	sub, err := v.session.Subscribe(ctx, subscription(v.interval), f)
	if err != nil {
		if !answered(err) || ctx.Err() != nil {
			return err
		}
		v.log.Warn("no further subscription; polling the remaining variables", "error", err)
		return nil
	}
	f.sub = sub
	v.feeds = append(v.feeds, f)
	v.current, v.room = f, maxPerSubscription
	return nil
}

// answered reports whether an error is the server's refusal, and neither a time-out nor
// the end of the session.
func answered(err error) bool {
	var refusal *client.Error
	return errors.As(err, &refusal) && !errors.Is(err, ua.StatusBadTimeout) &&
		!errors.Is(err, ua.StatusBadConnectionClosed) &&
		!errors.Is(err, ua.StatusBadSessionIDInvalid) && !errors.Is(err, ua.StatusBadSecureChannelClosed)
}

// subscription returns what is asked for: keep-alives often enough to notice that a
// server has died, and a lifetime that outlasts an interruption of the network.
func subscription(interval time.Duration) client.SubscriptionConfig {
	alive := uint32(max(1, keepAlive/interval))
	return client.SubscriptionConfig{Interval: interval, KeepAlive: alive,
		Lifetime: max(10*alive, uint32(lifetime/interval))}
}

// monitor returns the items for which the subscription is full, and those whose filter
// the server refuses. Others that are refused are polled: their status crosses as their
// value.
func (v *values) monitor(ctx context.Context, items []item, trigger ua.DataChangeTrigger) (full, refused []item,
	err error) {
	want := make([]client.Item, len(items))
	for i, it := range items {
		want[i] = client.Item{
			Node: it.node, Attribute: ua.AttributeIDValue, Handle: it.handle, Sampling: v.interval,
			Queue: queueLength, DiscardOldest: true,
			Filter: client.DataChange(trigger),
		}
	}
	v.current.asked(items)
	err = v.current.sub.Monitor(ctx, want, func(i int, status ua.StatusCode, granted client.Revised) {
		switch status {
		case ua.StatusOK:
			v.current.sampling = max(v.current.sampling, granted.Sampling)
			v.follow[items[i].handle] = v.current
			v.unread = append(v.unread, items[i])
		case ua.StatusBadTooManyMonitoredItems:
			full = append(full, items[i])
		case ua.StatusBadMonitoredItemFilterUnsupported, ua.StatusBadFilterNotAllowed,
			ua.StatusBadMonitoredItemFilterInvalid:
			refused = append(refused, items[i])
		default:
			v.poll(items[i : i+1])
		}
	})
	return full, refused, err
}

func (v *values) poll(items []item) {
	v.stats.PolledItems.Add(uint64(len(items)))
	for _, it := range items {
		v.follow[it.handle] = nil
		v.polled = append(v.polled, it)
	}
}

// crossing selects which of the values that are read cross.
type crossing int

const (
	changed   crossing = iota // those that changed since they were read last
	differing                 // those that differ from what crossed last
	every
)

// read reads items once. A value that was notified meanwhile is newer than what was
// read.
func (v *values) read(ctx context.Context, items []item, which crossing) error {
	if len(items) == 0 {
		return nil
	}
	v.arrived.untouch(items)
	return v.session.Read(ctx, readItems(items), 0, func(i int, dv rawvalue.DataValue) {
		v.putRead(items[i].handle, dv, which)
	})
}

// putRead hands over a value that was read, unless one was notified since untouch.
func (v *values) putRead(handle uint32, dv rawvalue.DataValue, which crossing) {
	puts := v.putsOf(handle)
	puts.Lock()
	defer puts.Unlock()
	if v.arrived.touchedSince(handle) {
		return
	}
	if which == differing {
		u := v.update(handle, dv)
		if at, newest := v.arrived.timeOf(handle, u.Payload); !newest || !at.Equal(u.Time) {
			v.putValue(handle, dv, wasRead)
		}
		return
	}
	v.stamped = dv.Append(v.stamped[:0], rawvalue.Answer{Timestamps: ua.TimestampsToReturnSource})
	sum := maphash.Bytes(v.seed, v.stamped)
	if last, ok := v.seen[handle]; !ok || last != sum || which == every {
		v.seen[handle] = sum
		v.putValue(handle, dv, wasRead)
	}
}

// confirm reads some of what is monitored once. Servers may encode a value differently
// when they notify it, a null array as an empty one; a client that reads the mirror
// gets what it would read at the source.
func (v *values) confirm(ctx context.Context) error {
	n := min(maxPerRead, len(v.unread))
	if n == 0 {
		return nil
	}
	now := v.unread[:n]
	v.unread = v.unread[n:]
	return v.read(ctx, now, every)
}

// revive ends the items of variables that exist, as a browse has just seen, and have a
// Bad value: a server may have ended them with a node that was deleted, and made again
// under its NodeId. watchAll makes new ones.
func (v *values) revive(ctx context.Context) error {
	over := map[*feed][]uint32{}
	for h, f := range v.follow {
		if f != nil && v.arrived.isBad(h) {
			over[f] = append(over[f], h)
		}
	}
	return v.unmonitor(ctx, over)
}

// drop ends following variables that are gone.
func (v *values) drop(ctx context.Context, gone []uint32) error {
	over := map[*feed][]uint32{}
	for _, h := range gone {
		f, followed := v.follow[h]
		if !followed {
			continue
		}
		if f != nil {
			over[f] = append(over[f], h)
		}
		delete(v.follow, h)
		delete(v.seen, h)
		delete(v.uncertain, h)
		v.arrived.forget(h)
		v.book.Forget(h)
	}
	v.polled = slices.DeleteFunc(v.polled, func(it item) bool { _, ok := v.follow[it.handle]; return !ok })
	if err := v.unmonitor(ctx, over); err != nil {
		return err
	}
	for _, h := range gone { // after their items have ended, so that nothing brings them back
		_ = v.port.Put(source.Update{Key: payload.Key{Kind: payload.Value, Generation: v.generation,
			Number: h}.Append(nil), Delete: true})
	}
	return nil
}
