package server

import (
	"heliograph/firmware/opcua/historyread"
)

// historyState is how far a HistoryRead of one node has come.
type historyState struct {
	kind    historyKind
	details uint64 // hash of the details, where they are needed again

	raw       historyread.Raw
	processed historyread.Processed
	events    historyread.Events
	times     int // of ReadAtTimeDetails, that were read
}

// historyPoint is a continuation point of a HistoryRead. It holds neither values nor memory of
// the historian, so that it stays valid while the server does other work.
type historyPoint struct {
	historyState
	node uint64 // hash of the NodeId
}
