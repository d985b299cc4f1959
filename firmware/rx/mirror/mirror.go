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
//	sent = delivered + refused + expired + conflated + lost + unknown
//
// where unknown is what was sent while nobody here can say what became of it:
// before this receiver first heard the channel, around its crash, or what a crash
// found delivered to a sink that kept it in memory alone. Refused and
// expired are what the sink had but its peer did not take. All terms, sent too,
// run on over epochs: the transmitter's totals say how many records its earlier
// epochs had, and what is not accounted for of those is lost, or unknown where
// this receiver's own account has a gap.
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
// # Keys without values, values without keys
//
// A batch names its keys by their births. A receiver that has not learned which
// key was born then holds the value, counted as unknown, until a page says so,
// or a round closes without: then the key is gone. Conversely a page can name a
// key whose newest value is still on its way: the key is noted, for the batch
// that brings the value will not name it.
//
// # Memory
//
// What a channel keeps of keys and values has a budget (budget.go). A value that
// does not fit is lost, and its key is kept without one, so that the picture can
// still be told to be complete but for those; a key that does not fit is not
// kept, and the picture is not complete.
//
// The package is pure: no I/O, no goroutine, no clock. It refuses to
// interpret keys and payloads.
package mirror

import "heliograph/firmware/conduit/record"

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
	births  map[uint64]*value // the keys heard of in this epoch
	held    held
	hash    uint64 // of births
	graves  map[string]grave
	expect  uint64 // the next number; 0: not heard in this epoch
	gap     uint64 // the last number that was not heard; no older page can make up for it
	joined  uint64 // numbers up to here were sent before the channel was first heard
	settled uint64 // numbers up to here were accounted for by an earlier run
	doubt   bool   // … which crashed: what follows settled may have been delivered
	changed uint64 // when the set of keys last changed
	round   round
	totals  record.Totals
	heard   bool // totals arrived in this epoch
	before  uint64
	earlier uint64 // records of earlier epochs that are accounted for
	excess  uint64 // of them, what the transmitter does not remember
	exact   bool   // the account of earlier epochs has no gap of this receiver's making
	counts  Counts
	budget  *Budget // nil: no bound
	bytes   int     // of keys and values
	over    int     // keys for whose values there was no room
	full    bool    // there was no room for a key
}

// value is the newest value of a key.
type value struct {
	key     string
	payload []byte
	time    int64  // the source's, ns since 1970, 0: none
	seq     uint64 // 0: of an earlier epoch
	born    uint64 // 0: the key was not heard of in this epoch
	round   uint32 // in which it was last heard of
	ghost   bool   // all that is known is the key
	over    bool   // there was no room for its value
}

// grave remembers a deletion until no page made before it can arrive.
type grave struct{ seq, born uint64 }

// Counts is the account of a channel, in records.
type Counts struct {
	Delivered uint64 `shown:"channels.delivered"`
	Conflated uint64 `shown:"channels.conflated"`
	Lost      uint64 `shown:"channels.lost"`
	Unknown   uint64 `shown:"channels.unknown"`
	Refused   uint64 `shown:"channels.refused"` // delivered to the sink, whose peer did not take them
	Expired   uint64 `shown:"channels.expired"` // … whose time was over before the peer took them
}

// Refused moves n delivered records to those that the sink's peer did not take.
func (c *Channel) Refused(n uint64) {
	n = min(n, c.counts.Delivered)
	c.counts.Delivered -= n
	c.counts.Refused += n
}

// Expired moves n delivered records to those whose time was over.
func (c *Channel) Expired(n uint64) {
	n = min(n, c.counts.Delivered)
	c.counts.Delivered -= n
	c.counts.Expired += n
}

// New returns a channel that calls deliver with every record, in order.
func New(deliver func(Update)) *Channel {
	return &Channel{deliver: deliver, keys: map[string]*value{}, births: map[uint64]*value{}, graves: map[string]grave{}}
}

// Begin starts a new epoch. With fromStart the epoch is known from its first
// record, so that nothing of it can be missed unnoticed. What is known stays,
// unconfirmed, until the new epoch's pages confirm or remove it.
func (c *Channel) Begin(fromStart bool) {
	for _, v := range c.keys {
		v.seq, v.born = 0, 0
	}
	c.hash = 0
	clear(c.births)
	c.held.drop()
	c.graves = map[string]grave{}
	c.before += c.totals.Conflated
	c.earlier = c.counts.numbered() + c.before
	c.exact = c.exact && !c.doubt
	c.expect, c.gap, c.joined, c.settled, c.changed = 0, 0, 0, 0, 0
	c.heard, c.doubt, c.full = false, false, false
	c.totals = record.Totals{State: c.totals.State, Reason: c.totals.Reason}
	if fromStart {
		c.expect = 1
	}
	c.round.restart(true)
}

