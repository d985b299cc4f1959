// Package historyread walks the history of a node as HistoryRead asks for it (OPC 10000-11 §6.5;
// terms follow the standard, no conformance is claimed beyond what the tests show): raw values
// with their bounds, values at given times, aggregates, events. A walk stops where its caller
// has no more room, and its state says where to go on: a continuation point is a copy of it, and
// holds nothing else.
//
//	walk.go       the entries between two times, in either direction
//	raw.go        ReadRawModifiedDetails
//	event.go      ReadEventDetails
//	attime.go     ReadAtTimeDetails
//	processed.go  ReadProcessedDetails
//	sample.go     DataValues as the samples of package aggregate, and back
//
// Times are DateTimes (package uabinary); 0 is a time that was not specified.
//
// It refuses to decide who may read what, to encode responses, and to keep anything: values come
// from a Source, in the order of time, each walk bounded by its caller. It uses no sockets, clocks
// or goroutines.
package historyread
