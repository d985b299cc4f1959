// Package send turns records into sealed frames: the plant's side of the wire.
//
// A record meets the files in this order:
//
//	queue.go      waits in its channel: events in order, state conflated
//	channel.go    gets its sequence number, joins the carousel's table, is kept for replay
//	mux.go        shares the line out: urgent, live, bulk, carousel
//	replay.go     what has left is sent again, in a class of its own, when those leave room
//	generation.go joins a block of frames, and gets parity with it
//	sender.go     is sealed and handed over, in the pacer's time
//	pacer.go
//
// The package is pure: it has no I/O and no goroutine, and time is an argument.
// It refuses to interpret what it carries, and nothing in it depends on whether a
// receiver exists.
package send

import "errors"

// Record is what a channel sends. The slices are kept.
type Record struct {
	Key     []byte
	Payload []byte
	Time    int64 // ns since 1970, 0: none
	Event   bool
	Delete  bool
	Urgent  bool
	Late    bool        // older than what was sent already: crosses as an event does, and never as the newest value
	Left    func(error) // see Mux.Put
}

// Errors that Put returns and Left receives.
var (
	ErrTooLarge  = errors.New("send: record larger than the link carries")
	ErrFull      = errors.New("send: no room; wait for Room")
	ErrStateFull = errors.New("send: the channel has as much state as it may")
)

// Our own bounds of one channel's queue.
const (
	MaxQueuedEvents = 200_000
	MaxQueuedBytes  = 24 << 20
	MaxHeldEvents   = 10_000
)

// Limits bound what channels may hold. A zero field stands for its default.
type Limits struct {
	Keys         int // of one channel
	ChannelState int // bytes of the newest values of one channel's keys
	State        int // … of all channels
	Queued       int // bytes of loose events in all channels
	Held         int // bytes of a channel's held events from which on there is no room for another
	Beside       int // bytes of loose events, urgent ones apart, that may wait beside held ones in a channel
}

func (l Limits) orDefault() Limits {
	if l.Keys == 0 {
		l.Keys = 1_000_000
	}
	if l.ChannelState == 0 {
		l.ChannelState = 64 << 20
	}
	if l.State == 0 {
		l.State = 80 << 20
	}
	if l.Queued == 0 {
		l.Queued = MaxQueuedBytes
	}
	if l.Held == 0 {
		l.Held = 8 << 20
	}
	if l.Beside == 0 {
		l.Beside = MaxQueuedBytes
	}
	return l
}

// log reports whether every such record is to be delivered, in order.
func (r *Record) log() bool { return r.Event || r.Late }

// size is what a record is counted as against the bounds.
func (r *Record) size() int { return len(r.Key) + len(r.Payload) + recordOverhead }

const recordOverhead = 48
