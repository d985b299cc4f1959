// Package release describes what a board runs: the signed file that brings a new
// release, and what PID 1 publishes to the role about the one that runs.
//
// An update file, with numbers big-endian:
//
//	magic(8) "HGUPDAT1"   length(4)   length(4)   manifest   signature   parts…
//
// The manifest is JSON (see Manifest); the signature is minisign's over it,
// prehashed (algorithm "ED"). The parts follow in the manifest's order, without
// anything between or after them.
//
// The signature is checked before anything else of a file is used. The key for that is in
// the boot partition, beside the configuration (KeyFile), and not in what is signed: one
// base image serves every plant, and any computer can put the key there. Anyone who can
// write that partition could as well replace the kernel and the initramfs, which it also
// holds, so a read-only place for the key would protect nothing. An update may bring the
// key of those after it, in its manifest; that one holds as long as its release runs.
//
// What PID 1
// publishes, State, is a file that only PID 1 writes and the role reads:
//
//	{"role": …, "board": …, "key": …, "version": …, …}     at most 64 KiB of JSON
//
// The package refuses a file that somebody else signed, and to write anything; what
// a card does with a release is in package update of the root filesystem.
package release
