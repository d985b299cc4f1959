// Package server is an OPC UA server that can only be looked at (OPC 10000-4; terms
// follow the standard, no conformance is claimed beyond what the tests show): it
// serves an address space that somebody else fills, the newest value of each
// variable, and events.
//
//	server.go   the server and its listener         values.go  the newest values
//	conn.go     one connection: receive, dispatch   own.go     nodes that it answers itself
//	session.go  create, activate, close             user.go    who somebody is
//	discovery.go, view.go, read.go                  the services that answer
//	members.go  the content of Views                answer.go  answers sent while they are made
//	call.go, refuse.go                              the services that do not, and why
//	diagnostics.go                                  what the server tells of its clients
//
// Subscriptions and monitored items are package subscription's.
//
// It refuses to write, to call (but for what concerns the caller's own subscriptions),
// to tell history, to change nodes; to serve anything but discovery without an
// activated session on its own channel; and policy None for more than discovery
// unless it is asked to. Whatever a client sends, what the server holds for it is
// bounded, and others are answered meanwhile: each connection has a goroutine that
// takes its requests one by one, and one that sends.
package server
