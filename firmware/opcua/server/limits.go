package server

import (
	"cmp"
	"time"
)

// Limits bounds what clients may use. The zero value of each field means its default.
type Limits struct {
	Sessions           int           // in total, 500
	SessionsPerAddress int           // of one client address (IPv6: per /64), 250
	MinTimeout         time.Duration // of a session, 10 s
	MaxTimeout         time.Duration // of a session, 1 h
	Operations         int           // in one request, 10 000
	ContinuationPoints int           // of a session, 50
	References         int           // in one BrowseResult, 10 000
	Translated         int           // references that TranslateBrowsePathsToNodeIds examines, 10 000 000
	HistoryNodes       int           // in one HistoryRead, 100
	HistoryPoints      int           // continuation points of HistoryRead, of a session, 100
	Message            uint32        // largest request of a session, bytes, 4 MiB
}

func (l Limits) withDefaults() Limits {
	l.Sessions = cmp.Or(l.Sessions, 500)
	l.SessionsPerAddress = cmp.Or(l.SessionsPerAddress, 250)
	l.MinTimeout = cmp.Or(l.MinTimeout, 10*time.Second)
	l.MaxTimeout = cmp.Or(l.MaxTimeout, time.Hour)
	l.Operations = cmp.Or(l.Operations, 10_000)
	l.ContinuationPoints = cmp.Or(l.ContinuationPoints, 50)
	l.References = cmp.Or(l.References, 10_000)
	// About a second of a PC: a thousand paths may begin at a folder of ten thousand. It is not a time,
	// which would refuse what a busy machine takes longer for.
	l.Translated = cmp.Or(l.Translated, 10_000_000)
	l.HistoryNodes = cmp.Or(l.HistoryNodes, 100)
	l.HistoryPoints = cmp.Or(l.HistoryPoints, 100)
	l.Message = cmp.Or(l.Message, 4<<20)
	return l
}

// Set by OPC 10000-4 §5.7.2, bytes.
const minClientNonce = 32

// Our own choices for sessions and users.
const (
	maxUnactivated   = 100              // sessions that are not activated yet, of one address (IPv6: /64)
	maxPerConn       = 4                // of them on one connection: a client needs one
	activateWithin   = 30 * time.Second // before such a session is closed
	spareConnections = 50               // beyond one for each session, for discovery and reconnecting clients
	sweepEvery       = time.Second      // between checks for expired sessions and removed users
	maxPasswordSize  = 1024             // bytes as encrypted
	maxClientText    = 256              // bytes of a name or URI kept for diagnostics
	maxLocales       = 8                // kept for diagnostics
)

// Our own choices for memory, bytes where nothing else is said.
const (
	smallMessage   = 64 << 10 // largest request before a session is activated: anyone may send it
	smallRequest   = 4 << 10  // decoded without waiting for admission
	maxConcurrent  = 4        // admitted requests whose responses may be large
	maxScanning    = 2        // admitted requests that read much from disk
	maxQueued      = 128      // responses that the client has not received; with more the connection ends
	maxQueuedBytes = 1 << 20  // of them, before the next request is handled
	// maxPart is how much of a response is encoded before its first part is sent: one request
	// may ask for more than fits in memory. A value that crossed the link is smaller than 8 MiB.
	maxPart = 1 << 20
	// maxResponse is how much of a response is held for a client with a smaller limit.
	maxResponse = 8<<20 + 64<<10
	// maxMemory is for messages in transit, beside the 32 KiB of each connection. With those of
	// 550 connections and one large request while it is decoded that is 60 MB.
	maxMemory    = 24 << 20
	maxArguments = 64 << 10 // of an InputArguments property that is decoded for a call
)

// Our own choices for the work of one request.
const (
	maxMethods = 100 // calls
	// maxItemIDs is how many items' ids the calls of GetMonitoredItems in one request return, 8 bytes
	// each, before the others are refused: twice as many as a session has, each once, and 1.6 MB.
	maxItemIDs = 200_000
	maxTypes   = 50        // supertypes of an object's type that are searched for a method
	maxEffort  = 2_000_000 // references that a Browse examines, whether they pass its filters or not
	maxTargets = 1000      // of one browse path
)

const (
	listenRetry = 2 * time.Second // between attempts to listen
	// defaultsMaxAge is how long default restrictions are cached: changes of values do not
	// change the version of the address space.
	defaultsMaxAge = time.Second
	// diagnosticsMaxAge is how long an array of diagnostics is sent as it was encoded: with all
	// sessions it takes milliseconds, and one request may ask for it ten thousand times.
	diagnosticsMaxAge = time.Second
)
