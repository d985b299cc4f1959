package server

import (
	"time"

	"heliograph/firmware/opcua/event"
	"heliograph/firmware/opcua/rawvalue"
)

// Historian keeps what HistoryRead returns. Its methods are safe for concurrent use. They call f
// with entries between two times, both included: the oldest first, or, if from is after to, the
// newest first, until f returns false; f must not keep what it is given.
//
// Which nodes are kept, the address space says: by the HistoryRead bits of AccessLevel and of
// EventNotifier.
type Historian interface {
	// Values yields the DataValues of a variable with their source timestamps. One without
	// has the time at which it is kept.
	Values(node rawvalue.NodeID, from, to time.Time, f func(at time.Time, dataValue []byte) bool) error
	// Events yields events of all notifiers with their Time, nil for one that cannot be read: it
	// counts as work.
	Events(from, to time.Time, f func(at time.Time, ev *event.Event) bool) error
}
