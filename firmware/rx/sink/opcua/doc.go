// Package opcua is a sink that rebuilds an OPC UA server from what crossed the link: a mirror
// that equals the original for clients, except that it is read-only.
//
// The stages of a value:
//
//	sink.go      queued: Deliver must not block
//	mirror.go    dispatched by its key; generations
//	nodes.go     assigned to its node, or kept until the node arrives, early.go
//	quality.go   served as Uncertain while it may be out of date
//	history.go   kept as the source gave it, where history is configured
//	server       read and monitored (package firmware/opcua/server)
//
// Beside it: node.go makes nodes read-only, metadata.go finds metadata,
// events.go handles events and conditions, tables.go has the tables of their fields, historyevent.go reads
// those that are kept, cache.go keeps the structure on disk.
//
// # Quality
//
// The worse of what the source said and what is known here counts:
//
//	no value yet, snapshot not complete   Bad_WaitingForInitialData
//	no value, link silent or source down  Bad_NoCommunication
//	source down or connecting             Uncertain_NoCommunicationLastUsableValue
//	link silent, or a loss that the       Uncertain_LastUsableValue
//	carousel has not repaired yet, or
//	that is not known after silence;
//	the next generation is awaited
//
// Meanwhile ServerState is CommunicationFault. Source timestamps never change. Metadata
// (metadata.go) keeps the source's own status and is cached on disk with the structure: without
// it a client that connects meanwhile cannot decode any value.
//
// # History
//
// Where it is configured, each change of a Variable's Value is kept, as well as each event: with
// the source's own status, live or late. Not kept are metadata (metadata.go), what the source
// does not let be read, and namespace 0, where a server describes itself. A record that is late
// goes into the history alone (late.go). Of a previous generation, or of a node that is not known
// yet, it is refused. Of a next generation, until it is in force (two minutes at most), each node's
// newest value alone is kept.
//
// # Account
//
// Records that no client will see are moved from delivered to refused: those that found the
// queue full, that are malformed, or whose table or namespaces are missing.
//
// # Generations
//
// When the source's NamespaceArray changes other than by growing, a new generation begins: the
// mirror serves the old one, whose values do not change any more, until the new one is complete, two
// minutes at most; then it closes all sessions, swaps, and accepts sessions again.
//
// The package refuses to interpret values, and to let a client's request affect any other
// client.
package opcua
