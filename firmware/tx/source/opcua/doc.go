// Package opcua is a source that mirrors an OPC UA server: its address space, the
// values of its variables, its events and the state of its conditions.
//
// It connects as a client that reads only: it browses, reads, subscribes, and the one
// Call it can make is ConditionRefresh. It refuses to write, and to send
// what must not leave the plant: nodes that the operator excluded, and the
// sessions of the server's clients.
//
// One value's way:
//
//	source.go     connects, and again after a failure (connection.go is one session,
//	              periodic.go what it does each second)
//	crawl.go      finds the nodes (selection decides which cross)
//	model.go      numbers them and packs them into blocks; cache.go keeps them
//	blocks.go     hands the blocks over
//	values.go     is subscribed to, or read in turn
//	feed.go       and Put into the port (arrivals.go records that)
//	missed.go     is Uncertain and read again, when a notification was missed
//	deaditems.go  is monitored again, when its item has stopped reporting
//	history.go    decides which of what was missed the server's history is asked for
//	              (package absence knows what was missed)
//	historyread.go reads it (historyrefused.go: less of it, or not at all), and latevalues.go
//	              puts it as late records; eventhistory.go does so with events
//	events.go     the same for events and conditions (eventlayout.go spreads their fields
//	              over items and joins them, eventhandler.go hands them over, and
//	              refresh.go has the server send the state of conditions again)
//
// Keys and payloads are those of package firmware/conduit/payload/opcua.
//
// What the link does not carry crosses as a status that says why: a value, a field
// of an event, an attribute. stats.go counts what crosses otherwise than the server
// has it, and reports what lasts.
//
// What a server can make this package hold is bounded in bytes: what a browse finds
// (crawl.go), and what is known of it over all browses (model.go). At a bound what was
// found until then is served, nothing is removed, and /readyz names the bound.
//
// What was missed while this program was away, the server was, or notifications were lost,
// is read from the server's history, where a variable has one (the HistoryRead bits, and
// Historizing or a HistoricalDataConfiguration): from the newest value that was passed on to
// the first live one, of the last 24 h, with the source timestamps that the server gives.
// It crosses late, after the live value. A first start reads nothing. A variable whose
// values have no source timestamp has nothing read, nor has one whose clock was set back
// behind what was passed on. A restart may read again what was stamped in the seconds before
// the end of the run before. A history that is refused is left alone for a while, and
// reported.
//
// Events are read in the same way (eventhistory.go), of the notifiers that have the
// HistoryRead bit, or of the Server alone if it has: they cross late, as events without a
// condition's state, with the one notifier that they were read of, and not if they are
// among the last 10,000 that crossed. A restart may read again the events of the minute before the
// end of the run before, or of the time since the last record left. Where a server takes too
// few select clauses for all fields, no events are read.
//
// Events that the server says it lost, or that are not decodable, count as missed (see
// source.Port) unless its history is read to the end of that time: at least one for each
// queue that overflowed, and for each message.
//
// The load on a server is bounded: two requests are in flight at most and one HistoryRead
// beside them (history.go has its bounds), browsing again is at most once per 5 s for any
// number of model change events; for events that were lost it is once per minute, or per ten
// times as long as a browse takes; conditions
// are refreshed at most once per 5 s, and up to 10 min apart where a refresh is more than
// the server's queue takes; its limits are kept.
// When it restarts with the same namespaces, or more of them, only differences cross;
// with a table that has changed otherwise no NodeId means what it did, and a new
// generation begins.
package opcua
