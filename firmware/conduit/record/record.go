// Package record is what crosses the link, once frames have been opened and
// put in order: the encoding of state, of events, and of what is stated about them.
//
// Every record belongs to a channel. A channel numbers what it hands to the
// link 1, 2, 3 … within an epoch (one run of the transmitter): this sequence is
// the order of its events, the version of its state and the measure of loss,
// all in one. A number that never arrives is a record lost, whether the link
// lost it or the transmitter's full queue did.
//
// The package refuses to know protocols (keys and payloads are bytes), time
// (it carries timestamps, it never asks for one) and the link below it.
//
// # Items
//
// A frame's payload is a run of items, each a record or a fragment of one.
// Integers are big-endian; "uvarint" is the base-128 form of encoding/binary.
//
//	item     head(1) length(uvarint) body(length)
//	head     kind(5 bits) 0 first(1) last(1)
//	         a complete record is first and last; a longer one is cut into items
//	         of the same kind, and only one record per class is in pieces at a
//	         time, though complete records may stand between its pieces
//	         head 0 is padding: the rest of the frame is zero
//
// # Bodies
//
//	update    channel(2) flags(1) seq(uvarint)
//	          [time(8): ns since 1970, flag 8]
//	          [age(uvarint): seq − created, keylen(uvarint) key, flag 1]
//	          payload(rest)
//	          flags: 1 keyed, 2 event, 4 delete, 8 timed, 16 late
//	page      channel(2) flags(1) seq(uvarint) from(uvarint) span(uvarint) entry*
//	          flags: 1 last page of the cycle
//	          states: at seq, the keys created in (from, from+span] are exactly these
//	entry     head(1) [step(uvarint): created − the entry before's, first: − from,
//	          head 64; absent: 1] age(uvarint: seq − created) keylen(uvarint) key
//	          [time] [paylen(uvarint) − 15, when head has 15] payload
//	          head: coarse(1 bit) step(1 bit) time(2 bits) paylen(4 bits)
//	          time: 0 none; 1 the same as of the last entry that had one; 2 a
//	          difference to it in units of 100 ns (uvarint, zig-zag), where both
//	          are multiples of it and it takes less than 8 bytes, or, when coarse
//	          is 1, of whole milliseconds; 3 ns since 1970(8)
//	batch     channel(2) seq(uvarint): of its first change, change+
//	          new values of keys created before, with successive numbers; the key
//	          does not cross, the number at which it was created stands for it
//	change    head(1) [step(uvarint, zig-zag): created − the change before's, first:
//	          − 0, head 64; absent: 1] [time] [paylen] payload, as of an entry
//	manifest  channel(2) flags(1) seq(uvarint) keys(uvarint) hash(8)
//	          flags: 1 partial
//	totals    channel(2) flags(1) state(1) seq(uvarint) conflated(uvarint)
//	          dropped(uvarint) keys(uvarint) [earlier(uvarint), flag 2]
//	          reason(rest, UTF-8)
//	          flags: 1 partial, 2 earlier; state: 0 connecting, 1 up, 2 down
//	replay    channel(2) flags(1) epoch(uvarint) first(uvarint) span(uvarint: last −
//	          first) size(uvarint) replayed*, size bytes, as one frame of Zstandard
//	          (RFC 8878) with flag 1: everything that left with the numbers first to
//	          last of an epoch, which may be an earlier one
//	replayed  flags(1) head(1) [step(uvarint): seq − the entry's before, first: −
//	          (first − 1), head 64; absent: 1] [place(uvarint) of the key among the
//	          page's, flags 8, or keylen(uvarint) key, flags 1] [time] [paylen]
//	          payload, as of an entry; flags: 1 keyed, 2 event, 4 delete, 8 known key,
//	          16 late
//	window    channel(2) flags(1): 0, epoch(uvarint) first(uvarint) reach(uvarint): s,
//	          pass(uvarint): ms
//	heartbeat utc(8): ns since 1970, quality(1): 0 unset, 1 set
//	          uptime(uvarint): ms
//
// A late record was missed when it was new: by the transmitter, which then read it
// from its source's history, or by the receiver, to which a replay page brings it. It
// is never the newest value of its key.
//
// "Created" is the sequence number at which a key was created. It orders the
// carousel: a page that states a range of such numbers exactly lets a receiver drop
// what is no longer there without a list of what was deleted.
package record

import (
	"errors"
	"hash/fnv"
)

// Kind is the kind of a record.
type Kind uint8

// The kinds of record.
const (
	KindPadding Kind = iota
	KindUpdate
	KindPage
	KindManifest
	KindTotals
	KindHeartbeat
	KindBatch
	KindReplay
	KindWindow
	kinds
)

// Known reports whether this version knows records of the kind. Receivers skip others.
func (k Kind) Known() bool { return k > KindPadding && k < kinds }

// Our own bounds.
const (
	MaxKey    = 64 << 10 // bytes of a key
	MaxRecord = 8 << 20  // bytes of an encoded record
)

// ErrMalformed is returned for bytes that are not a record. After authentication
// it means that the two ends run different versions.
var ErrMalformed = errors.New("record: malformed; do both boards run the same version?")

// Gateway is the reserved channel on which the transmitter reports itself.
const Gateway = "heliograph"

// ChannelID returns the 16-bit number that stands for a channel's name on the
// wire, so that no table of names has to cross before records can be placed.
// The gateway's own channel is 0. Two names of one configuration can collide
// (about once in 65,000 pairs): the configuration check refuses that.
func ChannelID(name string) uint16 {
	if name == Gateway {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	sum := h.Sum32()
	return max(uint16(sum>>16)^uint16(sum), 1)
}