// Account is what a run hands on to the next.
type Account struct {
	Counts
	Before  uint64 // of Conflated, what earlier epochs contributed
	Next    uint64 // sequence number; 0: the channel was not heard in this epoch
	Earlier uint64 // records of earlier epochs
	Excess  uint64 // of them, what the transmitter does not remember
	Gap     bool   // some of an earlier run's account is missing, and no totals said since how much

	// Volatile is how many of Delivered a crash would lose in the sink, where they
	// wait for its peer. The sink knows it: the caller of Channel.Account sets it.
	Volatile uint64 `json:",omitzero"`
}

// Account returns the account as it stands.
func (c *Channel) Account() Account {
	return Account{Counts: c.Status().Counts, Before: c.before, Next: c.expect, Earlier: c.earlier, Excess: c.excess, Gap: !c.exact}
}

// Resume takes over the account of an earlier run, before the first Begin. exact
// says that the run ended in order; otherwise it may have delivered more than it
// remembered, and what of it was volatile may be gone.
func (c *Channel) Resume(a Account, exact bool) {
	c.counts, c.before, c.excess = a.Counts, a.Conflated, a.Excess
	if !exact {
		gone := min(a.Volatile, c.counts.Delivered)
		c.counts.Delivered -= gone
		c.counts.Unknown += gone
	}
	c.earlier = c.counts.numbered() + c.before
	c.exact = exact && !a.Gap
}

// Continue goes on where the run that Resume was told of left off in this very
// epoch, right after Begin.
func (c *Channel) Continue(a Account, exact bool) {
	c.before, c.earlier, c.exact = a.Before, a.Earlier, !a.Gap
	c.expect, c.settled, c.doubt = a.Next, max(a.Next, 1)-1, !exact
}

// Recall takes over the keys that an earlier run knew, without their values, so
// that those which went away meanwhile are found and their deletion delivered.
func (c *Channel) Recall(keys [][]byte) {
	for _, key := range keys {
		if c.keys[string(key)] == nil && c.roomFor(key) {
			c.add(key)
		}
	}
}

// Keys returns all keys, for Recall, and a number that changes with their set.
func (c *Channel) Keys() (keys [][]byte, set uint64) {
	for key := range c.keys {
		keys = append(keys, []byte(key))
	}
	return keys, c.hash
}

// numbered is the sum of what uses up numbers.
func (c *Counts) numbered() uint64 { return c.Delivered + c.Refused + c.Expired + c.Lost + c.Unknown }

// Status is what an operator sees of a channel.
type Status struct {
	Counts
	Sent       uint64 // by the transmitter's totals and the numbers of its records
	Complete   bool
	Partial    bool // the source has not shown its first whole picture yet
	State      record.SourceState
	Reason     string
	Keys       int
	Mismatches uint64 // rounds whose manifest disagreed
	Over       int    // keys without their values, for which the budget has no room
	Full       bool   // there is no room for Over's values, or for a key
}

// Status returns the channel's account.
func (c *Channel) Status() Status {
	s := Status{
		Counts: c.counts, Complete: c.round.complete, Partial: c.totals.Partial, State: c.totals.State,
		Reason: c.totals.Reason, Keys: len(c.keys), Mismatches: c.round.mismatches, Over: c.over, Full: c.over > 0 || c.full,
	}
	s.Conflated = c.before + c.totals.Conflated
	s.Sent = c.earlier + max(c.expect, 1) - 1 + c.totals.Conflated
	return s
}

// Range calls f with every key and its newest payload, in no order, until f
// returns false.
func (c *Channel) Range(f func(key, payload []byte) bool) {
	c.States(func(key, payload []byte, _ int64) bool { return f(key, payload) })
}

// States is Range with the source's time of each payload, as in Update.
func (c *Channel) States(f func(key, payload []byte, time int64) bool) {
	for key, v := range c.keys {
		if !v.ghost && !f([]byte(key), v.payload, v.time) {
			return
		}
	}
}

// Confirmed reports whether the key's value was heard of since the last loss.
func (c *Channel) Confirmed(key []byte) bool {
	v := c.keys[string(key)]
	return v != nil && v.round >= c.round.since
}
