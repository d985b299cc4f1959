// Package storage prepares the data partition of a board's card: it gives it the room
// that the card has, mounts it, and formats a new one.
//
//	sector 0   MBR: entry 4 is made to reach the card's end; one sector is written
//	3 MiB      attempts, one sector: "HGD1"(4) count(4) zeros(500) CRC-32C(4), big-endian;
//	           count is 1 after a restart, 2 while a damaged partition is formatted
//	388 MiB    partition 4: ext4 with blocks of 4 KiB and a journal
//
// What is on the partition is a board's identity, accounts, keys and spools, so that
// nothing is formatted at the first error:
//
//	it mounts                        grown to the partition's size while it is in use
//	all zeros or ones, or it begins  new: formatted. After the formatting of a damaged one was
//	  as an image or a formatting    cut off, console, status and audit trail say so
//	  that was cut off leaves it
//	it does not mount                tried again 4 times within 15 s, then once after a
//	                                 restart of the board, which the attempts count
//	  and the card does not answer   state is kept in memory; nothing is written
//	  and its ext4 is damaged        formatted; console, status and audit trail say so
//
// A power cut while it formats leaves a partition that is formatted again: its first
// block, with the superblock, is written when all else is on the card.
//
// The package refuses to shrink or move a partition, and to touch a table that is not
// one of our images.
package storage
