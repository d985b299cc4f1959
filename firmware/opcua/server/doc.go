// Package server is a read-only OPC UA server (OPC 10000-4; terms follow the standard, no
// conformance is claimed beyond what the tests show). It serves an address space that its
// owner fills, the newest value of each variable, and events.
//
//	server.go        the server and its listener      values.go    the newest values
//	conn.go          a connection: receive, send      query.go     a request, and how it is answered
//	services.go      which services there are
//	session.go       the Session services             sessions.go  all sessions
//	user.go          user identity tokens             discovery.go the Discovery services
//	view.go          Browse, RegisterNodes            viewmembers.go  the nodes of a View
//	translate.go     TranslateBrowsePaths             read.go      Read
//	history.go       HistoryRead, of values            historyevent.go  HistoryRead of events
//	historian.go     where history is kept             historypoint.go  its continuation points
//	historywork.go   entries of a response, bounds     historyprocessed.go  aggregates, values at times
//	response.go      responses sent in parts          trust.go     removed users and certificates
//	call.go          Call: which methods are served   refuse.go    Write and HistoryUpdate
//	serverobject.go  nodes that the server answers    diagnostics.go  ServerDiagnostics
//	restriction.go   AccessRestrictions               admission.go  how many requests at a time
//	limits.go        limits, and the reasons for them
//
// Subscriptions and monitored items are in package subscription.
//
// It refuses to write, to call methods (except those about the caller's own subscriptions), to
// change history, and to read it where there is no Historian; to change nodes; to serve anything
// but discovery without an activated session on its own channel; and policy None for more than
// discovery unless configured. The memory that it holds for a client is bounded, and no client
// delays others: each connection has one goroutine that answers its requests in turn, and one
// that sends.
package server
