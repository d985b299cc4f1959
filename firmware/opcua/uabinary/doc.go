// Package uabinary holds what every part of the OPC UA stack needs of OPC UA Binary
// (OPC 10000-6 §5.2): DateTimes, the header that each response begins with, the check
// of a DataEncoding, and the size of the largest message.
//
// What it refuses to do: decode values (see rawvalue) or services (see channel), read
// a clock, or allocate beyond the slice that it appends to.
//
// All numbers are little endian.
//
//	DateTime        Int64, 100 ns since 1601-01-01 UTC; 0 and below: MinValue,
//	                from 9999-12-31T23:59:59 on: the largest Int64, MaxValue
//	response        01 00 type:2, then the ResponseHeader (OPC 10000-4 §7.34)
//	  +-----------+--------+--------+-------------+--------------+------------+
//	  | timestamp | handle | result | diagnostics | string table | additional |
//	  |     8     |   4    |   4    |     00      | ff ff ff ff  |  00 00 00  |
//	  +-----------+--------+--------+-------------+--------------+------------+
package uabinary
