// Package linktest is an impaired link: tests, the demo and the bench put it between
// a transmitter and a receiver, in the place of a bad fibre or a bad wire.
//
// A Link damages datagrams (Datagram) or a serial line's bytes (Bytes). Same
// seed, same input: same damage, on every machine. Each kind of damage draws from a stream
// of its own, so that more corruption does not move the losses. The package
// has no clock: what is delayed is delayed by traffic.
package linktest

import "sync/atomic"

// Profile is the damage that a link does. The zero value is none. Fractions are from
// 0 to 1.
type Profile struct {
	Cut bool // nothing passes

	// Of datagrams.
	Loss      float64 // fraction lost
	Burst     float64 // mean length of a run of losses (Gilbert-Elliott); 0: each on its own
	Corrupt   float64 // fraction with flipped bits
	MaxFlips  int     // 1 to MaxFlips bits are flipped in one; 0: up to DefaultFlips
	Duplicate float64 // fraction delivered twice
	Reorder   float64 // fraction overtaken by others
	MaxBehind int     // 1 to MaxBehind others overtake one; 0: up to DefaultBehind

	// Of a serial line's bytes.
	BitErrors   float64 // fraction of bits flipped
	DropBytes   float64 // fraction of bytes lost, each on its own
	InsertBytes float64 // chance that a byte is followed by one that was not sent
	Overruns    float64 // chance that a byte and the seven after it are lost
}

// Our own choices.
const (
	DefaultFlips  = 3
	DefaultBehind = 8
	maxHeld       = 256 // overtaken datagrams; past that they pass in order

	// OverrunBytes is the length of a run lost to a full UART FIFO.
	OverrunBytes = 8
)

// Counters are totals of what a Link did.
type Counters struct {
	Datagrams  uint64 // that entered
	Delivered  uint64 // duplicates included
	Cut        uint64 // datagrams and bytes that met a cut link
	Lost       uint64
	Corrupted  uint64
	Duplicated uint64
	Reordered  uint64

	BytesIn  uint64 // of the serial line
	BytesOut uint64
	Flipped  uint64 // bits
	Dropped  uint64 // bytes, without those of overruns
	Inserted uint64 // bytes
	Overruns uint64 // runs

	Unsent uint64 // datagrams or bytes that came out of the link and found no room
}

// Link is a one-way link. Datagram, Bytes and Flush belong to one goroutine;
// Set, SetCut, Profile, CountUnsent and Counters are safe from any.
type Link struct {
	profile atomic.Pointer[Profile]
	counts  counters

	loss, corrupt, duplicate, reorder random
	bits, drops, inserts, overruns    random

	bad     bool     // Gilbert-Elliott: in a burst
	damaged []byte   // a corrupted datagram
	held    []held   // overtaken datagrams, oldest first
	spare   [][]byte // their buffers
	skip    int      // bytes that the current overrun still takes
	line    []byte   // bytes on their way out
}

type held struct {
	data   []byte
	behind int // datagrams that are still to overtake it
	times  int
}

type counters struct {
	datagrams, delivered, cut, lost, corrupted, duplicated, reordered atomic.Uint64
	bytesIn, bytesOut, flipped, dropped, inserted, overruns, unsent   atomic.Uint64
}

// New returns a link.
func New(seed uint64, p Profile) *Link {
	l := &Link{}
	streams := []*random{
		&l.loss, &l.corrupt, &l.duplicate, &l.reorder, &l.bits, &l.drops, &l.inserts, &l.overruns,
	}
	for i, r := range streams {
		r.seed(seed, uint64(i))
	}
	l.Set(p)
	return l
}

// Set changes the profile from the next datagram or chunk on.
func (l *Link) Set(p Profile) { l.profile.Store(&p) }

// SetCut cuts the link or joins it again, and leaves the rest of the profile as it is.
// What a cut link still held is lost.
func (l *Link) SetCut(cut bool) {
	for {
		old := l.profile.Load()
		next := *old
		next.Cut = cut
		if l.profile.CompareAndSwap(old, &next) {
			return
		}
	}
}

// CountUnsent counts what came out of the link and the far end did not take.
func (l *Link) CountUnsent(n int) { l.counts.unsent.Add(uint64(max(n, 0))) }

// Profile returns the profile.
func (l *Link) Profile() Profile { return *l.profile.Load() }

// Counters returns the totals.
func (l *Link) Counters() Counters {
	c := &l.counts
	return Counters{
		Datagrams: c.datagrams.Load(), Delivered: c.delivered.Load(), Cut: c.cut.Load(), Lost: c.lost.Load(),
		Corrupted: c.corrupted.Load(), Duplicated: c.duplicated.Load(), Reordered: c.reordered.Load(),
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(), Flipped: c.flipped.Load(), Dropped: c.dropped.Load(),
		Inserted: c.inserted.Load(), Overruns: c.overruns.Load(), Unsent: c.unsent.Load(),
	}
}
