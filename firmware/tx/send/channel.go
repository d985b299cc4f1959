package send

import (
	"fmt"
	"strings"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/tx/carousel"
	"heliograph/firmware/tx/replay"
)

// Channel is one channel's place in the mux. All its fields belong to the mux.
type Channel struct {
	id    uint16
	class wire.Class
	queue queue
	table carousel.Table
	keys  keyIndex
	kept  *replay.Channel // of what has left, to send it again; nil: it is not

	name      string
	earlier   uint64 // records of earlier epochs
	seq       uint64 // the last number given
	accepted  uint64
	conflated uint64
	dropped   uint64
	tooLarge  uint64
	stateFull uint64
	claims    claims
	roomy     chan struct{} // closed when there is room for a held event; nil: nothing waits for it

	complete  bool // the source's initial snapshot is
	marks     int  // in the queue, which are to be passed before the receiver is informed
	partial   bool // what the totals state
	state     record.SourceState
	reason    string
	totalsDue bool
	totalsAt  time.Time

	deficit int // bytes this channel may still send in its turn
}

// Counts is what TX counts in a channel, in records, since it started.
type Counts struct {
	Sent       uint64 `shown:"channels.sent"`         // accepted from the source
	Conflated  uint64 `shown:"channels.conflated"`    // state skipped because a newer value came
	Dropped    uint64 `shown:"channels.dropped"`      // events lost to a full queue
	TooLarge   uint64 `shown:"channels.refused"`      // refused, and lost: more than the link carries in one record
	StateFull  uint64 `shown:"channels.refused"`      // refused, and lost: the channel has as much state as it may
	Queued     int    `shown:"channels.queued_bytes"` // bytes that wait
	Keys       int    `shown:"channels.keys"`
	StateBytes int    `shown:"channels.state_bytes"` // of the newest values of all keys, those that wait included
	Partial    bool   // the source's initial snapshot has not been sent completely
}

// Refused returns how many records the channel refused, and why in words.
func (c Counts) Refused() (n uint64, why string) {
	var reasons []string
	if c.TooLarge > 0 {
		reasons = append(reasons, fmt.Sprintf("%d larger than the link carries in one record", c.TooLarge))
	}
	if c.StateFull > 0 {
		reasons = append(reasons, fmt.Sprintf("%d beyond the state that the channel may have", c.StateFull))
	}
	return c.TooLarge + c.StateFull, strings.Join(reasons, ", ")
}

// number gives a record its sequence number and keeps state for the carousel, and the
// record for replay. Its place on the wire is fixed from here on.
func (c *Channel) number(now time.Time, r *Record, k *key) record.Update {
	c.seq++
	if c.kept != nil {
		c.kept.Keep(now, &record.Replayed{
			Seq: c.seq, Time: r.Time, Event: r.Event, Delete: r.Delete, Late: r.Late, Key: r.Key, Payload: r.Payload,
		})
	}
	u := record.Update{
		Channel: c.id, Seq: c.seq, Time: r.Time, Event: r.Event, Delete: r.Delete, Late: r.Late, Key: r.Key,
		Payload: r.Payload,
	}
	switch {
	case r.Late && r.Key != nil:
		u.Created = c.seq
	case k == nil:
	case r.Delete:
		u.Created = c.seq
		if k.sent != nil {
			u.Created = k.sent.Created()
			c.table.Delete(k.sent)
			k.sent = nil
		}
		c.keys.release(k, r.Key)
	case k.sent == nil:
		k.sent = c.table.Create(r.Key, r.Payload, r.Time, c.seq)
		u.Created = c.seq
	default:
		c.table.Update(k.sent, r.Payload, r.Time, c.seq)
		u.Created = k.sent.Created()
	}
	return u
}

// skipNumber uses up the number of a record that is never sent.
func (c *Channel) skipNumber() {
	c.seq++
	if c.kept != nil {
		c.kept.Skip(c.seq)
	}
}

// passMark accounts for a mark that was reached.
func (c *Channel) passMark() {
	c.marks--
	if c.complete && c.marks == 0 {
		c.partial, c.totalsDue = false, true
	}
}

// totals states everything up to seq, all of which has been sent.
func (c *Channel) totals(seq uint64) record.Totals {
	return record.Totals{
		Channel: c.id, Partial: c.partial, State: c.state, Seq: seq, Conflated: c.conflated,
		Dropped: c.dropped, Keys: uint64(c.table.Len()), Earlier: c.earlier, Reason: c.reason,
	}
}

// Total is how many records of a channel are to be accounted for at the other
// end, those of earlier epochs included. A record with a Left is not among them before
// it is numbered: its source still has it.
type Total struct {
	Channel string
	Records uint64
}

func (c *Channel) total() Total {
	return Total{Channel: c.name, Records: c.earlier + c.accepted - uint64(c.queue.held)}
}
