// Package mirror is what IT's side knows: of each channel the newest state, how
// complete and how old it is, and an exact account of what was delivered,
// skipped and lost.
//
// # Order and loss
//
// A channel numbers its records 1, 2, 3 … in each epoch, and they arrive in
// order or not at all; so the first number that is too high states a loss. The
// totals that come each second state losses at the end. Always
//
//	sent = delivered + conflated + lost + unknown
//
// where unknown is what was sent while nobody here can say what became of it:
// before this receiver first heard the channel, or around its crash.
//
// # Completeness
//
// Each carousel page says exactly which keys were born in a range. A round is
// an unbroken chain of pages around the whole circle, begun anywhere: after one,
// whatever it did not list is gone, and all it listed is confirmed. The manifest
// that follows has the number and a hash of the keys: a second witness. A loss
// on the channel breaks the round, and until the next one is closed the picture
// is not complete and what was not heard since is not confirmed.
//
// The package is pure: no I/O, no goroutine, no clock. It refuses to
// interpret keys and payloads.
package mirror

import (
	"bytes"

	"heliograph/firmware/conduit/record"
)

// Update is one record delivered. Its slices are the receiver's to keep.
type Update struct {
	Key     []byte
	Payload []byte
	Time    int64 // ns since 1970, 0: none
	Event   bool
	Delete  bool
}

// Channel is what is known of one channel. Not safe for concurrent use.
type Channel struct {
	deliver func(Update)
	keys    map[string]*value
	hash    uint64
	graves  map[string]grave
	expect  uint64 // the next number; 0: not heard in this epoch
	joined  uint64 // numbers up to here were sent before the channel was first heard
	settled uint64 // numbers up to here were accounted for by an earlier run
	doubt   bool   // … which crashed: what follows settled may have been delivered
	changed uint64 // when the set of keys last changed
	round   round
	totals  record.Totals
	heard   bool // totals arrived in this epoch
	before  uint64
	counts  Counts
}

// value is the newest value of a key.
type value struct {
	payload []byte
	time    int64
	seq     uint64 // 0: of an earlier epoch
	born    uint64
	round   uint32 // in which it was last heard of
	ghost   bool   // all that is known is that an earlier run knew the key
}

// grave remembers a deletion until no page made before it can arrive.
type grave struct{ seq, born uint64 }

// Counts is the account of a channel, in records.
type Counts struct {
	Delivered uint64
	Conflated uint64
	Lost      uint64
	Unknown   uint64
}

// New returns a channel that calls deliver with every record, in order.
func New(deliver func(Update)) *Channel {
	return &Channel{deliver: deliver, keys: map[string]*value{}, graves: map[string]grave{}}
}

// Begin starts a new epoch. With fromStart the epoch is known from its first
// record, so that nothing of it can be missed unnoticed. What is known stays,
// unconfirmed, until the new epoch's pages confirm or remove it.
func (c *Channel) Begin(fromStart bool) {
	for _, v := range c.keys {
		v.seq, v.born = 0, 0
	}
	c.hash = 0
	c.graves = map[string]grave{}
	c.before += c.totals.Conflated
	c.expect, c.joined, c.settled, c.changed = 0, 0, 0, 0
	c.heard, c.doubt = false, false
	c.totals = record.Totals{State: c.totals.State, Reason: c.totals.Reason}
	if fromStart {
		c.expect = 1
	}
	c.round.restart(true)
}

// Account is what a run hands on to the next.
type Account struct {
	Counts
	Before uint64 // of Conflated, what earlier epochs contributed
	Next   uint64 // sequence number; 0: the channel was not heard in this epoch
}

// Account returns the account as it stands.
func (c *Channel) Account() Account {
	return Account{Counts: c.Status().Counts, Before: c.before, Next: c.expect}
}

// Resume takes over the counts of an earlier run, before the first Begin.
func (c *Channel) Resume(a Account) {
	c.counts, c.before = a.Counts, a.Conflated
}

