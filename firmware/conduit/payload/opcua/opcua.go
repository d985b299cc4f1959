// Package opcua encodes the state of an OPC UA server for the link: its keys, its address
// space, its values and its events.
//
// It is pure. It refuses to interpret what it need not: attributes and values are the raw
// bytes of package rawvalue, and a value with a shorter encoding (numbers, Strings) is
// restored bit for bit.
//
// # Keys
//
// A generation is one namespace table: a random number, part of every key but the first, so
// that state of different tables cannot be confused. Within a generation each node has a
// number, its handle, which is never reused.
//
//	space      'G'                                 the current generation
//	block      'S' generation(4) block(uvarint)    nodes with handles 64×block … +63
//	value      'V' generation(4) handle(uvarint)   Value of a variable
//	table      'T' generation(4) number(uvarint)   fields of events, see package event
//	condition  'C' generation(4) name(16)          newest event of a retained condition;
//	           name: start of SHA-256 over ConditionId and BranchId
//
// Integers are big-endian; "uvarint" is the base-128 form of encoding/binary. What
// OPC UA Binary defines (NodeId, DataValue) is as in OPC 10000-6 §5.2.2.
//
// # Payloads
//
//	space   version(1): 1, generation(4), count(uvarint) {length(uvarint) URI}*
//	block   version(1): 1, size(uvarint), DEFLATE (RFC 1951) of size bytes:
//	        {slot(1): handle mod 64, length(uvarint), node}*, slots ascending
//	node    NodeId, count(uvarint) {attribute(1) length(uvarint) DataValue}*
//	        count(uvarint) reference*
//	reference  flags(1): 1 inverse, 2 external; type NodeId, target NodeId,
//	        or where external length(uvarint) ExpandedNodeId
//	table   as package event writes it     event   generation(4), then the same
//	value   head(1) [status(4)] [ticks(8) picoseconds÷10(2)] form's bytes(rest)
//	        head: form (low 5 bits), 0x20 status, 0x40 ticks,
//	        0x80 without source timestamp; else it is the record's time
//
//	forms   0 no Variant           1 a Variant, raw
//	        2 Double, 8 bytes      3 Double that a Float holds, 4 bytes
//	        4…13 Double: a whole number (minimal, as below) × 10^(4−form)
//	        14 Float, 4 bytes      15 String, its bytes
//	        17…25 Boolean, SByte … UInt64 (16 + built-in type): its bytes without
//	        those that only extend the sign, or zeros where it has none
//	numbers in forms are little-endian, as OPC UA has them.
//
// Server timestamps are not sent: the answering server sets its own.
package opcua

import "errors"

// BlockNodes is the maximum number of nodes in a block.
const BlockNodes = 64

// ErrMalformed is returned for malformed keys and payloads.
var ErrMalformed = errors.New("opcua: malformed record: do both boards run the same release?")

const version = 1
