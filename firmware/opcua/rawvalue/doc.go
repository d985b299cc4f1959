// Package rawvalue skims OPC UA Binary values (OPC 10000-6 §5.2.2) without
// decoding them: it finds the length of a value and where its parts are, and keeps the
// bytes. So unknown structures, NaN payloads, times beyond the library's range, the
// difference of empty and null strings, and 0×n matrices are preserved.
//
// On the skimmed form it answers index ranges (OPC 10000-4 §7.27), keeps the
// timestamps a client asked for, overrides a status, and decides whether a monitored
// item has changed (DataChangeFilter, OPC 10000-4 §7.22.2, OPC 10000-8 §7.2).
//
// What it refuses to do: interpret the body of a structure, allocate for a length
// that is only claimed, follow unbounded nesting, panic on any input, or repair a malformed
// value. Results alias the input, which is never written to. It uses no sockets, clocks or
// goroutines.
//
// All numbers are little endian. A String, ByteString or XmlElement is an Int32
// length and that many bytes, −1 for null; an array is an Int32 length and its
// elements, −1 for null. Lengths below −1 are malformed.
//
//	DataValue   mask, then what its bits name, in this order
//	  +------+---------+--------+-----------+----------+-----------+----------+
//	  | mask | Variant | status | source DT | src pico | server DT | svr pico |
//	  |  1   |   n     |   4    |     8     |    2     |     8     |    2     |
//	  +------+---------+--------+-----------+----------+-----------+----------+
//	    bits    0x01      0x02      0x04        0x10       0x08       0x20
//
//	Variant     mask: bits 0-5 built-in type, 0x40 dimensions, 0x80 array
//	  +------+------------+-----------------+---------------------+
//	  | mask | [length 4] | element, …      | [count 4] [dim 4] … |
//	  +------+------------+-----------------+---------------------+
//	            if 0x80                        if 0x40, only with 0x80
//	  A null Variant is the one byte 0. Types 26 to 31 are read as ByteStrings,
//	  as the standard requires; higher ones are malformed.
//
//	NodeId      00 id:1 │ 01 ns:1 id:2 │ 02 ns:2 id:4 │ 03 ns:2 String
//	            04 ns:2 Guid:16 │ 05 ns:2 ByteString
//	ExpandedNodeId  as NodeId; 0x80 adds a String (URI), 0x40 a UInt32 (server)
//	ExtensionObject NodeId, 00 │ 01 ByteString │ 02 XmlElement
//	DiagnosticInfo  mask; 0x01 0x02 0x08 0x04 Int32 each, 0x10 String,
//	                0x20 StatusCode, 0x40 DiagnosticInfo
//	QualifiedName   ns:2 String          LocalizedText  mask; 0x01 0x02 String each
package rawvalue
