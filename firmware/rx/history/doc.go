// Package history keeps what the mirror of one channel was given: the values of each
// node and the events, by their source's time, so that HistoryRead can be served.
//
// Adding never waits for the disk. What was added can be read at once, is in the page
// cache within a second (it survives the end of the process), and on the disk within
// five (a power cut costs what was added since; Progress says how much, so that the account asks
// for it again). Order of arrival does not matter;
// the same value at the same time of the same node is read once, however often it came.
// Times are counted in 100 ns since 1601, as OPC UA does, and truncated to that.
//
// The oldest segments go first, by age and by size; that is to unlink a file. On a disk
// that is full, one goes every five seconds until there is room. A disk that fails or is
// read-only leaves what is in memory: the newest 28 MiB, in which the oldest go first,
// counted. A file that is damaged is renamed to "damaged", replacing the one before, and
// the rest is served.
//
// The package refuses to know what a value is, to modify or delete one, to repair a
// file, and to share its folder: the state directory's lock keeps other processes out.
// It refuses values over 1 MiB, nodes over 4 KiB, and more than 1,024 values of a node at one
// time in a segment.
//
// # Why files of its own
//
// 1,000 nodes with slowly moving Doubles of 10 to 14 bytes, 100 changes a second, one in 100 late
// by up to two hours, synced every five seconds, six hours of it on ext4; amd64:
//
//	                              B/change   B/change written  modules  MiB of    full disk
//	                              on disk    to the device     added    program
//	pebble v2.1.7, change by row     16            154            22      +11      ends the process
//	pebble v2.1.7, packed             8.5           82            22      +11      ends the process
//	modernc.org/sqlite 1.62, packed  17            195             7       +4      an error
//	bbolt 1.5, packed                25            153             1      +0.3     an error
//	this package                      6.0           29             0       +0      an error
//
// Packed means: changes gathered by node and written as rows of up to 500, beside a row for
// each commit. That is most of the gain, and leaves little to a store: to write
// sorted files once, and to unlink them. Pebble calls Fatalf when its log cannot be written (db.go,
// "fatal commit error"), and a role must outlive its disk; pebble also asks for sync_file_range and
// fadvise64, SQLite for open, stat, unlink and fchown, which the sandbox denies.
//
// 29 bytes a change are 250 MB a day at 100 changes/s; the files grow by 52 of them until
// retention holds. Stats.Written counts all of it but the file system's metadata.
//
// # Files
//
// A generation is what came since the last one was sealed. It is in memory, and in the
// journal of its number; sealed, it is the segment of its number, sorted, and its journal
// is free. Two journal files take turns and are written in place. Integers are
// big-endian, or uvarint as in encoding/binary; crc is CRC-32C (RFC 3720 appendix B.4).
//
//	journal-0, journal-1:
//	header   "HGJ1"(4) generation(8) crc(4)          crc over generation
//	record*  length(4) crc(4) body(length)           crc goes on from the one before it
//	body     size(uvarint) changes                   packed with zstd (RFC 8878), unless size is 0
//	change   stream(uvarint) [key] entry             stream counts up from 0 by first appearance;
//	                                                 the first one has its key
//	0 (4)    ends it; so does a record whose crc is wrong
//
//	%016x.segment, named by generation:
//	"HGH1"(4) chunk* index trailer
//	chunk    run*, packed with zstd unless that is not shorter, about 32 KiB unpacked
//	run      key count(uvarint) first(uvarint) last-first(uvarint) length(uvarint) entry*
//	index    {key packed(uvarint) size(uvarint) crc(4) first(uvarint) last-first(uvarint)}*
//	         key: of the chunk's first run; crc over the chunk as it is in the file
//	trailer  length of index(4) crc of index(4) changes(8) first(8) last(8) sealed(8) crc(4) "HGH1"
//
//	key      length(uvarint) 'v' node, or 'e' for the events
//
// An entry is a change as the difference to the one before it in its stream:
//
//	time     uvarint: zigzag(step - last step) << 1 | 0, or that / 10,000 << 1 | 1
//	shape    prefix(4 bits) suffix(4 bits), of the value before, which is as long; prefix ≤ 14
//	         or f0, length(uvarint)
//	bytes    what is between them
//
// The first step of a stream or run is from 0. The step after it, and after one of 2^58 or
// more, is written whole.
package history
