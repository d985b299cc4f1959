package opcua

import (
	"context"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
)

// A monitored item can stop reporting without a status: a server that deletes a node
// and makes it again may keep an item that nothing drives any more. What such an item
// would have reported shows in a Read alone, so that all monitored variables are read
// in turn, and compared with what was notified.
//
// One Read of checkBatch values per checkEvery is 200 values a second for any number of
// variables: of 100,000 that are sampled every 100 ms, 0.02 % of the samples, and each is
// read once in 500 s, less than the default time between two browses. A
// variable is read no more often than once per minPass, 0.2 % of its samples at the
// default interval, and than once in passSamples samples at any other. A server that
// takes long for a Read is read for at most 1 % of the time.
const (
	checkBatch  = 1000
	checkEvery  = 5 * time.Second
	minPass     = time.Minute
	passSamples = 200
	checkRest   = 99 // times as long as a Read took, nothing more is checked

	// A value may be as old as checkMaxAge, so that a server can answer from its cache.
	// What decides is a Read without a cache.
	checkMaxAge = 10 * time.Second

	// A value that differs may be on its way: it is on time within so many of the
	// publishing and sampling intervals that the server granted.
	lateIntervals = 3
	minLate       = 2 * time.Second

	maxSkipped = 6 // an item that was monitored again in vain is skipped for up to 2^maxSkipped passes
)

// itemCheck is the state of the check of monitored items. It is for one goroutine.
type itemCheck struct {
	next     uint32    // handle
	pass     int       // since the session began
	passFrom time.Time // when the pass began
	rest     time.Time // when to go on

	suspects []item    // whose value differs from what was notified
	verdict  time.Time // when their notifications are overdue
	renewed  map[uint32]renewal
}

// renewal is an item that was monitored again. Servers that encode a value in one way in
// a notification and in another in the answer to a Read make that seem necessary at each
// pass; so after every renewal twice as many passes are skipped.
type renewal struct{ count, until int }

// checkItems reads the next monitored variables, or decides on those that were found
// to differ. It reports whether items have to be monitored again.
func (v *values) checkItems(ctx context.Context) (again bool, err error) {
	c, now := &v.check, time.Now()
	switch {
	case now.Before(c.rest):
		return false, nil
	case len(c.suspects) == 0:
		err = v.findSuspects(ctx)
	case now.After(c.verdict):
		again, err = v.endDeadItems(ctx)
	default:
		return false, nil
	}
	c.rest = now.Add(max(checkEvery, checkRest*time.Since(now)))
	return again, err
}

// findSuspects reads the values of a batch.
func (v *values) findSuspects(ctx context.Context) error {
	c := &v.check
	batch := v.nextToCheck()
	if len(batch) == 0 {
		return nil
	}
	var late time.Duration
	v.arrived.untouch(batch)
	err := v.session.Read(ctx, readItems(batch), checkMaxAge, func(i int, dv rawvalue.DataValue) {
		if !v.arrived.touchedSince(batch[i].handle) && v.differs(batch[i].handle, dv) {
			c.suspects = append(c.suspects, batch[i])
			late = max(late, v.follow[batch[i].handle].interval())
		}
	})
	c.verdict = time.Now().Add(max(minLate, lateIntervals*late))
	return err
}

// nextToCheck returns the monitored variables whose turn it is.
func (v *values) nextToCheck() (batch []item) {
	c := &v.check
	if c.next == 0 {
		if time.Since(c.passFrom) < max(minPass, passSamples*v.interval) {
			return nil
		}
		c.passFrom = time.Now()
		c.pass++
	}
	for ; int(c.next) < len(v.model.nodes) && len(batch) < checkBatch; c.next++ {
		if v.follow[c.next] != nil && c.renewed[c.next].until < c.pass && !v.uncertain[c.next] &&
			!v.arrived.isRefused(c.next) {
			batch = append(batch, item{c.next, v.model.nodes[c.next]})
		}
	}
	if int(c.next) >= len(v.model.nodes) {
		c.next = 0
	}
	return batch
}

// differs reports whether a value that was read is another than what crossed last. Its
// timestamps do not count: many servers stamp a value when it is read.
func (v *values) differs(handle uint32, dv rawvalue.DataValue) bool {
	_, newest := v.arrived.timeOf(handle, v.update(handle, dv).Payload)
	return !newest
}

// endDeadItems hands over the values of suspects that were still not notified, and ends
// their items. watchAll makes new ones.
func (v *values) endDeadItems(ctx context.Context) (again bool, err error) {
	c := &v.check
	suspects := c.suspects
	c.suspects = nil
	over := map[*feed][]uint32{}
	err = v.session.Read(ctx, readItems(suspects), 0, func(i int, dv rawvalue.DataValue) {
		handle := suspects[i].handle
		f := v.follow[handle]
		puts := v.putsOf(handle)
		puts.Lock()
		defer puts.Unlock()
		if f == nil || v.arrived.touchedSince(handle) || !v.differs(handle, dv) {
			return
		}
		v.book.Miss(handle)
		v.putValue(handle, dv, wasRead)
		over[f] = append(over[f], handle)
		if c.renewed == nil {
			c.renewed = map[uint32]renewal{}
		}
		n := c.renewed[handle].count
		c.renewed[handle] = renewal{min(n+1, maxSkipped), c.pass + 1<<n - 1}
	})
	if err != nil || len(over) == 0 {
		return false, err
	}
	n := 0
	for _, handles := range over {
		n += len(handles)
	}
	v.stats.DeadItems.Add(uint64(n))
	v.log.Warn("items stopped reporting; monitoring them again", "items", n)
	return true, v.unmonitor(ctx, over)
}

// unmonitor ends items; their variables are not followed any more.
func (v *values) unmonitor(ctx context.Context, over map[*feed][]uint32) error {
	for f, handles := range over {
		if err := f.sub.Unmonitor(ctx, handles); err != nil {
			return err
		}
		f.freed += len(handles)
		for _, h := range handles {
			delete(v.follow, h)
		}
	}
	return nil
}

// interval is how long a change may take to be notified.
func (f *feed) interval() time.Duration { return f.sub.Revised().Interval + f.sampling }

func readItems(items []item) []client.ReadItem {
	list := make([]client.ReadItem, len(items))
	for i, it := range items {
		list[i] = client.ReadItem{Node: it.node, Attribute: ua.AttributeIDValue}
	}
	return list
}
