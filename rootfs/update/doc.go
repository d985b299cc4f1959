// Package update changes what a board boots, from a signed file, so that a
// power cut at any moment leaves the old release or the new one.
//
// A card has two sets, a and b. Each is a folder in the boot partition, with
// kernel, initramfs, command line, device tree and overlays, and a root slot.
// One of them is committed: config.txt has the line os_prefix=a/ or
// os_prefix=b/. tryboot.txt is the same file but for that letter, and the
// firmware reads it instead, once, when it is restarted with "0 tryboot".
//
// An update file is drawn in package release.
//
// The record of what is tried stands twice on the card, at 1 MiB and 2 MiB, in
// one sector each; writing alternates, and of the intact copies the one with
// the higher sequence counts. A card without one has zeros there.
//
//	magic(4) "HGU1"   sequence(4)   floor(8)   pending(8)   refused(8)
//	tries(4)   boots(4)   target(1) 'a' or 'b'   begun(1)
//	damaged(1)   zeros(465)   crc(4)
//
// crc is CRC-32C (RFC 3720 appendix B.4) over the sector before it.
//
// The order of steps, with a flush after each:
//
//	Install   nothing pending → the other set written, and read back →
//	          tryboot.txt names it → it is pending
//	Boot      of the committed set: one more try counted → restart for a trial
//	          of the set on trial: its beginning counted → start it
//	Commit    config.txt names it (one byte of one sector) → nothing pending
//
// Every file of both sets is on the card from the beginning, with room to
// spare, so an update writes contents only: neither FAT nor folder changes,
// and no power cut can damage them. The price: a release with more files, or with
// one larger than its room, needs the card written again; so does a change of
// config.txt. What an overlay does can come in the device tree instead.
//
// A trial needs a boot loader that knows "0 tryboot" (see package bootloader). A kernel
// that hangs in one is reset by the watchdog that config.txt has the firmware arm
// (kernel_watchdog_timeout); the record then shows that no trial began.
//
// The signature is checked before anything is written, and covers the
// initramfs, which carries the digest of its root filesystem; so at each boot
// what is mounted is what was signed, without a key. That finds damage and
// mistakes. Against an attacker who can write the card only a board
// with secure boot helps, and damage to the kernel of the committed set is not
// detected before it runs.
//
// The package refuses a file for another role or board, a version older than
// the card has had, and to touch the set that runs.
package update
