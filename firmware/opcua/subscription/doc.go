// Package subscription is the server's half of the MonitoredItem and Subscription
// service sets (OPC 10000-4 §5.13, §5.14; terms follow the standard, no conformance is
// claimed beyond what the tests show). It uses no sockets: decoded requests go in,
// encoded responses come out.
//
//	engine.go       values and time come in; call.go: requests
//	conditions.go   events come in; retained conditions, and refreshes of them
//	limits.go       what clients may use
//	memory.go       the bytes that they hold, per subscription, session, address and in total
//	address.go      what the sessions of one address hold together
//	item.go         a monitored item; queue.go: what it has to report
//	index.go        items by the node that feeds them; samples.go: those that are sampled
//	monitor.go      the MonitoredItem services; filter.go, triggering.go: their parts
//	cycle.go        a subscription: its publishing cycle and its messages
//	publish.go      queued Publish requests; service.go: the Subscription services
//	method.go       the methods that concern subscriptions
//	diagnostics.go  counters of subscriptions and sessions
//	encode.go       encodings that are written by hand
//
// Values exist once: an item's queue holds references to immutable DataValues. Filters
// apply before anything is queued, so a value that no client asked for costs no memory.
//
// It refuses to hold more for clients than it was configured to: items, filters, queues,
// messages for Republish and queued Publish requests are counted in bytes, together. A value
// that does not fit sets the Overflow bit and is counted; one that is larger than what is left
// becomes Bad_OutOfMemory. It refuses to block: a response is handed over, never waited for.
package subscription
