// Package event holds the events of an OPC UA server that mirrors another: events with their
// fields as raw Variants, event filters (OPC 10000-4 §7.22.3, §7.7), the conditions that a
// ConditionRefresh repeats (OPC 10000-9 §5.5.7), and the few events of the mirror itself
// (OPC 10000-5 §6.4, OPC 10000-9 §5.11).
//
// It refuses to handle subscriptions, queues and sockets, to read a clock or random numbers
// (the caller passes both), to acknowledge, and to evaluate the operators InView and RelatedTo.
// A field is found by its browse path and attribute; the type in an operand only restricts
// which events have it.
//
// The fields of an event are numbered by a Table, which is encoded once and
// named by the first eight bytes of its SHA-256. All numbers are little endian;
// NodeId, QualifiedName and Variant are OPC UA Binary (package rawvalue).
//
//	Table   01 │ count:2 │ { type NodeId │ attribute:1 │ names:1 │ QualifiedName … } …
//	Event   01 │ table:8 │ notifiers:2 │ NodeId … │ fields:2 │ { number:2 │ Variant } …
//
// Numbers ascend and null Variants are left out, so an event with given Variants has exactly
// one encoding.
package event
