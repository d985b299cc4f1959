// Package mirror is the state of IT's side: of each channel every key with its newest
// value, how complete and how old that is, and an exact account of what was
// delivered, skipped and lost.
//
//	update.go   live records, one by one and in batches
//	page.go     what the carousel repeats: pages, manifests, totals
//	round.go    when the carousel has listed every key
//	deleted.go  which keys were deleted
//	held.go     values whose keys are not known yet
//	replay.go   records that are sent again, into the holes
//	waiting.go  pages of them that wait
//	budget.go   the bound on what is kept
//	account.go  the account of records
//	resume.go   … over runs
//
// # Order and loss
//
// A channel numbers its records 1, 2, 3 … in each epoch, and they arrive in
// order or not at all; so the first number that is too high is a loss. The
// totals that come each second reveal losses at the end. Always
//
//	sent = delivered + refused + expired + conflated + lost + unknown
//
// where unknown is what was sent while this receiver cannot account for it:
// before it first received the channel, around its crash, or what a crash found
// delivered to a sink that kept it in memory alone. Refused and expired are what
// the sink had but its peer did not take. All terms, sent too, run on over
// epochs: the transmitter's totals have the number of records of its earlier
// epochs, and what is not accounted for of those is lost, or unknown where this
// receiver's own account has a gap.
//
// # Healing
//
// The numbers that are lost or unknown are kept (package holes), with the times
// around them. The transmitter sends what left once more, in pages: a record in a hole
// is delivered late and counts as delivered and healed. A record that is late is never
// the newest value of its key, nor does it touch anything else that is said here of
// state; if it is the newest, the carousel brings it, as one more delivery. A number
// that no page has never left: it stays lost. In a pass over its window the
// transmitter leaves no number out, so that what is between two pages of which none
// was missed in between is not there any more.
//
// Pages with something that is missing wait, packed, until Heal fills the holes: that
// takes longer than live records may be held up. Where there is no room for one, and
// where the sink needs order and an earlier one was missed, the next pass brings it
// again.
//
// After a crash what was delivered since the account was last kept, and what the sink
// had in memory alone, is unknown and a hole, so that it is delivered once more.
//
// # Completeness
//
// Each carousel page lists exactly the keys that were created in a range. A round
// is an unbroken chain of pages around the whole circle, begun anywhere: after
// one, a key that it did not list is gone, and all that it listed is confirmed.
// The manifest that follows has the number and a hash of the keys, as a second
// proof. A loss on the channel breaks the round, and until the next one is closed
// the state is not complete, and what did not arrive since is not confirmed.
// While the totals say that the source's snapshot is partial, for the first time or again,
// the state is not complete either; the totals that end this make it complete, unless
// something was lost meanwhile.
//
// # Keys without values, values without keys
//
// A batch names its keys by the number at which they were created. A receiver
// that has not learned which key that was holds the value, counted as unknown,
// until a page names the key, or a round closes without: then the key is gone.
// Conversely a page can name a key whose newest value is still on its way: the
// key is kept as a placeholder, because the batch that brings the value will not
// name it.
//
// # Memory
//
// What a channel keeps of keys and values has a budget (budget.go). A value that
// does not fit is lost: the value before is not the newest any more, and is withdrawn.
// The key is kept without one, so that completeness can still be decided for all others;
// a key that does not fit is not kept, and the state is not complete. The carousel brings
// a value when there is room for it. Deletions have a bound of their own (deleted.go):
// beyond it the oldest are forgotten, and pages that were made before them are left out.
//
// The package is pure: no I/O, no goroutine, no clock. It refuses to
// interpret keys and payloads.
package mirror

import (
	"heliograph/firmware/conduit/record"
	"heliograph/firmware/rx/holes"
)

// Update is one record delivered. Its slices are the receiver's to keep.
type Update struct {
	Key     []byte
	Payload []byte
	Time    int64 // ns since 1970, 0: none
	Event   bool
	Delete  bool
	Late    bool // it is not the newest of its key, nor of its channel

	// Valueless, with Delete: the key is there still, and there was no room for its newest value.
	Valueless bool
}

