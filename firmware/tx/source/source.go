// Package source is the boundary between a protocol on the plant side and the
// link: what a source hands over, and what the link reports back.
//
// Everything a source sees is one of two kinds. State is a key with a newest
// value: under saturation intermediate values are skipped and counted, and a
// late receiver gets it all from the carousel. An event is an entry of an
// ordered log: queued up to a bound, then the oldest is dropped and counted. An
// event whose source keeps it until it has left is never dropped: the source
// waits for room instead.
// An event may carry a key; then it is delivered like every event and its
// payload also becomes the key's newest value (a live retained MQTT message).
//
// What is lost before it can be handed over, at the plant or in this machine's kernel, is
// missed: counted beside the records of the link, never among them.
//
// The package refuses to know any protocol: keys and payloads are bytes.
package source

import (
	"errors"
	"time"
)

// State says how a source stands with the plant.
type State uint8

// The states of a source, in the words that /status.json uses.
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

// Update is one thing that happened at a source.
type Update struct {
	Key     []byte    // what the payload is the newest value of; nil for a plain event
	Payload []byte    // opaque to the link
	Time    time.Time // the source's own timestamp; zero when it gave none
	Event   bool      // deliver every one, in order; false: newest value wins
	Delete  bool      // the key is gone; with Event the payload still crosses as an event
	Urgent  bool      // an alarm: goes before everything else
	Late    bool      // read from the source's history: crosses as an event does, and never as the newest value

	// Left, when set, is called exactly once: with nil as soon as the record and
	// its parity have left on the wire, with an error when they never will. It
	// is called from the link's goroutine and must not block. An event that has
	// it is never dropped, and is put only when there is Room.
	Left func(error)
}

// Errors that Put returns and Left receives.
var (
	ErrTooLarge  = errors.New("source: record larger than the link carries")
	ErrStateFull = errors.New("source: the channel has as much state as it may")
	ErrFull      = errors.New("source: no room for an event that must not be dropped; wait for it")
	ErrClosed    = errors.New("source: the link is closed")
)

// Port is one channel of the link as its source sees it. All methods are safe
// for concurrent use and never block.
type Port interface {
	// Put hands one update over and takes ownership of its slices. A non-nil
	// error means that the update was refused and Left will not be called; but
	// for ErrFull and ErrClosed, the port has counted it as lost.
	Put(Update) error
	// SetComplete says whether every key of the source has been Put at least once
	// since the program started. Until then receivers neither drop keys nor call
	// the channel complete. A source of events alone calls SetComplete(true) at once.
	SetComplete(bool)
	// Report sets the channel's state and the reason for it.
	Report(s State, reason string)
	// Range calls f with every live key and its newest payload, oldest key
	// first, until f returns false. f must not call the Port, nor keep or
	// change the slices.
	Range(f func(key, payload []byte) bool)
	// Conflated counts n values that the source itself knows were skipped
	// before they reached it (an overflow that the plant's server reported).
	Conflated(n uint64)
	// Missed counts n lines, messages or events that were lost before they could be Put:
	// no other count has them. what says in words which, after their number; it is one of
	// the package's few, and begins with "or more" where n is the least that it can be.
	Missed(n uint64, what string)
}

// Holder is the Port of a source that keeps events until they have left.
type Holder interface {
	Port
	// Room returns a channel that is closed once there is room for an event that
	// has a Left, which it may be already.
	Room() <-chan struct{}
}
