// Package sink is the boundary between the link and a protocol on the IT side:
// what a sink is given, and what it may ask for.
//
// It is the mirror image of the plant side's package source; the two share no
// code because the wall runs between them.
package sink

import (
	"net/netip"
	"time"
)

// State says how a sink stands with its peer.
type State uint8

// The states of a sink, in the words that /status.json uses.
const (
	Connecting State = iota
	Up
	Down
)

// String returns "connecting", "up" or "down".
func (s State) String() string {
	switch s {
	case Up:
		return "up"
	case Down:
		return "down"
	default:
		return "connecting"
	}
}

// Update is one record that crossed, in the order of its channel.
type Update struct {
	Key     []byte    // nil for a plain event
	Payload []byte    // as the source gave it; empty for a state that was deleted
	Time    time.Time // the source's own timestamp; zero when it gave none
	Event   bool      // an entry of the log, delivered once; false: the key's newest value changed
	Delete  bool      // the key is gone
	// Late: it happened before what was delivered already, because it was missed then. It
	// is never the key's newest value, and comes in the order of its channel among the
	// late ones.
	Late bool
	// Valueless, with Delete: the key is there still, and there was no room for its newest value. The
	// one before must not pass for the newest; Confirmed is false of it.
	Valueless bool
}

// Sink takes the records of one channel.
type Sink interface {
	// Deliver hands over one update with ownership of its slices. It is called
	// by one goroutine, in order, and must not block: a sink whose peer is away
	// spools, and drops and counts when the spool is full.
	Deliver(Update)
}

// Snapshot is the state of one channel as it stands: every key with its newest
// payload. Safe for concurrent use.
type Snapshot interface {
	// Range calls f with every live key and its newest payload until f returns
	// false. f must not block, nor keep or change the slices.
	Range(f func(key, payload []byte) bool)
	// Confirmed reports whether nothing lost since can have changed the key's value.
	Confirmed(key []byte) bool
	// Health returns how far the snapshot is complete and current. It costs no more than a lock.
	Health() Health
}

// Client is one that is connected to the server of a sink. A sink with a server has
//
//	Clients() []Client
type Client struct {
	Address     netip.Addr
	User        string    // that logged in; "": none
	Application string    // as it calls itself
	Since       time.Time // that it is connected
}

// Account is where a sink says what became of records that were handed to it.
// A record counts as delivered once its sink has it; what the peer did not take
// after all is moved to a term of its own, so that delivered means taken. Safe for
// concurrent use, also within Deliver.
type Account interface {
	// Refused moves n records: the peer, or its protocol, does not take them.
	Refused(n uint64)
	// Expired moves n records: they waited for the peer until their own time was
	// over, or until a full spool dropped them.
	Expired(n uint64)
}

// Channel is a channel of the link as its sink sees it.
type Channel interface {
	Snapshot
	Account
}

// Health is what is known about the way from the source to a channel's snapshot.
type Health struct {
	Stale    bool // the link is silent, or delays, for longer than stale_after
	Complete bool // every key is here, with a value that nothing lost can have changed; but see Valueless
	// Valueless: the newest values of some keys are not here, because there was no room for them.
	// Confirmed is false of these keys.
	Valueless bool
	// Totals is how often the transmitter's account of the channel has come since the link was
	// silent last. It says whether records before it are lost, and whether the source is complete;
	// 0: what was lost meanwhile is not known.
	Totals uint64
	State  State  // of the source
	Reason string // for it
}

// Outage is a time in which records of a channel are missing, by the clock of the receiver: from
// the last one that arrived before it to the first one after it.
type Outage struct{ From, To time.Time }