// Channel is the state of one channel. Not safe for concurrent use.
type Channel struct {
	deliver    func(Update)
	epoch      uint64 // 0: none has begun
	now        int64  // of what arrives, ns since 1970
	last       int64  // when the last record arrived in its turn; 0: none did
	stated     int64  // when totals last came: what is missing from then on was sent after; 0: none did
	keys       map[string]*value
	byCreation map[uint64]*value // those that arrived in this epoch
	held       held
	hash       uint64 // of byCreation
	tombstones tombstones
	expect     uint64 // the next number; 0: nothing arrived in this epoch
	gap        uint64 // the last number that did not arrive; no older page can make up for it
	uncertain  bool   // an earlier run crashed: what is before the next record may have been delivered
	changed    uint64 // when the set of keys last changed
	round      round
	totals     record.Totals
	totalsSeen bool // totals arrived in this epoch
	before     uint64
	earlier    uint64 // records of earlier epochs that are accounted for
	excess     uint64 // of them, what the transmitter does not remember
	exact      bool   // the account of earlier epochs has no gap of this receiver's making
	counts     Counts
	holes      holes.Set
	end        holes.Position // up to which an earlier run had received
	repeated   bool           // the epoch is not beyond all before it: its numbers may be those of other records
	late       Late
	pass       pass
	waiting    waiting
	window     record.Window // Epoch 0: none stated in this session
	pieces     []holes.Piece
	recent     recent
	resumed    Account // of the run before
	budget     *Budget // nil: no bound
	bytes      int     // of keys and values
	over       int     // keys for whose values there was no room
	full       bool    // there was no room for a key
}

// value is the newest value of a key.
type value struct {
	key         string
	payload     []byte
	time        int64  // the source's, ns since 1970, 0: none
	seq         uint64 // 0: of an earlier epoch
	created     uint64 // 0: the key did not arrive in this epoch
	round       uint32 // in which it last arrived
	placeholder bool   // only the key is known
	over        bool   // there was no room for its value
	shown       bool   // the sink, or its peer since an earlier run, may have a value
}

// New returns a channel that calls deliver with every record, in order. It heals
// nothing unless TakeLate says so.
func New(deliver func(Update)) *Channel {
	return &Channel{
		deliver: deliver, keys: map[string]*value{}, byCreation: map[uint64]*value{},
		holes: holes.Set{Closed: true},
	}
}

// At sets the time at which what follows arrives, in ns since 1970.
func (c *Channel) At(now int64) { c.now = now }

// Begin starts a session of an epoch. With fromStart the epoch is known from its first
// record, so that nothing of it can be wasUnknown unnoticed. The state stays,
// unconfirmed, until the new epoch's pages confirm or remove it.
func (c *Channel) Begin(epoch uint64, fromStart bool) {
	c.endEpoch(epoch)
	for _, v := range c.keys {
		v.seq, v.created = 0, 0
	}
	c.hash = 0
	clear(c.byCreation)
	c.held.clear()
	c.tombstones = tombstones{}
	c.before += c.totals.Conflated
	c.earlier = c.counts.numbered() + c.before
	c.exact = c.exact && !c.uncertain
	c.expect, c.gap, c.changed = 0, 0, 0
	c.totalsSeen, c.uncertain, c.full = false, false, false
	c.totals = record.Totals{State: c.totals.State, Reason: c.totals.Reason}
	if fromStart {
		c.expect = 1
	}
	c.round.restart(true)
}

// Recall takes over the keys that an earlier run had, without their values, so
// that those which went away meanwhile are found and their deletion delivered.
func (c *Channel) Recall(keys [][]byte) {
	for _, key := range keys {
		if c.keys[string(key)] == nil && c.roomForKey(key) {
			c.addKey(key).shown = true
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

// Status is what an operator sees of a channel.
type Status struct {
	Counts
	Sent       uint64 // by the transmitter's totals and the numbers of its records
	Complete   bool   // a round is closed, nothing was lost since, and the source is not Partial
	Partial    bool   // the source's initial snapshot is not complete yet, or has begun again
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
		Counts: c.counts, Complete: c.round.complete && !c.totals.Partial, Partial: c.totals.Partial,
		State: c.totals.State, Reason: c.totals.Reason, Keys: len(c.keys), Mismatches: c.round.mismatches,
		Over: c.over, Full: c.over > 0 || c.full,
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
		if !v.placeholder && !f([]byte(key), v.payload, v.time) {
			return
		}
	}
}

// Confirmed reports whether the key's value arrived, or was listed, since the last loss. One for
// which there was no room did not.
func (c *Channel) Confirmed(key []byte) bool {
	v := c.keys[string(key)]
	return v != nil && !v.over && v.round >= c.round.since
}