// Continue goes on where an earlier run left off in this very epoch, right after
// Begin. exact says that the run ended in order; otherwise it may have delivered
// more than it remembered.
func (c *Channel) Continue(a Account, exact bool) {
	c.before = a.Before
	c.expect, c.settled, c.doubt = a.Next, max(a.Next, 1)-1, !exact
}

// Recall takes over the keys that an earlier run knew, without their values, so
// that those which went away meanwhile are found and their deletion delivered.
func (c *Channel) Recall(keys [][]byte) {
	for _, key := range keys {
		c.keys[string(key)] = &value{ghost: true}
	}
}

// Keys returns all keys, for Recall, and a number that changes with their set.
func (c *Channel) Keys() (keys [][]byte, set uint64) {
	for key := range c.keys {
		keys = append(keys, []byte(key))
	}
	return keys, c.hash
}

// known reports whether the value is one of an earlier epoch.
func (v *value) known() bool { return v.seq == 0 && !v.ghost }

// Update takes a live record.
func (c *Channel) Update(u *record.Update) {
	first := u.Seq < c.expect // sent before the channel was joined, but came later
	c.reach(u.Seq)
	if first {
		c.counts.Unknown -= min(c.counts.Unknown, 1)
	} else {
		c.expect = u.Seq + 1
	}
	out := Update{Time: u.Time, Event: u.Event, Delete: u.Delete, Payload: bytes.Clone(u.Payload)}
	c.counts.Delivered++
	if u.Key == nil {
		c.deliver(out)
		return
	}
	v := c.keys[string(u.Key)]
	if v != nil && v.seq >= u.Seq {
		c.counts.Delivered-- // a page has brought this very value before
		return
	}
	out.Key = bytes.Clone(u.Key)
	switch {
	case u.Delete:
		c.bury(u, v)
	case v == nil:
		c.add(out.Key, &value{payload: out.Payload, time: u.Time, seq: u.Seq, born: u.Born})
		c.changed = u.Seq
	default:
		same := !u.Event && v.known() && bytes.Equal(v.payload, u.Payload)
		c.replace(u.Key, v, value{payload: out.Payload, time: u.Time, seq: u.Seq, born: u.Born})
		if same {
			return // a restarted transmitter repeats what is known
		}
	}
	c.deliver(out)
}

// reach accounts for the numbers between the last record and seq.
func (c *Channel) reach(seq uint64) {
	switch {
	case c.expect == 0:
		c.joined = seq - 1
		c.counts.Unknown += seq - 1
		c.expect = seq
	case seq > c.expect:
		if c.doubt {
			c.counts.Unknown += seq - c.expect
			c.joined = seq - 1
		} else {
			c.counts.Lost += seq - c.expect
		}
		c.expect = seq
		c.round.restart(true)
	}
	c.doubt = false
}

func (c *Channel) add(key []byte, v *value) {
	v.round = c.round.id
	c.keys[string(key)] = v
	c.hash += record.KeyHash(key, v.born)
	delete(c.graves, string(key))
}

func (c *Channel) replace(key []byte, v *value, with value) {
	if v.seq == 0 || v.born != with.born {
		if v.seq != 0 {
			c.hash -= record.KeyHash(key, v.born)
		}
		c.hash += record.KeyHash(key, with.born)
		c.changed = max(c.changed, with.born)
	}
	with.round = c.round.id
	*v = with
}

func (c *Channel) remove(key string, v *value) {
	if v.seq != 0 {
		c.hash -= record.KeyHash([]byte(key), v.born)
	}
	delete(c.keys, key)
}

func (c *Channel) bury(u *record.Update, v *value) {
	if v != nil {
		c.remove(string(u.Key), v)
	}
	c.graves[string(u.Key)] = grave{seq: u.Seq, born: u.Born}
	c.changed = u.Seq
}

// Page takes a page of the carousel.
func (c *Channel) Page(p *record.Page) error {
	if c.expect == 0 {
		c.reach(p.Seq + 1) // live records up to p.Seq may still be on their way
	}
	err := p.Entries(func(e *record.Entry) { c.entry(p, e) })
	if err != nil {
		return err
	}
	for key, g := range c.graves {
		if g.seq <= p.Seq && g.born > p.From && g.born <= p.To {
			delete(c.graves, key)
		}
	}
	if c.round.page(p) {
		c.close()
	}
	return nil
}

