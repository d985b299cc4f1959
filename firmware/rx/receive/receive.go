// Package receive turns frames back into records: IT's side of the wire.
//
// A frame meets the files in this order:
//
//	opener.go      CRC, session, tag: noise and forgery end here
//	limit.go       how many hellos of unknown sessions are tried
//	window.go      the replay window
//	losses.go      which frames are missing, and how much parity that takes
//	decoder.go     the order of generations is restored
//	generation.go  what is missing of one is repaired from parity
//	buffer.go      the buffers of both
//	demux.go       items become records again
//
// The package is pure: it has no I/O and no goroutine, and time is an argument.
// It refuses to let anything unauthenticated change any state but a counter.
package receive

// Counts counts frames since the start; the tags are those of package counter.
type Counts struct {
	Frames      uint64 `shown:"link.frames"`        // authentic ones
	Noise       uint64 `shown:"link.crc_errors"`    // no frame, or the CRC failed
	AuthFailed  uint64 `shown:"link.auth_failures"` // CRC held, tag failed: wrong pair key, or forged
	Replayed    uint64 `shown:"link.replayed"`      // authentic frames seen before, or too old to tell
	Repaired    uint64 `shown:"link.repaired"`      // source frames restored from parity
	Lost        uint64 `shown:"link.lost"`          // source frames that stayed lost
	NoSession   uint64 `count:"sessionless_frames" help:"Frames of a session that no hello has opened: sent before this receiver received one, of another pair, or forged."`
	Refused     uint64 `count:"refused_hellos" help:"Authentic hellos of an epoch that is not accepted; see epoch_regressed."`
	Unchecked   uint64 `count:"unchecked_hellos" help:"Hellos of unknown sessions that were not checked, because too many arrived while a session was open: they are forged."`
	Malformed   uint64 `count:"malformed_frames" help:"Authentic frames and records that cannot be decoded; do both boards run the same version?"`
	Skipped     uint64 `count:"skipped_records" help:"Records of kinds that this version does not know: the transmitter's is later."`
	Generations uint64 `count:"generations" help:"Groups of frames that parity protects together, of which something arrived."`
}
