// Package receive turns frames back into records: IT's side of the wire.
//
// A frame meets the files in this order:
//
//	opener.go   CRC, session, tag, replay window: noise and forgery end here
//	window.go
//	decoder.go  its generation repairs what is missing and restores the order
//	demux.go    its items become records again
//
// The package is pure: it has no I/O and no goroutine, and time is an argument.
// It refuses to let anything unauthenticated change any state but a counter.
package receive

// Counts counts frames since the start.
type Counts struct {
	Frames      uint64 // authentic ones
	Noise       uint64 // no frame, or the CRC failed
	AuthFailed  uint64 // CRC held, tag failed: wrong pair key, or forged
	NoSession   uint64 // of a session that no hello has opened
	Refused     uint64 // authentic hellos of an epoch that was not admitted
	Replayed    uint64 // authentic frames seen before, or too old to tell
	Repaired    uint64 // source frames restored from parity
	Lost        uint64 // source frames that stayed lost
	Malformed   uint64 // authentic but meaningless
	Generations uint64
}