func (c *Channel) entry(p *record.Page, e *record.Entry) {
	v := c.keys[string(e.Key)]
	if v != nil {
		v.round = c.round.id
	}
	if v != nil && v.seq >= e.Seq || e.Seq >= c.expect {
		return // known, or its live record is still on its way, or will be found lost
	}
	if g, dead := c.graves[string(e.Key)]; dead && g.seq > p.Seq {
		return // the page is older than the deletion
	}
	c.late(e.Seq)
	out := Update{Key: bytes.Clone(e.Key), Payload: bytes.Clone(e.Payload), Time: e.Time}
	now := value{payload: out.Payload, time: e.Time, seq: e.Seq, born: e.Born}
	if v == nil {
		c.add(out.Key, &now)
		c.deliver(out)
		return
	}
	same := v.known() && bytes.Equal(v.payload, e.Payload)
	c.replace(e.Key, v, now)
	if !same {
		c.deliver(out)
	}
}

// late accounts for a value that a page brings, its live record having been missed.
func (c *Channel) late(seq uint64) {
	switch {
	case seq <= c.settled:
		return
	case seq <= c.joined:
		c.counts.Unknown -= min(c.counts.Unknown, 1)
	default:
		c.counts.Lost -= min(c.counts.Lost, 1)
	}
	c.counts.Delivered++
}

// close ends a round: what it has not heard of is gone.
func (c *Channel) close() {
	if c.totals.Partial || !c.heard {
		c.round.restart(false)
		return
	}
	for key, v := range c.keys {
		if v.round != c.round.id {
			c.remove(key, v)
			c.deliver(Update{Key: []byte(key), Delete: true})
		}
	}
	c.round.closed()
}

// Manifest takes the statement that closes the channel's part of a cycle.
func (c *Channel) Manifest(m *record.Manifest) {
	if c.expect == 0 {
		c.reach(m.Seq + 1)
	}
	if c.changed > m.Seq || c.expect <= m.Seq {
		return // the sets are of different times
	}
	if m.Keys == 0 && !m.Partial {
		c.totals.Partial, c.heard = false, true
		c.close() // there are no pages to wait for
	}
	if c.round.complete && (uint64(len(c.keys)) != m.Keys || c.hash != m.Hash) {
		c.round.restart(true)
		c.round.mismatches++
	}
}

// Totals takes the transmitter's own account.
func (c *Channel) Totals(t *record.Totals) {
	c.reach(t.Seq + 1)
	if t.Partial && !c.totals.Partial {
		c.round.restart(false)
	}
	c.totals, c.heard = *t, true
}

// Status is what an operator sees of a channel.
type Status struct {
	Counts
	Complete   bool
	Partial    bool  // the source has not shown its first whole picture yet
	State      uint8 // of the source: 0 connecting, 1 up, 2 down
	Reason     string
	Keys       int
	Mismatches uint64 // rounds whose manifest disagreed
}

// Status returns the channel's account.
func (c *Channel) Status() Status {
	s := Status{
		Counts: c.counts, Complete: c.round.complete, Partial: c.totals.Partial, State: c.totals.State,
		Reason: c.totals.Reason, Keys: len(c.keys), Mismatches: c.round.mismatches,
	}
	s.Conflated = c.before + c.totals.Conflated
	return s
}

// Range calls f with every key and its newest payload, in no order, until f
// returns false.
func (c *Channel) Range(f func(key, payload []byte) bool) {
	for key, v := range c.keys {
		if !v.ghost && !f([]byte(key), v.payload) {
			return
		}
	}
}

// Confirmed reports whether the key's value was heard of since the last loss.
func (c *Channel) Confirmed(key []byte) bool {
	v := c.keys[string(key)]
	return v != nil && v.round >= c.round.since
}
